"""What may be read from a decoder's map? Weights, patterns, selections and their tests against the planted voxels.

On the embedded lab (simulated) it is known which voxels carry which feature space. Maps of one subject are scored
against that (ROC AUC: how often a voxel that carries ranks above one that does not): over penalties, over kinds of map,
and by a permutation test of every voxel.

    python analyses/map_reading.py --out results
"""

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree
from sklearn.metrics import roc_auc_score

import neurodecode as nd
from neurodecode import inputs

ALPHAS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
ALPHA = 100.0
# The paper's method: every feature is read from the voxels that correlate most with it.
N_VOXELS = 250
PERMUTATIONS, PILOT = 199, 50
# A random sample of each space's dimensions stands for all.
DIMENSIONS = 60
LAYERS = ("c", "Linear-2")


def auc(values: xr.DataArray, carries: xr.DataArray) -> xr.DataArray:
    """ROC AUC (layer) of a map (layer, voxel)."""
    pairs = [(carries.sel(layer=n).values, values.sel(layer=n).values) for n in LAYERS]
    return xr.DataArray([roc_auc_score(t, v) for t, v in pairs], coords={"layer": list(LAYERS)}, dims="layer")


def neighbours(values: xr.DataArray) -> xr.DataArray:
    """Pearson r (layer) of a map with its value at the nearest other voxel."""
    places = np.stack([values[k].values for k in "xyz"], axis=1)
    nearest = cKDTree(places).query(places, k=2)[1][:, 1]
    r = [np.corrcoef(v, v[nearest])[0, 1] for v in values.sel(layer=list(LAYERS)).values]
    return xr.DataArray(r, coords={"layer": list(LAYERS)}, dims="layer")


def main() -> None:
    args = inputs.arguments(__doc__, modality="fmri", subjects=1)
    data = inputs.read(args)
    if not data.truth:
        raise SystemExit("map_reading scores maps against what was planted: it runs on the lab")
    subject, responses = next(iter(data.responses.items()))
    carries = data.truth[subject]["carries"].sel(layer=list(LAYERS))
    anything = data.truth[subject]["carries"].any("layer")
    train = responses.isel(sample=nd.folds.select(responses, "train", who="train"))
    spaces = inputs.thinned({n: data.features[n] for n in LAYERS}, DIMENSIONS, seed=args.seed)
    features = nd.brain.stack(spaces)
    by_penalty = []
    for alpha in ALPHAS:
        decoder = nd.RidgeDecoder(alpha).fit(train, features)
        maps = [nd.spatial.weight_map(decoder, kind=k, responses=train) for k in ("filter", "pattern")]
        found = {"auc": auc, "neighbours": lambda values, _: neighbours(values)}
        parts = {
            name: xr.concat([score(m, carries) for m in maps], dim=xr.Variable("kind", ["filter", "pattern"]))
            for name, score in found.items()
        }
        by_penalty.append(xr.Dataset(parts))
    result = xr.concat(by_penalty, dim=xr.Variable("alpha", list(ALPHAS)))
    chosen = nd.RidgeDecoder(ALPHA, n_voxels=N_VOXELS).fit(train, features)
    for kind in ("filter", "selection"):
        result[f"{kind}_of_selected"] = nd.spatial.weight_map(chosen, kind=kind).drop_attrs()
    pair = [result[f"{kind}_of_selected"].sel(layer=list(LAYERS)) for kind in ("filter", "selection")]
    result["selection_r"] = xr.corr(*pair, dim="voxel")
    result["carries"] = carries
    tests = {
        kind: nd.spatial.map_permutation(
            nd.RidgeDecoder(ALPHA),
            train,
            features,
            kind=kind,
            n_permutations=PERMUTATIONS,
            n_pilot=PILOT,
            seed=args.seed,
        )
        for kind in ("filter", "pattern")
    }
    p = xr.concat([t["p_max"] for t in tests.values()], dim=xr.Variable("kind", list(tests))).drop_attrs()
    result["p_max"] = p
    hit = (p <= 0.05).where(carries).mean("voxel")
    # What carries another space carries this one in part: spaces of one picture correlate.
    nothing = (p <= 0.05).where(~anything).mean("voxel")
    result["found"] = xr.concat([hit, nothing], dim=xr.Variable("voxels", ["carry it", "carry nothing"]))
    print(result["auc"].transpose("layer", "kind", "alpha").round(3).to_dataframe().unstack("alpha"))
    print(result["neighbours"].sel(alpha=ALPHA).round(3).to_pandas(), result["found"].round(3).to_dataframe())
    parameters = {"alphas": ALPHAS, "n_voxels": N_VOXELS, "permutations": PERMUTATIONS}
    stamped = nd.store.stamp(
        result.assign_attrs(alpha=ALPHA, n_voxels=N_VOXELS, n_permutations=PERMUTATIONS, subject=subject),
        what="map_reading",
        parameters=parameters,
        seed=args.seed,
        data={subject: nd.store.data_hash(train, features)},
    )
    inputs.write(stamped, data, args.out / "map_reading.nc")


if __name__ == "__main__":
    main()
