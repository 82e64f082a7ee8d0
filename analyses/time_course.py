"""When are meaning, structure and the image latent in EEG and MEG? (Fig. 9e-f)

A ridge decoder is fitted in every 100 ms window, in steps of 25 ms, and identifies the test stimuli (top-1). Clusters
of windows above chance are tested over subjects, the largest over all spaces as null; peaks have intervals.

    python analyses/time_course.py --modality meg --out results
    python analyses/time_course.py --responses sub-*-epo.fif --features features.nc --out results
"""

import numpy as np

import neurodecode as nd
from neurodecode import inputs
from neurodecode.datasets.lab.truth import peak_time

ALPHA = 100.0
WIDTH, STEP = 0.100, 0.025
SCORE = "top1"
# A random sample of each space's dimensions stands for all (None: all of them).
DIMENSIONS = 256
# CLIP's output is no part of the figure.
WITHOUT = ("final",)


def main() -> None:
    args = inputs.arguments(__doc__, modality="meg")
    data = inputs.read(args)
    decoder = nd.RidgeDecoder(alpha=ALPHA)
    features = inputs.thinned(data.features, DIMENSIONS, seed=args.seed, without=WITHOUT)
    score = nd.temporal.sweep(data.responses, features, decoder, width=WIDTH, step=STEP, score=SCORE)
    print(score.mean(("subject", "fold")).to_pandas().round(3).to_string())
    result = nd.inference.with_tests(score, seed=args.seed)
    if "latency" in result:
        print(result[["latency", "latency_low", "latency_high"]].sel(measure="peak").to_dataframe().round(3))
    if data.truth:
        result = result.assign(peak=next(iter(data.truth.values()))["peak"].sel(layer=score.layer))
        best = peak_time(score.mean(("subject", "fold"), keep_attrs=True))
        print("peak (s): found, planted\n", np.column_stack([score.layer, best, result.peak]))
    inputs.write(result, data, args.out / f"time_course_{args.modality}.nc")


if __name__ == "__main__":
    main()
