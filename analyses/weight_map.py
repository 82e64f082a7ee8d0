"""Where on the cortex are meaning, structure and the image latent read from? (Fig. 9a-c)

One decoder reads every feature from the voxels of one subject that correlate most with it; its weights, forward-model
patterns and selection are reduced to one value a voxel and feature space. Patterns are tested, voxel by voxel, against
those of decoders of features that were shuffled over stimuli (of numbered layers, the first): figures show the voxels
that pass. On the embedded lab maps are scored against the planted voxels (ROC AUC, and shares that pass).

    python analyses/weight_map.py --out results
    python analyses/weight_map.py --permutations 999 --blocks session --out results
    python analyses/weight_map.py --responses sub-01.nc --features features.nc --out results
"""

import argparse

import pandas as pd
import xarray as xr

import neurodecode as nd
from neurodecode import inputs
from neurodecode.datasets.lab.truth import map_auc

# The paper's method: every feature is read from the voxels that correlate most with it.
N_VOXELS = 250
ALPHA = 100.0
KINDS = ("filter", "pattern", "selection")
# A random sample of each space's dimensions stands for all (None: all of them).
DIMENSIONS = 128
# Shuffles by which voxels are made comparable, before those of the test.
PILOT = 50
# CLIP's output is no part of the figure.
WITHOUT = ("final",)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    inputs.add_arguments(parser)
    parser.add_argument("--permutations", type=int, default=199, help="0: no test")
    parser.add_argument(
        "--blocks", help="sample coordinate: stimuli change places within its values (session)"
    )
    parser.set_defaults(modality="fmri", subjects=1)
    return inputs.parsed(parser)


def tested(
    responses: xr.DataArray, features: dict[str, xr.DataArray], args: argparse.Namespace
) -> xr.Dataset:
    """P of every voxel's pattern, (tested, voxel), of the same decoders as the maps."""
    test = nd.spatial.map_permutation(
        nd.RidgeDecoder(alpha=ALPHA, n_voxels=N_VOXELS),
        responses,
        nd.brain.stack(inputs.shallowest(features)),
        blocks=args.blocks,
        n_permutations=args.permutations,
        n_pilot=PILOT,
        seed=args.seed,
    )
    names = ["z_score", "p", "p_fdr", "p_max"]
    return test[names].rename(layer="tested")


def found(p: xr.DataArray, carries: xr.DataArray) -> pd.DataFrame:
    """Shares of the voxels with p <= .05 among those that carry the space, and among those that carry none."""
    own = carries.sel(layer=p["tested"].values).rename(layer="tested")
    passed = p <= 0.05
    parts = {
        "carry it": passed.where(own).mean("voxel"),
        "carry none": passed.where(~carries.any("layer")).mean("voxel"),
    }
    return xr.Dataset(parts).to_dataframe()


def main() -> None:
    args = arguments()
    data = inputs.read(args)
    subject, responses = next(iter(data.responses.items()))
    train = responses.isel(sample=nd.folds.select(responses, "train", who="train"))
    spaces = inputs.thinned(data.features, DIMENSIONS, seed=args.seed, without=WITHOUT)
    features = nd.brain.stack(spaces)
    decoder = nd.RidgeDecoder(alpha=ALPHA, n_voxels=N_VOXELS).fit(train, features)
    maps = {kind: nd.spatial.weight_map(decoder, kind=kind, responses=train) for kind in KINDS}
    result = xr.Dataset(
        maps | {"regions": nd.brain.regions(responses)},
        attrs={"subject": subject, "n_permutations": args.permutations, "n_stimuli": train.sizes["sample"]},
    )
    if args.permutations:
        result = result.assign(tested(train, spaces, args))
        print("share of voxels with p <= .05, false discoveries (p_fdr) or largest of all (p_max):")
        print((result[["p_fdr", "p_max"]] <= 0.05).mean("voxel").to_dataframe().round(3))
    if data.truth:
        scored = [map_auc(values, data.truth[subject]) for values in maps.values()]
        result["auc"] = xr.concat(scored, dim=xr.Variable("kind", list(KINDS)))
        print(result["auc"].transpose("layer", "kind").to_pandas().round(3))
        if args.permutations:
            print(found(result["p_fdr"], data.truth[subject]["carries"]).round(3))
    stamped = nd.store.stamp(
        result,
        what="weight_map",
        parameters={
            "decoder": decoder,
            "kinds": KINDS,
            "permutations": args.permutations,
            "blocks": args.blocks,
        },
        seed=args.seed,
        data={subject: nd.store.data_hash(train, features)},
    )
    inputs.write(stamped, data, args.out / "weight_map.nc")


if __name__ == "__main__":
    main()
