"""Does the code for meaning and structure stay the same over time? (temporal generalisation, King & Dehaene 2014)

python analyses/generalisation.py --modality meg --out results
"""

import neurodecode as nd
from neurodecode import inputs

ALPHA = 3e3
WIDTH, STEP = 0.100, 0.050
SCORE = "pairwise"


def main() -> None:
    args = inputs.arguments(__doc__, modality="meg")
    data = inputs.read(args)
    decoder = nd.RidgeDecoder(alpha=ALPHA)
    features = inputs.families(data.features)
    score = nd.temporal.generalise(data.responses, features, decoder, width=WIDTH, step=STEP, score=SCORE)
    inputs.write(score, data, args.out / f"generalisation_{args.modality}.nc")


if __name__ == "__main__":
    main()
