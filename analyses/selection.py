"""Do dimensions that decode well in training decode well on held-out stimuli? (Fig. 3, Algorithm 1)

Within the training stimuli every feature dimension is decoded by cross-validation, and the best quarter of each space
is kept. A decoder fitted on all training stimuli is then scored on the test stimuli, which had no part in the choice:
all dimensions against the kept ones.

    python analyses/selection.py --out results
    python analyses/selection.py --responses sub-01.nc --features features.nc --out results
"""

import numpy as np
import xarray as xr

import neurodecode as nd
from neurodecode import inputs

KEEP = 0.25
FOLDS = 5
ALPHA = 300.0
# CLIP's output is no part of the figure.
WITHOUT = ("final",)


def main() -> None:
    args = inputs.arguments(__doc__, modality="fmri", subjects=1)
    data = inputs.read(args)
    features = inputs.thinned(data.features, None, without=WITHOUT)
    found = [one(responses, features) for responses in data.responses.values()]
    subjects = xr.Variable("subject", list(data.responses))
    result = xr.concat(found, dim=subjects, combine_attrs="drop_conflicts")
    print("held-out r, mean over dimensions\n", result["mean"].mean("subject").to_pandas().T.round(3))
    parameters = {"decoder": decoder(), "keep": KEEP, "folds": FOLDS, "spaces": list(features)}
    hashes = {s: nd.store.data_hash(r, *features.values()) for s, r in data.responses.items()}
    stamped = nd.store.stamp(result, what="selection", parameters=parameters, seed=args.seed, data=hashes)
    inputs.write(stamped, data, args.out / "selection.nc")


def decoder() -> nd.RidgeDecoder:
    return nd.RidgeDecoder(alpha=ALPHA)


def one(responses: xr.DataArray, features: dict[str, xr.DataArray]) -> xr.Dataset:
    """Held-out score, choice and training r of every dimension (feature); means (set, layer) of the scores."""
    kept = nd.selection.best_features(responses, features, decoder(), keep=KEEP, folds=FOLDS)
    everywhere = {"all": np.ones(responses.sizes["voxel"], dtype=bool)}
    scored = nd.spatial.decode(
        responses, features, decoder(), regions=everywhere, score="profile", by="feature"
    )
    score = scored.isel(region=0, subject=0, fold=0, drop=True).drop_vars("chance")
    sets = {"all": score, "kept": score.where(kept.drop_vars("r"))}
    layers = list(features)
    means = [[float(values[score.layer == name].mean()) for name in layers] for values in sets.values()]
    coords = {"set": list(sets), "space": layers}
    return xr.Dataset(
        {
            "score": score,
            "keep": kept.drop_vars("r"),
            "training_r": kept["r"].drop_vars("r"),
            "mean": (("set", "space"), means, {"units": "Pearson r"}),
        },
        coords=coords,
        attrs={"keep": KEEP, "n_folds": kept.attrs["n_folds"]},
    )


if __name__ == "__main__":
    main()
