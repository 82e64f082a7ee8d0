"""Which picture category was on the screen, and which voxels say so? (Haxby et al. 2001, real recording)

Ridge on one-hot categories, one run of twelve left out at a time, on block means: eight categories, faces against
houses, and the eight with labels permuted within runs. Weight maps (filter) and forward-model patterns of all runs go
to netCDF and NIfTI. Preprocessing (trend and SD of every run) uses that run's volumes alone and no labels.

    python analyses/haxby_categories.py --data ../shared/data/haxby2001 --out results
"""

import argparse
import functools
from pathlib import Path

import numpy as np
import xarray as xr

import neurodecode as nd
from neurodecode import inputs
from neurodecode.datasets import haxby

# One alpha for all; a grid (1 to 10,000) chosen inside the training runs reaches the same accuracy.
ALPHA = 100.0
PAIR = ("face", "house")
N_PERMUTATIONS = 99
SEED = 0
KINDS = ("pattern", "filter")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with bold.nii.gz, mask.nii.gz, attributes.txt"
    )
    args = inputs.parsed(parser)

    blocks = nd.brain.average_repeats(haxby.load(args.data), by=("stimulus", "run"))
    pair = blocks.isel(sample=np.isin(blocks.stimulus, PAIR))
    eight, null = accuracy(blocks), permuted(blocks)
    result = xr.Dataset(
        {
            "accuracy": by_run(eight, blocks),
            "accuracy_pair": by_run(accuracy(pair), pair),
            "accuracy_permuted": by_run(null, blocks),
            "p": nd.inference.permutation(eight, null)["p"].squeeze(drop=True),
            **maps(blocks, args.out),
        },
        attrs={
            "pair": " against ".join(PAIR),
            "blocks": blocks.sizes["sample"],
            "voxels": blocks.sizes["voxel"],
        },
    )
    report(result)
    parameters = {"decoder": decoder(), "n_permutations": N_PERMUTATIONS, "folds": "run", "kinds": KINDS}
    stamped = nd.store.stamp(
        result, what="haxby_categories", parameters=parameters, seed=SEED, data={"blocks": blocks}
    )
    nd.save(stamped, args.out / "haxby_categories.nc", overwrite=True)


def decoder() -> nd.RidgeDecoder:
    return nd.RidgeDecoder(alpha=ALPHA)


def accuracy(blocks: xr.DataArray) -> xr.DataArray:
    """Share of the left-out run's blocks whose category is found. The eight categories recur by design."""
    return nd.spatial.decode(
        blocks, nd.brain.one_hot(blocks), decoder(), folds="run", score="accuracy", shared="stimulus"
    )


def by_run(found: xr.DataArray, blocks: xr.DataArray) -> xr.DataArray:
    """Scores (..., run) of the one region, feature space and subject."""
    scores = found.isel(region=0, layer=0, subject=0, drop=True).drop_vars("chance", errors="ignore")
    return scores.rename(fold="run").assign_coords(run=list(dict.fromkeys(blocks.run.values.tolist())))


def permuted(blocks: xr.DataArray) -> xr.DataArray:
    """Accuracy with categories exchanged within every run: (permutation, ...)."""
    # Exchanged as wholes, over all runs at once, categories would only swap names.
    apart, categories = nd.inference.by_block(blocks, nd.brain.one_hot(blocks), blocks="run")
    analysis = functools.partial(nd.spatial.decode, decoder=decoder(), folds="run", score="accuracy")
    return nd.inference.null(
        analysis, apart, categories, n=N_PERMUTATIONS, blocks="run", seed=SEED, batch=N_PERMUTATIONS
    )


def maps(blocks: xr.DataArray, out: Path) -> dict[str, xr.DataArray]:
    """One map a category and kind, from a fit to all runs: (category, voxel); also written as NIfTI volumes."""
    fitted = decoder().fit(blocks, nd.brain.one_hot(blocks))
    found = {}
    for kind in KINDS:
        # One feature a category: its mean over features is itself, with its sign.
        values = nd.spatial.weight_map(fitted, kind=kind, reduce="mean", responses=blocks, by="unit")
        found[kind] = values.rename(unit="category")
        nd.spatial.to_volume(values).to_filename(out / f"haxby_categories_{kind}.nii.gz")
    return found


def report(result: xr.Dataset) -> None:
    null = result["accuracy_permuted"].mean("run")
    eight = float(result["accuracy"].mean())
    print(f"8 categories: accuracy {eight:.3f} (chance {result['accuracy'].attrs['chance']:.3f})")
    print(f"{result.attrs['pair']}: accuracy {float(result['accuracy_pair'].mean()):.3f} (chance 0.5)")
    print(
        f"labels permuted {null.size} times: mean {float(null.mean()):.3f}, largest {float(null.max()):.3f}"
    )
    print(f"permutation p = {float(result['p']):.3f}")


if __name__ == "__main__":
    main()
