"""What is explained by what? Unique and shared parts of the variance that feature spaces explain, voxel by voxel.

On the lab (simulated fMRI): meaning (c), structure (CLIP's blocks 2 to 6) and the image latent (z). Every union is
fitted by banded ridge, a penalty of each set for each voxel, and held-out R2 compared. The truth is known twice: the
share of a voxel's variance that each set was planted to drive, and the unique parts that the same method finds in
planted responses without noise, times the reliability of those with noise; the second knows what spaces share.
Also the layer that predicts each voxel best, where its r passes a false-discovery rate, against the one planted.

On the Haxby slice (--haxby): one category an image block, animate or not, intact or not; one run of twelve left out.
R2 of a block, beside the ceiling of every voxel: the reliability, and what R2 about the mean of a fold's own 8 blocks
can come to. Animacy lies within category: it can have no part of its own.

    python analyses/variance_partition.py --out results
    python analyses/variance_partition.py --haxby ../shared/data/haxby2001 --out results
"""

import argparse
import warnings

import numpy as np
import xarray as xr
from scipy import stats

import neurodecode as nd
from neurodecode import inputs
from neurodecode.datasets import haxby, lab

SETS = {"meaning": ["c"], "structure": ["Linear-2", "Linear-4", "Linear-6"], "latent": ["z"]}
REGIONS = ("LVC", "HVC")
LAYERS = ("c", "Linear-2", "Linear-4", "Linear-6", "Linear-8", "Linear-10", "Linear-12", "z")
ALPHAS = tuple(10.0**e for e in range(1, 8))
# Divisions of the penalty among bands that are tried.
CANDIDATES = 15


def main() -> None:
    parser = inputs.lab_or_haxby(__doc__, subjects=3, seed="the lab, the search and bootstrap samples")
    parser.add_argument("--candidates", type=int, default=CANDIDATES, help="of the search among bands")
    args = inputs.parsed(parser)
    # Of voxels that nothing drives the largest penalty is right.
    warnings.filterwarnings("ignore", message="the best alpha lies on the grid's edge")
    result = of_lab(args) if args.haxby is None else of_slice(args)
    inputs.write_lab_or_haxby(result, "variance_partition", args)


def encoder(args: argparse.Namespace) -> nd.RidgeEncoder:
    return nd.RidgeEncoder(ALPHAS, bands="set", n_candidates=args.candidates, seed=args.seed)


# ------------------------------------------------------------------------------------------------ the lab
def of_lab(args: argparse.Namespace) -> xr.Dataset:
    """Regions of all subjects (part, region, subject), agreement with the truth, and voxels of the first."""
    names = xr.Variable("subject", [str(i + 1) for i in range(args.subjects)])
    found = [of_subject(i + 1, args) for i in range(args.subjects)]
    regions = xr.concat([r for r, _ in found], dim=names, combine_attrs="drop_conflicts")
    result = regions.merge(found[0][1], combine_attrs="drop_conflicts")
    for name in ("region_share", "share"):
        result[name].attrs |= {"score": "r2", "units": "r2"}
    report_lab(result)
    return result


def of_subject(subject: int, args: argparse.Namespace) -> tuple[xr.Dataset, xr.Dataset]:
    recording = lab.load("fmri", subject=subject, size=args.size, seed=args.seed)
    average = nd.brain.average_repeats(recording.responses).astype(np.float32)
    options = {"sets": SETS, "regions": REGIONS, "seed": args.seed}
    parts = nd.encoding.partition(average, recording.features, encoder(args), **options)
    ceiling = nd.ceilings.ncsnr(recording.responses, samples="test", n_bootstrap=0)
    clean = average.copy(data=planted_signal(recording, average, subject, args))
    noiseless = nd.encoding.partition(clean, recording.features, encoder(args), **options, n_bootstrap=0)
    reliability = planted_reliability(recording)
    voxels = parts[["share", "share_low", "share_high", "r2"]].assign(
        reliability=ceiling["reliability"],
        drive=planted_shares(recording, reliability),
        # Without signal there is nothing to divide: each part is 0.
        noiseless=noiseless["share"].fillna(0) * reliability,
        **best_layers(average, recording),
    )
    own = [n for n in parts.data_vars if str(n).startswith("region_")]
    region_reliability = nd.ceilings.by_region(ceiling["reliability"], regions=list(REGIONS))
    regions = parts[own].assign(region_reliability=region_reliability, **agreement(voxels, recording))
    kept = {k: v for k, v in average.attrs.items() if k in ("subject", "space", "origin")}
    return regions, voxels.assign_attrs(kept)


