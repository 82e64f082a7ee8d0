"""Is it the same code? What is decoded in one session, or one person, decoded in another (simulated unless from files).

Every cell is fitted on equally many samples, no stimulus is on both sides, and the diagonal is cross-validated with the
same fits and tests as the cells beside it.

    python analyses/cross_decoding.py --out results
    python analyses/cross_decoding.py --sessions --out results

Without ``--sessions`` people are crossed, on the voxels of the region set that all of them have (by vertex), or on the
channels (--modality eeg or meg). With it single trials of every person's sessions are crossed within the person.
"""

import argparse
from functools import reduce

import numpy as np
import xarray as xr

import neurodecode as nd
from neurodecode import inputs
from neurodecode.datasets import lab

REGIONS = ("LVC", "HVC")
ALPHA, ALPHA_MEEG = 100.0, 1e4
SCORE = "profile"
FOLDS = 5
SUBJECTS = 4
# Sessions with fewer trials than this are left out: all cells are trained on as many as the smallest.
LEAST = 200
# Of CLIP's layers the shallowest alone; a random sample of each space's dimensions stands for all.
DIMENSIONS = 128
WITHOUT = ("final",)
# Of EEG and MEG, in seconds.
TIME = slice(0.0, 0.4)


def sessions(args: argparse.Namespace, features: dict[str, xr.DataArray]) -> xr.DataArray:
    """Scores (region, train, test, layer, subject, fold) of single trials."""
    found = {}
    for region in REGIONS:
        trials = {}
        for i in range(args.subjects or SUBJECTS):
            whole = lab.load("fmri", subject=i + 1, size=args.size, seed=args.seed).responses
            names, counts = np.unique(whole["session"].values, return_counts=True)
            kept = whole[np.isin(whole["session"].values, names[counts >= LEAST])]
            trials[str(whole.attrs["subject"])] = kept[:, nd.brain.regions(whole, [region]).values[0]]
        found[region] = nd.spatial.transfer(
            trials, features, nd.RidgeDecoder(ALPHA), by="session", folds=FOLDS, score=SCORE
        )
    return _regions(found)


def people(data: inputs.Inputs, features: dict[str, xr.DataArray]) -> xr.DataArray:
    """Scores (region, train, test, layer, fold) of averages over repeats, or of epochs."""
    cells = {name.removeprefix("lab-"): array for name, array in data.responses.items()}
    if "channel" in next(iter(cells.values())).dims:
        cut = {s: array.sel(time=TIME) for s, array in cells.items()}
        decoder = nd.RidgeDecoder(ALPHA_MEEG)
        return _regions(
            {"all channels": nd.spatial.transfer_across(cut, features, decoder, folds=FOLDS, score=SCORE)}
        )
    found = {}
    for region in REGIONS:
        inside = [a["voxel"].values[nd.brain.regions(a, [region]).values[0]] for a in cells.values()]
        common = reduce(np.intersect1d, inside)
        print(f"{region}: {common.size} vertices that all {len(cells)} have, of {[len(i) for i in inside]}")
        cut = {s: array.sel(voxel=common) for s, array in cells.items()}
        found[region] = nd.spatial.transfer_across(
            cut, features, nd.RidgeDecoder(ALPHA), folds=FOLDS, score=SCORE
        )
    return _regions(found)


def _regions(found: dict[str, xr.DataArray]) -> xr.DataArray:
    one = next(iter(found.values()))
    parts = [score.drop_attrs().assign_attrs(one.attrs) for score in found.values()]
    return xr.concat(parts, dim=xr.Variable("region", list(found)), combine_attrs="override")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    inputs.add_arguments(parser)
    parser.add_argument("--sessions", action="store_true", help="cross the lab's fMRI sessions, not people")
    args = inputs.parsed(parser)
    if args.sessions and (args.responses != ["lab"] or args.modality != "fmri"):
        parser.error("--sessions crosses the sessions of the lab's fMRI")
    args.subjects = args.subjects or SUBJECTS
    data = inputs.read(args)
    spaces = inputs.shallowest(data.features)
    features = inputs.thinned(spaces, DIMENSIONS, seed=args.seed, without=WITHOUT)
    score = sessions(args, features) if args.sessions else people(data, features)
    others = [d for d in score.dims if d in ("subject", "fold")]
    for region in score["region"].values:
        for layer in score["layer"].values:
            print(region, layer)
            print(score.sel(region=region, layer=layer).mean(others).to_pandas().round(2).to_string())
    what = "sessions" if args.sessions else args.modality
    inputs.write(score, data, args.out / f"cross_decoding_{what}.nc")


if __name__ == "__main__":
    main()
