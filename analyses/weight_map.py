"""Where on the cortex are meaning, structure and the image latent read from? (Fig. 9a-c)

One decoder per family of feature spaces on all voxels of one subject; its weights and forward-model patterns are
reduced to one value a voxel. On the embedded lab both are scored against the planted voxels (ROC AUC).

    python analyses/weight_map.py --out results
    python analyses/weight_map.py --responses sub-01.nc --features features.nc --out results
"""

import numpy as np
import xarray as xr

import neurodecode as nd
from neurodecode import inputs
from neurodecode.datasets.lab.truth import map_auc

ALPHAS = np.logspace(0, 9, 10)
KINDS = ("filter", "pattern")


def main() -> None:
    args = inputs.arguments(__doc__, modality="fmri", subjects=1)
    data = inputs.read(args)
    subject, responses = next(iter(data.responses.items()))
    train = responses.isel(sample=nd.folds.select(responses, "train", who="train"))
    features = nd.brain.stack(inputs.families(data.features))
    decoder = nd.RidgeDecoder(alpha=ALPHAS).fit(train, features)
    maps = {kind: nd.spatial.weight_map(decoder, kind=kind, responses=train) for kind in KINDS}
    result = xr.Dataset(maps | {"regions": nd.brain.regions(responses)}, attrs={"subject": subject})
    if data.truth:
        scored = [map_auc(values, data.truth[subject]) for values in maps.values()]
        result["auc"] = xr.concat(scored, dim=xr.Variable("kind", list(KINDS)))
        print(result["auc"].to_pandas().round(3))
    parameters = {"alphas": ALPHAS.tolist(), "decoder": decoder, "kinds": KINDS}
    stamped = nd.store.stamp(
        result,
        what="weight_map",
        parameters=parameters,
        seed=args.seed,
        data={subject: nd.store.data_hash(train, features)},
    )
    inputs.write(stamped, data, args.out / "weight_map.nc")


if __name__ == "__main__":
    main()