def planted_signal(
    recording: lab.Recording, average: xr.DataArray, subject: int, args: argparse.Namespace
) -> np.ndarray:
    """Responses without noise (sample, voxel): the sum over spaces of standardised features times planted weights."""
    total = 0.0
    for layer in recording.truth["gain"]["layer"].values.tolist():
        space = recording.features[layer]
        spread = space.std("stimulus")
        standard = (space - space.mean("stimulus")) / spread.where(spread > 0, 1.0)
        weights = lab.source_weights("fmri", layer, subject=subject, size=args.size, seed=args.seed)
        total = total + nd.labels.match(standard, average).values @ weights.values
    return np.asarray(total, dtype=np.float32)


def planted_reliability(recording: lab.Recording) -> xr.DataArray:
    """Share of the variance of a test response (mean of its trials) that is signal: (voxel)."""
    return xr.DataArray(
        recording.truth["ceiling"].values ** 2, {"voxel": recording.truth["voxel"].values}, "voxel"
    )


def planted_shares(recording: lab.Recording, reliability: xr.DataArray) -> xr.DataArray:
    """Share of the variance of a test response that each set was planted to drive: (set, voxel); 0 without signal."""
    power = recording.truth["amplitude"].drop_vars("population") ** 2
    total = power.sum("layer").values
    shares = [
        power.sel(layer=members).sum("layer").values / np.where(total > 0, total, 1)
        for members in SETS.values()
    ]
    return xr.DataArray(
        np.stack(shares) * reliability.values,
        {"set": list(SETS), "voxel": reliability["voxel"].values},
        ("set", "voxel"),
    )


def best_layers(average: xr.DataArray, recording: lab.Recording) -> dict[str, xr.DataArray]:
    """Best layer where its r on test stimuli passes a false-discovery rate of .05, and the planted one."""
    spaces = {name: recording.features[name] for name in LAYERS}
    scores = nd.encoding.score(average, spaces, nd.RidgeEncoder(ALPHAS)).isel(subject=0, fold=0, drop=True)
    n = int((average["split"].values == "test").sum())
    r = scores.max("layer")
    # The best of so many layers: each voxel's p is corrected for having been the best of them.
    p = np.minimum(1, len(LAYERS) * stats.t.sf(r * np.sqrt((n - 2) / (1 - r**2)), n - 2))
    sure = nd.inference.fdr(r.copy(data=p), alpha=0.05)["significant"]
    found = nd.encoding.best_layer(scores, where=sure)
    power = recording.truth["amplitude"].sel(layer=list(LAYERS))
    planted = power.argmax("layer").where(power.max("layer") > 0).astype(float)
    return {
        "best": found["best"],
        "planted_best": xr.DataArray(
            planted.values, {"voxel": r["voxel"].values}, "voxel", attrs=found["best"].attrs
        ),
        "best_score": found["score"],
    }


def agreement(voxels: xr.Dataset, recording: lab.Recording) -> dict[str, xr.DataArray]:
    """Correlate, over the voxels that carry anything, estimated unique shares with both truths; score best layers."""
    driven = (voxels["drive"].sum("set") > 0).values
    unique = voxels["share"].sel(part=list(SETS)).values[:, driven]
    both = {
        "r_drive": voxels["drive"].values[:, driven],
        "r_noiseless": voxels["noiseless"].sel(part=list(SETS)).values[:, driven],
    }
    data = {
        name: ("set", [np.corrcoef(a, b)[0, 1] for a, b in zip(unique, true, strict=True)])
        for name, true in both.items()
    }
    populations = dict(
        zip(
            recording.truth["layer"].values.tolist(),
            recording.truth["population"].values.tolist(),
            strict=True,
        )
    )
    named = np.isfinite(voxels["best"].values)
    right = [
        populations[LAYERS[int(a)]] == populations[LAYERS[int(b)]] if np.isfinite(b) else False
        for a, b in zip(voxels["best"].values[named], voxels["planted_best"].values[named], strict=True)
    ]
    nothing = named & ~driven
    return {
        **{k: xr.DataArray(v[1], {"set": list(SETS)}, "set") for k, v in data.items()},
        "best_right": xr.DataArray(np.mean(right)),
        "best_named": xr.DataArray(float(named[driven].mean())),
        "best_wrongly_named": xr.DataArray(float(nothing.sum() / (~driven).sum())),
    }


