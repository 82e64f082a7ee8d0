"""Do low- and high-level visual cortex differ in what is read from them? (Fig. 9d)

Weight maps of every subject are averaged over the voxels of LVC and HVC, with intervals that know how smooth the maps
are. Bars are tested against the whole map, and the two regions against each other over subjects.

    python analyses/region_profile.py --out results
"""

import xarray as xr

import neurodecode as nd
from neurodecode import inputs

REGIONS = ("LVC", "HVC")
# The paper's method: every feature is read from the voxels that correlate most with it.
N_VOXELS = 250
ALPHA = 100.0
KIND = "pattern"
# What voxels are tested by, with or without positions.
VOXELS = {"smooth": "Student's t by the map's smoothness", "white": "permuting voxels"}
PERMUTATIONS = 1000
# A random sample of each space's dimensions stands for all (None: all of them).
DIMENSIONS = 256
# CLIP's output is no part of the figure.
WITHOUT = ("final",)


def contrasted(
    maps: dict[str, xr.DataArray], profile: xr.Dataset, seed: int
) -> tuple[xr.Dataset, xr.DataArray]:
    """The difference of the two regions, and its p over subjects; of a single subject, over its voxels."""
    of_voxels = nd.spatial.contrast(maps, pair=REGIONS, n_permutations=PERMUTATIONS, seed=seed)
    if len(maps) == 1:
        pair = {"pair": f"{REGIONS[0]} - {REGIONS[1]}"}
        test = f"{VOXELS[of_voxels.attrs['noise']]} of 1 subject, Benjamini-Hochberg"
        return of_voxels, nd.inference.fdr(of_voxels["p"])["p"].assign_attrs(test=test, **pair)
    # The whole map's mean, which is taken off here, is off their difference too.
    above = profile["above"].assign_attrs(chance=0.0)
    return of_voxels, nd.inference.with_tests(above, pair=REGIONS)["contrast_p"]


def main() -> None:
    args = inputs.arguments(__doc__, modality="fmri")
    data = inputs.read(args)
    features = nd.brain.stack(inputs.thinned(data.features, DIMENSIONS, seed=args.seed, without=WITHOUT))
    decoder = nd.RidgeDecoder(alpha=ALPHA, n_voxels=N_VOXELS)
    maps = {}
    for subject, responses in data.responses.items():
        train = responses.isel(sample=nd.folds.select(responses, "train", who="train"))
        fitted = decoder.fit(train, features)
        maps[subject] = nd.spatial.weight_map(fitted, kind=KIND, responses=train)
    profile = nd.spatial.region_profile(maps, REGIONS, n_permutations=PERMUTATIONS, seed=args.seed)
    test = f"{VOXELS[profile.attrs['noise']]}, Benjamini-Hochberg"
    bars = nd.inference.fdr(profile["p"])["p"].assign_attrs(test=test)
    contrast, p_between = contrasted(maps, profile, args.seed)
    print(
        profile["mean"].transpose("layer", "region").to_pandas().round(3),
        p_between.to_pandas().round(4),
        sep="\n",
    )
    result = profile.assign(p_corrected=bars, contrast=contrast["difference"], contrast_p=p_between)
    stamped = nd.store.stamp(
        result,
        what="region_profile",
        parameters={
            "decoder": decoder,
            "kind": KIND,
            "regions": REGIONS,
            "permutations": PERMUTATIONS,
        },
        seed=args.seed,
        data={s: nd.store.data_hash(r) for s, r in data.responses.items()},
    )
    inputs.write(stamped, data, args.out / "region_profile.nc")


if __name__ == "__main__":
    main()
