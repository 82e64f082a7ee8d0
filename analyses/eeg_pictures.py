"""When does EEG tell a repeated picture from a new one, in unseen people? (UCI EEG Database, real recording)

Ridge in every 100 ms window, one subject of twelve left out at a time, two contrasts: the second picture does not match
the first against it does; the first picture against a matching second one. Trials are taken as recorded: nothing is
scaled or baselined with anybody's labels, and the decoder standardises by its training subjects alone. Clusters of
windows above chance are tested over left-out subjects (their decoders share training data, so this is approximate).
Before 100 ms the first contrast is at chance; the other is a little above, for second pictures come in another state.

    python analyses/eeg_pictures.py --data ../shared/data/eeg_pictures/trials_12_subjects.npz --out results
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

import neurodecode as nd
from neurodecode import inputs
from neurodecode.datasets import eeg_pictures

# A grid from 10 to 10^6 chosen by leaving subjects out of the training set gives the same AUC at 200-300 ms (.746).
ALPHA = 1e4
WIDTH, STEP, TMAX = 0.100, 0.025, 0.700
# Positive against negative; a pattern above zero is larger for the first.
CONTRASTS = {
    "no match against match": ("S2 nomatch", "S2 match"),
    "first against match": ("S1 obj", "S2 match"),
}
SHOWN = {"floor": 0.0, "effect": 0.2, "late": 0.3}  # starts of the windows reported
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="trials_12_subjects.npz")
    args = inputs.parsed(parser)

    epochs = eeg_pictures.load(args.data)
    auc = xr.concat([sweep(epochs, name) for name in CONTRASTS], dim="layer", combine_attrs="override")
    clusters = nd.inference.clusters(auc, seed=SEED)
    patterns = xr.concat([pattern(epochs, name) for name in CONTRASTS], dim="layer", combine_attrs="override")
    result = xr.Dataset(
        {"auc": auc, "pattern": patterns, "p": clusters["p"], "significant": clusters["significant"]},
        attrs={"trials": epochs.sizes["sample"]},
    )
    report(result["auc"])
    parameters = {
        "decoder": decoder(),
        "width": WIDTH,
        "step": STEP,
        "folds": "subject",
        "contrasts": CONTRASTS,
    }
    stamped = nd.store.stamp(
        result, what="eeg_pictures", parameters=parameters, seed=SEED, data={"epochs": epochs}
    )
    nd.save(stamped, args.out / "eeg_pictures.nc", overwrite=True)


def decoder() -> nd.RidgeDecoder:
    return nd.RidgeDecoder(alpha=ALPHA)


def contrast(epochs: xr.DataArray, name: str) -> tuple[xr.DataArray, dict[str, xr.DataArray]]:
    """Trials of the two conditions, and the feature that tells them apart."""
    pair = CONTRASTS[name]
    feature = nd.brain.features([[1.0], [-1.0]], stimulus=pair)
    return epochs.isel(sample=np.isin(epochs.stimulus, pair)), {name: feature}


def sweep(epochs: xr.DataArray, name: str) -> xr.DataArray:
    """AUC of every window and left-out subject: (window, layer, subject). The two conditions recur by design."""
    trials, feature = contrast(epochs, name)
    found = nd.temporal.sweep(
        trials,
        feature,
        decoder(),
        width=WIDTH,
        step=STEP,
        tmax=TMAX,
        folds="subject",
        score="auc",
        shared="stimulus",
    )
    left_out = [str(f).removeprefix("subject=") for f in found.fold.values]
    return found.isel(subject=0, drop=True).rename(fold="subject").assign_coords(subject=left_out)


def pattern(epochs: xr.DataArray, name: str) -> xr.DataArray:
    """Forward-model patterns of a fit to all subjects: (window, channel, layer), positive where the first is larger."""
    trials, feature = contrast(epochs, name)
    everything = np.ones(trials.sizes["sample"], dtype=bool)
    found = nd.temporal.patterns(
        trials, feature, decoder(), width=WIDTH, step=STEP, tmax=TMAX, train=everything, reduce="mean"
    )
    return found.isel(subject=0, drop=True)


def report(auc: xr.DataArray) -> None:
    mean = auc.mean("subject")
    for name in CONTRASTS:
        curve = mean.sel(layer=name)
        at = {k: curve.isel(window=int(abs(curve.start - t).argmin("window"))) for k, t in SHOWN.items()}
        words = ", ".join(
            f"{float(v):.3f} at {1000 * v.start:.0f}-{1000 * v.stop:.0f} ms" for v in at.values()
        )
        print(
            f"{name}: AUC {words}; largest {float(curve.max()):.3f} at {1000 * curve.idxmax():.0f} ms (chance .5)"
        )


if __name__ == "__main__":
    main()
