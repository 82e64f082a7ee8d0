"""Where and when does a network look, and does ridge look there too? (occlusion; gradient x input)

Ridge and a network learn each feature space from all channels and times of a subject's training trials. On the test
trials channels, then windows, are hidden from both; gradient x input shares out their evidence among channels and
times.

    python analyses/network_maps.py --modality eeg --out results
    python analyses/network_maps.py --network eegnet --layers Linear-2 final --subjects 4 --out results
"""

import argparse

import numpy as np
import xarray as xr
from scipy.stats import rankdata
from tqdm import tqdm

import neurodecode as nd
from neurodecode import inputs
from neurodecode.datasets.lab.truth import peak_error
from neurodecode.labels import listed

ALPHAS = tuple(np.logspace(0, 7, 15))
WIDTH, STEP = 0.100, 0.025
SCORE = "pattern"
# Structure and meaning; a random sample of each space's dimensions stands for all.
LAYERS = ("Linear-2", "c")
DIMENSIONS = 256


def main() -> None:
    args = arguments()
    data = inputs.read(args)
    spaces = chosen(data.features, args)
    found = []
    for subject, responses in tqdm(data.responses.items(), desc="network_maps", unit="subject"):
        layers = [of_layer(responses, space, name, args) for name, space in spaces.items()]
        found.append(
            xr.concat(layers, "layer", combine_attrs="drop_conflicts").assign_coords(subject=subject)
        )
    result = xr.concat(found, "subject", combine_attrs="drop_conflicts")
    result["rank_correlation"] = rank_correlation(result)
    if data.truth:
        truth = next(iter(data.truth.values()))
        result["peak"] = truth["peak"].sel(layer=result.layer).drop_vars("population", errors="ignore")
        for name in ("drop", "evidence"):
            result[f"{name}_peak_error"] = peak_error(result[f"{name}_window"], truth)
    report(result)
    parameters = {"decoders": decoders(args), "radius": args.radius, "width": WIDTH, "step": STEP}
    hashes = {s: nd.store.data_hash(r, *spaces.values()) for s, r in data.responses.items()}
    result = result.assign_attrs(modality=args.modality, network=args.network, radius=args.radius)
    result = nd.store.stamp(result, what="network_maps", parameters=parameters, seed=args.seed, data=hashes)
    inputs.write(result, data, args.out / f"network_maps_{args.modality}.nc")


def of_layer(responses: xr.DataArray, space: xr.DataArray, name: str, args: argparse.Namespace) -> xr.Dataset:
    """Maps over channels and courses over windows of one subject and space, by both decoders, and ridge's pattern."""
    train = responses.isel(sample=responses.split.values == "train")
    spaces = {name: space.drop_vars("layer", errors="ignore")}
    made = decoders(args)
    maps = [looked_at(d.fit(train, spaces[name]), responses, spaces, args.radius) for d in made.values()]
    both = xr.concat(maps, xr.Variable("decoder", list(made)), combine_attrs="drop_conflicts")
    course = both["drop_window"].sel(decoder="ridge", layer=name)
    best = course.isel(window=int(course.argmax("window")))
    return both.assign(
        pattern_channel=pattern(train, spaces, made["ridge"], best),
        pattern_window=("layer", [float(best["window"])], {"units": "s"}),
    )


def pattern(
    train: xr.DataArray, spaces: dict[str, xr.DataArray], decoder, when: xr.DataArray
) -> xr.DataArray:
    """Ridge's pattern (channel, layer) in one window: over all times the mean of absolute values is mostly noise."""
    found = nd.temporal.patterns(
        train, spaces, decoder, width=WIDTH, step=WIDTH, tmin=float(when["start"]), tmax=float(when["stop"])
    )
    return without_time(found.isel(window=0, subject=0))


