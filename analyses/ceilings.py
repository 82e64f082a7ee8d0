"""How good could an encoder be? Noise ceilings of every voxel from repeats: planted ones, and those of a real slice.

On the lab (simulated fMRI, test stimuli of 3 trials): ceilings by the analysis of variance and by halves, how often
their limits hold the planted ceiling, and scores of encoders by region beside their ceilings. One of the encoders is
the planted signal itself: a perfect model, which must come to the ceiling.

On the Haxby slice (--haxby): pictures are unknown, so a stimulus is a category, and its repeats are the block means of
the 12 runs. The ceiling of one block bounds a model that knows each category's response; the mean of the other 11 runs
comes close to such a one. Order within a run and fatigue count as noise; 8 categories are few, and limits are wide.

    python analyses/ceilings.py --out results
    python analyses/ceilings.py --haxby ../shared/data/haxby2001 --out results
"""

import argparse

import numpy as np
import xarray as xr

import neurodecode as nd
from neurodecode import inputs
from neurodecode.datasets import haxby, lab

REGIONS = ("LVC", "HVC")
SPACES = ("c", "Linear-2", "z")
PERFECT = "planted signal"
ALPHAS = tuple(10.0**e for e in range(1, 8))
# Planted ceilings above which a voxel counts as driven by the pictures.
DRIVEN = 0.3


def main() -> None:
    parser = inputs.lab_or_haxby(__doc__, subjects=4, seed="the lab, splits and bootstrap samples")
    args = inputs.parsed(parser)
    result = of_lab(args) if args.haxby is None else of_slice(args)
    inputs.write_lab_or_haxby(result, "ceilings", args)


# ------------------------------------------------------------------------------------------------ the lab
def of_lab(args: argparse.Namespace) -> xr.Dataset:
    """Voxels of all subjects on end, (voxel), and regions of each, (region, layer, subject)."""
    voxels, regions = [], []
    for subject in range(1, args.subjects + 1):
        recording = lab.load("fmri", subject=subject, size=args.size, seed=args.seed)
        found = estimated(recording, args.seed)
        voxels.append(found.assign_coords(subject_of=("voxel", [f"{subject}"] * found.sizes["voxel"])))
        perfect = planted_signal(recording, subject, args)
        regions.append(by_region(found, encoded(recording, perfect)))
    every = xr.concat([v.drop_vars("voxel") for v in voxels], dim="voxel", combine_attrs="drop_conflicts")
    names = xr.Variable("subject", [str(i + 1) for i in range(args.subjects)])
    result = every.merge(xr.concat(regions, dim=names, combine_attrs="drop_conflicts"))
    report_lab(result)
    return result


def estimated(recording: lab.Recording, seed: int) -> xr.Dataset:
    """Planted ceilings, and those from the repeats of the test stimuli."""
    anova, halves = (
        estimate(recording.responses, samples="test", seed=seed)
        for estimate in (nd.ceilings.ncsnr, nd.ceilings.split_half)
    )
    data = anova[["ceiling", "low", "high"]].assign(
        {f"half_{k}": halves[k] for k in ("ceiling", "low", "high")}
    )
    return data.assign(planted=("voxel", recording.truth["ceiling"].values, {"units": "Pearson r"}))


def planted_signal(recording: lab.Recording, subject: int, args: argparse.Namespace) -> xr.DataArray:
    """Responses without noise (stimulus, voxel): the sum over spaces of standardised features times planted weights."""
    total = 0.0
    for layer in recording.truth["gain"]["layer"].values.tolist():
        space = recording.features[layer]
        spread = space.std("stimulus")
        standard = (space - space.mean("stimulus")) / spread.where(spread > 0, 1.0)
        weights = lab.source_weights("fmri", layer, subject=subject, size=args.size, seed=args.seed)
        total = total + standard.transpose("stimulus", "feature").values @ weights.values
    return xr.DataArray(
        total, dims=("stimulus", "voxel"), coords={"stimulus": space["stimulus"].values}, name=PERFECT
    )


def encoded(recording: lab.Recording, perfect: xr.DataArray) -> xr.DataArray:
    """Profile correlation of every voxel's test responses, averaged over trials, with predictions: (layer, voxel)."""
    average = nd.brain.average_repeats(recording.responses)
    train, test = (average[average["split"].values == part] for part in ("train", "test"))
    predictions = {
        name: nd.RidgeEncoder(alpha=ALPHAS).fit(space, train).predict(nd.labels.match(space, test))
        for name, space in recording.features.items()
        if name in SPACES
    }
    predictions[PERFECT] = test.copy(data=perfect.sel(stimulus=test["stimulus"].values).values)
    scores = [profile(p, test) for p in predictions.values()]
    return xr.concat(scores, dim=xr.Variable("layer", list(predictions)), combine_attrs="override")


def profile(predicted: xr.DataArray, responses: xr.DataArray) -> xr.DataArray:
    """Pearson r of every voxel over samples: (voxel)."""
    features = [array.rename(voxel="feature") for array in (predicted, responses)]
    return nd.score.profile(*features).rename(feature="voxel")


