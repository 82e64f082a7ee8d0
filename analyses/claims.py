"""How well do the analyses recover what was planted in the simulated lab, and how much noise do they bear?

At half, once and twice the noise, every subject of the lab is decoded and mapped as for Figs. 7 and 9, and what is
found is compared with what was planted:

accuracy          of LVC and of HVC, and their difference (claim 1: meaning from HVC, structure from LVC)
map_auc           area under the ROC curve with which the weight map tells planted voxels from the others
region_order      rank correlation over regions of the map's mean and the planted gain
best, latency     of identification over time, EEG and MEG (claim 2); latency error is found minus planted peak

Each stands in the result for every subject, and as <name>_mean, <name>_low and <name>_high: 95 % t intervals over
subjects.

    python analyses/claims.py --out results
"""

import argparse
from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy import stats

import neurodecode as nd
from neurodecode import inputs
from neurodecode.datasets import lab
from neurodecode.datasets.lab.truth import map_auc, peak_error
from neurodecode.solve.intervals import reach_by_t

NOISES = (0.5, 1.0, 2.0)
# A random sample of each space's dimensions stands for all.
DIMENSIONS = 256
# CLIP's output is no part of Figs. 7 and 9.
WITHOUT = ("final",)
N_VOXELS = 250
ALPHA = 100.0
KIND = "pattern"
SCORE = "top1"
WIDTH, STEP, TMIN, TMAX = 0.100, 0.025, -0.025, 0.325
LEVEL = 0.95

Loaded = dict[str, lab.Recording]


def main() -> None:
    args = arguments()
    measured = [measure(noise, args) for noise in NOISES]
    result = xr.concat(measured, dim=xr.Variable("noise", list(NOISES)), join="outer")
    result["noise"].attrs["long_name"] = "noise, as a multiple of the lab's"
    for name in list(result.data_vars):
        result = result.assign(interval(result[name], str(name)))
    report(result)
    parameters = {k: v for k, v in globals().items() if k.isupper()} | {"subjects": args.subjects}
    result.attrs |= {"simulated": True, "interval": f"{100 * LEVEL:g} % t interval over subjects"}
    stamped = nd.store.stamp(result, what="claims", parameters=parameters, seed=args.seed)
    nd.save(stamped, args.out / "claims.nc", overwrite=True)
    print(f"wrote {args.out / 'claims.nc'}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subjects", type=int, metavar="N", help="at most so many of each modality")
    parser.add_argument("--size", choices=lab.SIZES, default="small")
    parser.add_argument("--seed", type=int, default=0)
    return inputs.parsed(parser)


def measure(noise: float, args: argparse.Namespace) -> xr.Dataset:
    """Everything at one level of noise: accuracy (region, layer, subject), latency (modality, layer, subject) ..."""
    found = space(load("fmri", noise, args), args.seed)
    times = {m: time(load(m, noise, args), args.seed) for m in ("eeg", "meg")}
    over_time = xr.concat(times.values(), dim=xr.Variable("modality", list(times)), join="outer")
    return xr.merge([found, over_time], join="outer")


def load(modality: str, noise: float, args: argparse.Namespace) -> Loaded:
    count = lab.SUBJECTS[modality]
    count = count if args.subjects is None else min(args.subjects, count)
    recordings = [
        lab.load(modality, subject=i + 1, size=args.size, seed=args.seed, noise=noise) for i in range(count)
    ]
    print(f"noise {noise:g}: {count} of {modality}", flush=True)
    return {str(r.responses.attrs["subject"]): r for r in recordings}


def spaces_of(loaded: Loaded, seed: int) -> dict[str, xr.DataArray]:
    return inputs.thinned(next(iter(loaded.values())).features, DIMENSIONS, seed=seed, without=WITHOUT)


