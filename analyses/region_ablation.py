"""Which regions carry meaning, structure and the image latent? (Fig. 7)

A ridge decoder is refitted for every set of regions and every feature space, and scored on test stimuli.

    python analyses/region_ablation.py --out results
    python analyses/region_ablation.py --responses sub-*.nc --features features.nc --out results
"""

import neurodecode as nd
from neurodecode import inputs

REGIONS = ("LVC+HVC", "LVC", "HVC")
# The paper's method: every feature is read from the voxels that correlate most with it.
N_VOXELS = 250
ALPHA = 100.0
SCORE = "profile"
# A random sample of each space's dimensions stands for all (None: all of them).
DIMENSIONS = 256
# CLIP's output is no part of the figure.
WITHOUT = ("final",)


def main() -> None:
    args = inputs.arguments(__doc__, modality="fmri")
    data = inputs.read(args)
    decoder = nd.RidgeDecoder(alpha=ALPHA, n_voxels=N_VOXELS)
    features = inputs.thinned(data.features, DIMENSIONS, seed=args.seed, without=WITHOUT)
    score = nd.spatial.decode(data.responses, features, decoder, regions=REGIONS, score=SCORE)
    print(score.mean(("subject", "fold")).transpose("layer", "region").to_pandas().round(3))
    result = nd.inference.above_chance(score)
    inputs.write(result, data, args.out / "region_ablation.nc")


if __name__ == "__main__":
    main()
