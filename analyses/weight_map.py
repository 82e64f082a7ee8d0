"""Where on the cortex are meaning, structure and the image latent read from? (Fig. 9a-c)

One decoder reads every feature from the voxels of one subject that correlate most with it; its weights, forward-model
patterns and selection are reduced to one value a voxel and feature space. On the embedded lab they are
scored against the planted voxels (ROC AUC).

    python analyses/weight_map.py --out results
    python analyses/weight_map.py --responses sub-01.nc --features features.nc --out results
"""

import xarray as xr

import neurodecode as nd
from neurodecode import inputs
from neurodecode.datasets.lab.truth import map_auc

# The paper's method: every feature is read from the voxels that correlate most with it.
N_VOXELS = 250
ALPHA = 100.0
KINDS = ("filter", "pattern", "selection")
# A random sample of each space's dimensions stands for all (None: all of them).
DIMENSIONS = 256
# CLIP's output is no part of the figure.
WITHOUT = ("final",)


def main() -> None:
    args = inputs.arguments(__doc__, modality="fmri", subjects=1)
    data = inputs.read(args)
    subject, responses = next(iter(data.responses.items()))
    train = responses.isel(sample=nd.folds.select(responses, "train", who="train"))
    features = nd.brain.stack(inputs.thinned(data.features, DIMENSIONS, seed=args.seed, without=WITHOUT))
    decoder = nd.RidgeDecoder(alpha=ALPHA, n_voxels=N_VOXELS).fit(train, features)
    maps = {kind: nd.spatial.weight_map(decoder, kind=kind, responses=train) for kind in KINDS}
    result = xr.Dataset(maps | {"regions": nd.brain.regions(responses)}, attrs={"subject": subject})
    if data.truth:
        scored = [map_auc(values, data.truth[subject]) for values in maps.values()]
        result["auc"] = xr.concat(scored, dim=xr.Variable("kind", list(KINDS)))
        print(result["auc"].transpose("layer", "kind").to_pandas().round(3))
    stamped = nd.store.stamp(
        result,
        what="weight_map",
        parameters={"decoder": decoder, "kinds": KINDS},
        seed=args.seed,
        data={subject: nd.store.data_hash(train, features)},
    )
    inputs.write(stamped, data, args.out / "weight_map.nc")


if __name__ == "__main__":
    main()