def by_region(found: xr.Dataset, scores: xr.DataArray) -> xr.Dataset:
    """Mean scores and ceilings of regions, and the ratio of the means: one voxel's low ceiling cannot carry it away.

    A voxel that the pictures do not drive adds nothing to either but noise, and is left out by the planted ceiling.
    """
    driven = (found["planted"] > 0).values
    groups = {name: nd.brain.regions(found["ceiling"], [name]).values[0] & driven for name in REGIONS}
    score, ceiling = (nd.ceilings.by_region(a, regions=groups) for a in (scores, found))
    data = nd.ceilings.normalise(score, ceiling["ceiling"])
    limits = {f"region_{k}": ceiling[k] for k in ("low", "high", "planted")}
    return data.rename(ceiling="region_ceiling").assign(limits)


def report_lab(result: xr.Dataset) -> None:
    planted = result["planted"].values
    parts = {
        "all voxels": planted >= 0,
        f"planted > {DRIVEN}": planted > DRIVEN,
        "none planted": planted == 0,
    }
    for name, words in (("", "analysis of variance"), ("half_", "halves")):
        print(f"{words}:")
        for part, which in parts.items():
            truth = planted[which]
            estimate, low, high = (result[f"{name}{k}"].values[which] for k in ("ceiling", "low", "high"))
            held, error = np.mean((low <= truth) & (truth <= high)), estimate - truth
            r = np.corrcoef(estimate, truth)[0, 1] if np.ptp(truth) else np.nan
            print(
                f"  {part} (n = {truth.size}): limits hold {held:.3f}, r with the planted {r:.3f}, "
                f"mean error {error.mean():+.3f}, mean |error| {abs(error).mean():.3f}"
            )
    means = [f"region_{k}" for k in ("ceiling", "low", "high", "planted")]
    table = result[means].mean("subject").to_dataframe()[means]
    print("ceilings of regions, mean over subjects:", table.round(3), sep="\n")
    for name in ("score", "normalised"):
        print(f"{name}:", result[name].mean("subject").to_pandas().round(3), sep="\n")


# ----------------------------------------------------------------------------------------------- the slice
def of_slice(args: argparse.Namespace) -> xr.Dataset:
    """Ceilings of one block and of all, of permuted categories, and an encoder's scores: (voxel)."""
    blocks = nd.brain.average_repeats(haxby.load(args.haxby), by=("stimulus", "run"))
    one = nd.ceilings.ncsnr(blocks, n=1, seed=args.seed)
    null = nd.ceilings.ncsnr(permuted(blocks, args.seed), n=1, seed=args.seed)
    data = nd.ceilings.normalise(of_other_runs(blocks), one["ceiling"])
    result = data.assign(
        low=one["low"],
        high=one["high"],
        half_ceiling=nd.ceilings.split_half(blocks, n=1, seed=args.seed)["ceiling"],
        ceiling_of_all=nd.ceilings.ncsnr(blocks, seed=args.seed)["ceiling"],
        permuted_ceiling=null["ceiling"],
        permuted_low=null["low"],
    )
    for name in ("ceiling", "ceiling_of_all"):
        result[name].attrs |= one["ceiling"].attrs
    result = result.assign_coords({k: v for k, v in blocks.coords.items() if v.dims == ("voxel",)})
    report_slice(result)
    return result


def permuted(blocks: xr.DataArray, seed: int) -> xr.DataArray:
    """Categories in random order within every run."""
    rng, labels = np.random.default_rng(seed), blocks["stimulus"].values.copy()
    for run in np.unique(blocks["run"].values):
        own = blocks["run"].values == run
        labels[own] = rng.permutation(labels[own])
    return blocks.assign_coords(stimulus=("sample", labels))


def of_other_runs(blocks: xr.DataArray) -> xr.DataArray:
    """Pearson r over the blocks of a run with predictions from all other runs, mean over runs: (voxel)."""
    categories = nd.brain.one_hot(blocks)
    scores = []
    for fold in nd.folds.splits(blocks, folds="run", shared="stimulus"):
        train, test = blocks[fold.train], blocks[fold.test]
        predicted = (
            nd.RidgeEncoder(alpha=1.0).fit(categories, train).predict(nd.labels.match(categories, test))
        )
        scores.append(profile(predicted, test))
    return xr.concat(scores, dim="run", combine_attrs="override").mean("run", keep_attrs=True)


def report_slice(result: xr.Dataset) -> None:
    sure = (result["low"] > 0).values
    print(
        f"one block: {int(sure.sum())} of {sure.size} voxels have a ceiling whose limits leave 0 out; with permuted "
        f"categories {int((result['permuted_low'] > 0).sum())}"
    )
    of = {name: result[name][sure] for name in ("ceiling", "ceiling_of_all", "score", "normalised")}
    print("median of these voxels:", {k: round(float(v.median()), 3) for k, v in of.items()})
    print("largest:", {k: round(float(v.max()), 3) for k, v in of.items()})
    r = {k: np.corrcoef(result[k], result["ceiling"])[0, 1] for k in ("score", "half_ceiling")}
    print("r over all voxels with the ceiling:", {k: round(float(v), 3) for k, v in r.items()})


if __name__ == "__main__":
    main()
