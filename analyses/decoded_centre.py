"""How well do the responses tell where an object is? The error that a linear decoder of the place itself leaves.

What stage 2 of a reconstruction is to be compared with. Ridge on the training stimuli, error on the test stimuli.

    python analyses/decoded_centre.py --size full --seed 1
"""

import argparse

import numpy as np

import neurodecode as nd
from neurodecode import inputs, pipeline


def main() -> None:
    args = arguments()
    data = pipeline.lab_data(args.modality, subject=args.subject, size=args.size, seed=args.seed)
    fits, truth = pipeline.Fits(data), data.truth
    place = nd.brain.features(
        np.stack([truth["object_x"].values, truth["object_y"].values], axis=1),
        stimulus=truth["stimulus"].values,
        layer="centre",
    )
    train, test = (place.sel(stimulus=part["stimulus"].values) for part in (fits.train, fits.test))
    known = place.sel(stimulus=np.unique(fits.train["stimulus"].values))
    grid = np.logspace(1, 5, 9)
    decoders = {
        "ridge on all responses": nd.RidgeDecoder(alpha=grid),
        f"ridge on the {pipeline.N_VOXELS} that correlate most": nd.RidgeDecoder(
            alpha=grid, n_voxels=pipeline.N_VOXELS, folds=5
        ),
    }
    found = {k: d.fit(fits.train, known).predict(fits.test).values for k, d in decoders.items()}
    found["mean of training"] = train.mean("stimulus").values
    for name, values in found.items():
        # -1 to 1 over the picture: 50 is a half of the width.
        error = 50 * np.linalg.norm(values - test.values, axis=1)
        sem = error.std(ddof=1) / np.sqrt(error.size)
        print(f"{name}: {error.mean():.2f} +- {sem:.2f} % of the width, n = {error.size} (simulated)")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modality", choices=inputs.MODALITIES, default="fmri")
    parser.add_argument("--subject", type=int, default=1)
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
