"""Does the code for meaning and structure stay the same over time? (temporal generalisation, King & Dehaene 2014)

Clusters of training by test windows above chance are tested over subjects, the largest over all spaces as null.

python analyses/generalisation.py --modality meg --out results
"""

import neurodecode as nd
from neurodecode import inputs

ALPHA = 100.0
WIDTH, STEP = 0.100, 0.050
SCORE = "pairwise"
# Of CLIP's layers the shallowest alone; a random sample of each space's dimensions stands for all (None: all).
DIMENSIONS = 256
WITHOUT = ("final",)


def main() -> None:
    args = inputs.arguments(__doc__, modality="meg")
    data = inputs.read(args)
    decoder = nd.RidgeDecoder(alpha=ALPHA)
    spaces = inputs.shallowest(data.features)
    features = inputs.thinned(spaces, DIMENSIONS, seed=args.seed, without=WITHOUT)
    score = nd.temporal.generalise(data.responses, features, decoder, width=WIDTH, step=STEP, score=SCORE)
    result = nd.inference.with_tests(score, seed=args.seed)
    inputs.write(result, data, args.out / f"generalisation_{args.modality}.nc")


if __name__ == "__main__":
    main()
