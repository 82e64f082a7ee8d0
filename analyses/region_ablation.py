"""Which regions carry meaning, structure and the image latent? (Fig. 7)

A ridge decoder is refitted for every set of regions and every feature space, and scored on test stimuli.
Bars are tested against chance, and the two regions against each other, over subjects; noise ceilings are those of the
decoders' predictions, where test stimuli were repeated.

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
PAIR = ("LVC", "HVC")
# A random sample of each space's dimensions stands for all (None: all of them).
DIMENSIONS = 256
# CLIP's output is no part of the figure.
WITHOUT = ("final",)


def repeated(data: inputs.Inputs) -> bool:
    """Whether test stimuli of every subject were shown more than once, so that their noise can be seen."""
    shown = {**data.responses, **data.trials}
    tests = [r["stimulus"].values[nd.folds.select(r, "test", who="test")] for r in shown.values()]
    return all(len(set(stimuli.tolist())) < len(stimuli) for stimuli in tests)


def main() -> None:
    args = inputs.arguments(__doc__, modality="fmri")
    data = inputs.read(args)
    decoder = nd.RidgeDecoder(alpha=ALPHA, n_voxels=N_VOXELS)
    features = inputs.thinned(data.features, DIMENSIONS, seed=args.seed, without=WITHOUT)
    score = nd.spatial.decode(data.responses, features, decoder, regions=REGIONS, score=SCORE)
    print(score.mean(("subject", "fold")).transpose("layer", "region").to_pandas().round(3))
    result = nd.inference.with_tests(score, pair=PAIR, seed=args.seed)
    if "contrast_p" in result:
        print(f"{PAIR[0]} against {PAIR[1]}, p by Holm:", result["contrast_p"].to_pandas().round(4), sep="\n")
    if repeated(data):
        trials = data.trials or None
        ceiling = nd.spatial.ceiling(data.responses, features, decoder, trials=trials, regions=REGIONS)
        result = result.assign(ceiling=ceiling)
    inputs.write(result, data, args.out / "region_ablation.nc")


if __name__ == "__main__":
    main()
