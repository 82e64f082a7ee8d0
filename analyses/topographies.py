"""Over which sensors is what is decoded? (forward-model patterns per window, Haufe et al. 2014)

python analyses/topographies.py --modality meg --out results
"""

import neurodecode as nd
from neurodecode import inputs

ALPHA = 3e3
WIDTH, STEP = 0.100, 0.050


def main() -> None:
    args = inputs.arguments(__doc__, modality="meg")
    data = inputs.read(args)
    decoder = nd.RidgeDecoder(alpha=ALPHA)
    patterns = nd.temporal.patterns(
        data.responses, inputs.families(data.features), decoder, width=WIDTH, step=STEP
    )
    inputs.write(patterns, data, args.out / f"topographies_{args.modality}.nc")


if __name__ == "__main__":
    main()