def report_lab(result: xr.Dataset) -> None:
    mean = result["region_share"].mean("subject")
    print("shares of regions, mean over subjects:", mean.to_pandas().round(3), sep="\n")
    print("R2 of unions:", result["region_r2"].mean("subject").to_pandas().round(3), sep="\n")
    print("reliability:", result["region_reliability"].mean("subject").to_pandas().round(3).to_dict())
    for name, words in (("r_drive", "planted drive"), ("r_noiseless", "unique parts without noise")):
        print(f"r of unique shares with the {words}:", result[name].to_pandas().round(3), sep="\n")
    print(
        "best layer: named in {:.2f} of the driven voxels, in {:.4f} of the others; of the planted population in "
        "{:.2f} of those named".format(
            *(float(result[k].mean()) for k in ("best_named", "best_wrongly_named", "best_right"))
        )
    )


# ----------------------------------------------------------------------------------------------- the slice
def of_slice(args: argparse.Namespace) -> xr.Dataset:
    """R2 and shares of blocks of a run that was left out, and ceilings: (part | union, voxel)."""
    blocks = nd.brain.average_repeats(haxby.load(args.haxby), by=("stimulus", "run"))
    categories = nd.brain.one_hot(blocks)
    names = categories["stimulus"].values.tolist()

    def one(members: tuple[str, ...]) -> xr.DataArray:
        return nd.brain.features([[float(n in members)] for n in names], stimulus=names)

    spaces = {"animate": one(("face", "cat")), "intact": one(tuple(n for n in names if "scramble" not in n)),
              "category": categories}  # fmt: skip
    alphas = tuple(10.0**e for e in range(-1, 5))
    model = nd.RidgeEncoder(alphas, bands="set", folds="run", n_candidates=args.candidates, seed=args.seed)
    parts = nd.encoding.partition(
        blocks, spaces, model, folds="run", shared="stimulus", by="run", seed=args.seed
    )
    ceiling = nd.ceilings.ncsnr(blocks, n=1, seed=args.seed)
    every = parts["r2"].sel(union=" + ".join(spaces), drop=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # how many ceilings are too low is reported below
        both = nd.ceilings.normalise(every, ceiling["reliability"])
    own = [
        "share",
        "share_low",
        "share_high",
        "r2",
        "r2_low",
        "region_share",
        "region_share_low",
        "region_share_high",
    ]
    result = parts[own].assign(
        reliability=ceiling["reliability"],
        reliability_low=ceiling["low"] ** 2,
        attainable=both["ceiling"],
        normalised=both["normalised"],
        every=every,
    )
    report_slice(result)
    return result.assign_attrs(blocks.attrs)


def report_slice(result: xr.Dataset) -> None:
    sure = (result["reliability_low"] > 0).values
    print(f"{int(sure.sum())} of {sure.size} voxels have a ceiling whose limits leave 0 out; of these:")
    print("median R2 of unions:", result["r2"][:, sure].median("voxel").to_pandas().round(3), sep="\n")
    print("median shares:", result["share"][:, sure].median("voxel").to_pandas().round(3), sep="\n")
    of = {k: float(result[k][sure].median()) for k in ("every", "attainable", "reliability", "normalised")}
    print(
        "median R2, what the signal itself would have, reliability, and R2 about the true mean as a share of it:",
        {k: round(v, 3) for k, v in of.items()},
    )
    r = np.corrcoef(result["every"], result["reliability"])[0, 1]
    print(f"r over all voxels of R2 with the reliability: {r:.3f}")


if __name__ == "__main__":
    main()
