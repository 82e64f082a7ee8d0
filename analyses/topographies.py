"""Over which sensors is what is decoded? (forward-model patterns per window, Haufe et al. 2014)

python analyses/topographies.py --modality meg --out results
"""

import neurodecode as nd
from neurodecode import inputs

ALPHA = 100.0
WIDTH, STEP = 0.100, 0.050
# Of CLIP's layers the shallowest alone; a random sample of each space's dimensions stands for all (None: all).
DIMENSIONS = 256
WITHOUT = ("final",)


def main() -> None:
    args = inputs.arguments(__doc__, modality="meg")
    data = inputs.read(args)
    decoder = nd.RidgeDecoder(alpha=ALPHA)
    spaces = inputs.shallowest(data.features)
    features = inputs.thinned(spaces, DIMENSIONS, seed=args.seed, without=WITHOUT)
    patterns = nd.temporal.patterns(data.responses, features, decoder, width=WIDTH, step=STEP)
    inputs.write(patterns, data, args.out / f"topographies_{args.modality}.nc")


if __name__ == "__main__":
    main()
