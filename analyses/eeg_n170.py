"""Face or house, and when, from four electrodes of a headband? (muse-lsl N170, real recording)

Ridge with one run of six left out at a time: on the whole epoch, per pair of electrodes and for all four, for single
trials and for means of ten; and in sliding windows. Trials are taken as recorded. Means are made within a run and a
category, in order, so no mean joins runs or training with test.

    python analyses/eeg_n170.py --data ../shared/data/eeg_n170/trials.npz --out results
"""

import argparse
from pathlib import Path

import pandas as pd
import xarray as xr

import neurodecode as nd
from neurodecode import inputs
from neurodecode.datasets import eeg_n170

# Accuracy hardly depends on it: .65 to .69 from 100 to 100,000.
ALPHA = 1e4
WIDTH, STEP = 0.100, 0.025
PAIR = ("face", "house")
TRIALS = 10
REGIONS = {
    "TP9, TP10": ["TP9", "TP10"],
    "AF7, AF8": ["AF7", "AF8"],
    "all four": ["TP9", "TP10", "AF7", "AF8"],
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="trials.npz")
    args = inputs.parsed(parser)

    epochs = eeg_n170.load(args.data)
    kinds = {"single trials": epochs, f"means of {TRIALS} trials": means(epochs)}
    result = xr.Dataset(
        {
            "whole": xr.concat(
                [whole(e, name) for name, e in kinds.items()], dim="layer", combine_attrs="override"
            ),
            "sweep": xr.concat(
                [sweep(e, name) for name, e in kinds.items()], dim="layer", combine_attrs="override"
            ),
        },
        attrs={f"samples of {name}": e.sizes["sample"] for name, e in kinds.items()},
    )
    report(result)
    parameters = {"decoder": decoder(), "width": WIDTH, "step": STEP, "folds": "run", "trials": TRIALS}
    stamped = nd.store.stamp(result, what="eeg_n170", parameters=parameters, data={"epochs": epochs})
    nd.save(stamped, args.out / "eeg_n170.nc", overwrite=True)


def decoder() -> nd.RidgeDecoder:
    return nd.RidgeDecoder(alpha=ALPHA)


def means(epochs: xr.DataArray, trials: int = TRIALS) -> xr.DataArray:
    """Means of ``trials`` successive trials of one category in one run; the incomplete last ones are left out."""
    table = pd.DataFrame({"run": epochs.run.values, "stimulus": epochs.stimulus.values})
    grouped = table.groupby(["run", "stimulus"])
    part = grouped.cumcount().to_numpy() // trials
    complete = part < grouped["run"].transform("size").to_numpy() // trials
    numbered = epochs.assign_coords(part=("sample", part)).isel(sample=complete)
    return nd.brain.average_repeats(numbered, by=("run", "stimulus", "part"))


def feature(name: str) -> dict[str, xr.DataArray]:
    return {name: nd.brain.features([[1.0], [-1.0]], stimulus=PAIR)}


def whole(epochs: xr.DataArray, name: str) -> xr.DataArray:
    """AUC of the whole epoch: (region, layer, run). The two categories recur by design."""
    return by_run(
        nd.spatial.decode(
            epochs, feature(name), decoder(), regions=REGIONS, folds="run", score="auc", shared="stimulus"
        )
    )


def sweep(epochs: xr.DataArray, name: str) -> xr.DataArray:
    """AUC of every window: (window, layer, run)."""
    return by_run(
        nd.temporal.sweep(
            epochs,
            feature(name),
            decoder(),
            width=WIDTH,
            step=STEP,
            folds="run",
            score="auc",
            shared="stimulus",
        )
    )


def by_run(scores: xr.DataArray) -> xr.DataArray:
    left_out = [int(str(f).removeprefix("run=")) for f in scores.fold.values]
    return scores.isel(subject=0, drop=True).rename(fold="run").assign_coords(run=left_out)


def report(result: xr.Dataset) -> None:
    print("whole epoch, AUC (chance .5):")
    print(result["whole"].mean("run").transpose("layer", "region").to_pandas().round(3))
    curve = result["sweep"].mean("run").isel(layer=0)
    print(f"sliding, single trials: largest AUC {float(curve.max()):.3f} at {1000 * curve.idxmax():.0f} ms")


if __name__ == "__main__":
    main()
