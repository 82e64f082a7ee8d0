"""Does a network tell a repeated picture from a new one, in unseen people, as ridge does? (UCI EEG Database, real)

EEGNet and ridge on the first 700 ms after the second picture, one subject of twelve left out at a time: no match
against match. The network's validation is one of its training subjects. Learning rate and batch are EEGNet's published
ones (Lawhern et al. 2018); nothing was tuned.

    python analyses/eeg_pictures_networks.py --data ../shared/data/eeg_pictures/trials_12_subjects.npz --out results
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

import neurodecode as nd
from neurodecode import inputs
from neurodecode.datasets import eeg_pictures

PAIR = ("S2 nomatch", "S2 match")
LAST = 0.700
ALPHA = 1e4
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="trials_12_subjects.npz")
    parser.add_argument("--epochs", type=int, default=60, help="at most")
    parser.add_argument("--device", default="cpu")
    args = inputs.parsed(parser)

    whole = eeg_pictures.load(args.data)
    trials = whole.isel(sample=np.isin(whole.stimulus, PAIR)).sel(time=slice(None, LAST))
    feature = {"no match against match": nd.brain.features([[1.0], [-1.0]], stimulus=PAIR)}
    decoders = {
        "ridge": nd.RidgeDecoder(alpha=ALPHA),
        "eegnet": nd.networks.NetworkDecoder(
            "eegnet",
            epochs=args.epochs,
            batch=16,
            learning_rate=1e-3,
            validation=1,
            by="subject",
            patience=20,
            seed=SEED,
            device=args.device,
        ),
    }
    each = {name: auc(trials, feature, decoder) for name, decoder in decoders.items()}
    found = xr.concat(list(each.values()), xr.Variable("model", list(each)), combine_attrs="override")
    for name in decoders:
        one = found.sel(model=name)
        sem = float(one.std("subject", ddof=1)) / one.sizes["subject"] ** 0.5
        print(f"{name}: AUC {float(one.mean()):.3f} +- {sem:.3f} (SEM over {one.sizes['subject']} subjects)")
    gap = found.sel(model="eegnet") - found.sel(model="ridge")
    print(f"eegnet - ridge: {float(gap.mean()):+.3f}, better in {int((gap > 0).sum())} of {gap.size}")
    parameters = {"decoders": decoders, "scores": {k: nd.store.provenance(v) for k, v in each.items()}}
    stamped = nd.store.stamp(
        found.rename("auc"),
        what="eeg_pictures_networks",
        parameters=parameters,
        seed=SEED,
        data={"trials": trials},
    )
    nd.save(stamped, args.out / "eeg_pictures_networks.nc", overwrite=True)


def auc(trials: xr.DataArray, feature: dict[str, xr.DataArray], decoder) -> xr.DataArray:
    """AUC of every left-out subject (subject). The two conditions recur by design."""
    width = float(trials.time[-1] - trials.time[0])
    found = nd.temporal.sweep(
        trials, feature, decoder, width=width, step=width, folds="subject", score="auc", shared="stimulus"
    )
    left_out = [str(f).removeprefix("subject=") for f in found.fold.values]
    one = found.isel(window=0, layer=0, subject=0, drop=True)
    return one.rename(fold="subject").assign_coords(subject=left_out)


if __name__ == "__main__":
    main()