def looked_at(decoder, responses: xr.DataArray, spaces: dict[str, xr.DataArray], radius: float) -> xr.Dataset:
    """What hiding channels and windows costs a fitted decoder, and how its evidence is shared out."""
    cut = {"width": WIDTH, "step": STEP}
    drop = nd.temporal.occlusion(decoder, responses, spaces, radius=radius, score=SCORE)
    over_time = nd.temporal.occlusion(decoder, responses, spaces, over="time", score=SCORE, **cut)
    evidence = nd.temporal.gradient_input(decoder, responses, spaces, over="channel")
    each = nd.temporal.gradient_input(decoder, responses, spaces, **cut)
    found = {
        "score": drop["whole"].assign_attrs(score=SCORE),
        "drop_channel": drop,
        "drop_window": over_time,
        "evidence_channel": evidence,
        "evidence": each,
        "evidence_window": each.sum("channel", keep_attrs=True),
    }
    return xr.Dataset({k: without_time(v) for k, v in found.items()})


def without_time(array: xr.DataArray) -> xr.DataArray:
    """Drop what maps of all times and courses cannot share in one file: scalar times, and the score of the whole."""
    scalar = [k for k, v in array.coords.items() if not v.dims]
    bare = array.drop_vars([*scalar, "whole"], errors="ignore")
    bare.attrs.pop("provenance", None)  # one stamp for all
    return bare


def rank_correlation(result: xr.Dataset) -> xr.DataArray:
    """Spearman's over channels (map, layer, subject) of the network's drops with every other map."""
    others = {
        "ridge pattern": result["pattern_channel"],
        "ridge occlusion": result["drop_channel"].sel(decoder="ridge", drop=True),
        "network gradient x input": result["evidence_channel"].sel(decoder="network", drop=True),
    }
    mine = ranked(result["drop_channel"].sel(decoder="network", drop=True))
    found = [xr.corr(mine, ranked(other), dim="channel") for other in others.values()]
    return xr.concat(found, xr.Variable("map", list(others))).assign_attrs(units="Spearman's rho")


def ranked(values: xr.DataArray) -> xr.DataArray:
    dim = [["channel"]]
    return xr.apply_ufunc(
        rankdata, values, input_core_dims=dim, output_core_dims=dim, kwargs={"axis": -1}, keep_attrs=False
    )


def report(result: xr.Dataset) -> None:
    """Print means over subjects."""
    print("pattern r, nothing hidden\n", table(result["score"], "decoder"))
    print(
        "rank correlation over channels with the network's drops\n", table(result["rank_correlation"], "map")
    )
    if "peak" in result:
        print("planted peak (ms)\n", (result["peak"] * 1000).to_series().to_string())
        for name in ("drop", "evidence"):
            error = result[f"{name}_peak_error"] * 1000
            print(f"peak of the {name} over windows minus planted (ms)\n", table(error, "decoder"))


def table(values: xr.DataArray, rows: str) -> str:
    return values.mean("subject").transpose(rows, "layer").to_pandas().round(3).to_string()


def decoders(args: argparse.Namespace) -> dict[str, object]:
    network = nd.networks.few_trials(args.network).set_params(seed=args.seed)
    return {"ridge": nd.RidgeDecoder(alpha=ALPHAS), "network": network}


def chosen(features, args: argparse.Namespace) -> dict[str, xr.DataArray]:
    """The spaces asked for, thinned; by default structure and meaning where both are there, else all."""
    names = args.layers or (LAYERS if set(LAYERS) <= set(features) else tuple(features))
    absent = [name for name in names if name not in features]
    if absent:
        raise ValueError(
            f"--layers: {listed(absent)} of {len(names)} not among the spaces {listed(features)}; name some of these"
        )
    return inputs.thinned({name: features[name] for name in names}, DIMENSIONS, seed=args.seed)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    inputs.add_arguments(parser)
    parser.set_defaults(modality="eeg", subjects=2)
    parser.add_argument(
        "--network", choices=nd.networks.ARCHITECTURES, default="temporal_spatial", help="of size small"
    )
    parser.add_argument("--layers", nargs="+", metavar="SPACE", help="feature spaces, one fit each")
    parser.add_argument(
        "--radius",
        type=float,
        default=0.04,
        metavar="M",
        help="channels so near are hidden together; 0: each alone",
    )
    return inputs.parsed(parser)


if __name__ == "__main__":
    main()