def space(loaded: Loaded, seed: int) -> xr.Dataset:
    """Claim 1: accuracy of region sets, and maps against the planted voxels and gains."""
    features = spaces_of(loaded, seed)
    decoder = nd.RidgeDecoder(alpha=ALPHA, n_voxels=N_VOXELS)
    responses = {s: nd.brain.average_repeats(r.responses) for s, r in loaded.items()}
    score = nd.spatial.decode(responses, features, decoder, regions=("LVC", "HVC"), score="profile")
    accuracy = score.mean("fold").drop_vars("chance", errors="ignore")
    maps = {s: mapped(r, features, decoder) for s, r in responses.items()}
    auc = by_subject(lambda s: map_auc(maps[s], loaded[s].truth), maps)
    order = by_subject(lambda s: region_order(maps[s], loaded[s].truth["gain"]), maps)
    return xr.Dataset(
        {
            "accuracy": accuracy.assign_attrs(units="Pearson r"),
            "difference": (accuracy.sel(region="LVC", drop=True) - accuracy.sel(region="HVC", drop=True)),
            "map_auc": auc,
            "region_order": order,
        }
    )


def mapped(
    responses: xr.DataArray, features: dict[str, xr.DataArray], decoder: nd.RidgeDecoder
) -> xr.DataArray:
    """Weight map (layer, voxel) of a fit to the training stimuli."""
    train = responses.isel(sample=nd.folds.select(responses, "train", who="train"))
    fitted = decoder.fit(train, nd.brain.stack(features))
    return nd.spatial.weight_map(fitted, kind=KIND, responses=train)


def region_order(values: xr.DataArray, gain: xr.DataArray) -> xr.DataArray:
    """Spearman correlation over regions of a map's mean with the planted gain (layer)."""
    masks = nd.brain.regions(values, gain.region.values.tolist())
    means = xr.dot(masks.astype(float), values, dim="voxel") / masks.sum("voxel")
    planted = gain.sel(region=means.region.values)
    rho = [stats.spearmanr(means.sel(layer=n), planted.sel(layer=n)).statistic for n in values.layer.values]
    return xr.DataArray(rho, dims="layer", coords={"layer": values.layer.values})


def time(loaded: Loaded, seed: int) -> xr.Dataset:
    """Claim 2: best identification over windows, and when that is against the planted peak."""
    features = spaces_of(loaded, seed)
    decoder = nd.RidgeDecoder(alpha=ALPHA)
    epochs = {s: r.responses for s, r in loaded.items()}
    curve = nd.temporal.sweep(
        epochs, features, decoder, width=WIDTH, step=STEP, tmin=TMIN, tmax=TMAX, score=SCORE
    ).mean("fold", keep_attrs=True)
    error = by_subject(lambda s: peak_error(curve.sel(subject=s), loaded[s].truth), loaded)
    return xr.Dataset(
        {
            "best": curve.max("window").assign_attrs(units="proportion", score=SCORE),
            "latency_error": error,
        }
    )


def by_subject(one: Callable[[str], xr.DataArray], subjects: dict) -> xr.DataArray:
    """Join what ``one`` finds in every subject: (layer, subject)."""
    found = [one(s).drop_vars(["subject", "chance"], errors="ignore") for s in subjects]
    return xr.concat(found, dim=xr.Variable("subject", list(subjects)), combine_attrs="override")


def interval(scores: xr.DataArray, name: str) -> dict[str, xr.DataArray]:
    """Mean over subjects with a t interval; subjects without a value (of another modality) do not count."""
    summary = nd.inference.group(scores)
    reach = summary["sem"] * reach_by_t(LEVEL, np.maximum(summary["n"] - 1, 1))
    low, high = summary["mean"] - reach, summary["mean"] + reach
    return {f"{name}_mean": summary["mean"], f"{name}_low": low, f"{name}_high": high}


def report(result: xr.Dataset) -> None:
    for name in ("difference", "map_auc", "region_order", "best", "latency_error"):
        mean, low = result[f"{name}_mean"], result[f"{name}_low"]
        rest = [d for d in mean.dims if d not in ("noise", "layer")]
        both = xr.concat([mean, mean - low], dim=xr.Variable("value", ["mean", "+-"]))
        table = both.stack(row=("noise", *rest, "value")).transpose("row", "layer").to_pandas()
        print(f"{name}: mean, and half of the interval over subjects\n{table.round(3).to_string()}")


if __name__ == "__main__":
    main()
