"""How often mixed models find an effect where none is planted, at p <= .05: by what the model leaves out (simulated).

Prints a line a setting: the share of data sets with a finding, and that of fits that converged. About 4 minutes.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import xarray as xr

from neurodecode import inference

# Subjects, stimuli; SD of what trials share, SD of both interactions (residual 1); what the model is told.
SETTINGS = {
    "whole model": ((12, 15), 0.0, 0.6, {}),
    "whole model, Wald's z": ((12, 15), 0.0, 0.6, {"df": np.inf}),
    "whole model, df = 11": ((12, 15), 0.0, 0.6, {"df": 11}),
    "whole model, no interactions planted": ((12, 15), 0.0, 0.0, {}),
    "slopes=[]": ((12, 15), 0.0, 0.6, {"slopes": []}),
    "whole model, trials share noise of SD 2": ((12, 15), 2.0, 0.6, {}),
    "trials=False, trials share noise of SD 2": ((12, 15), 2.0, 0.6, {"trials": False}),
    "4 subjects, whole model": ((4, 30), 0.0, 0.6, {}),
    "4 subjects, Wald's z": ((4, 30), 0.0, 0.6, {"df": np.inf}),
    "4 subjects, df = 3": ((4, 30), 0.0, 0.6, {"df": 3}),
}


def simulated(size: tuple[int, int], shared: float, differ: float, *, seed: int) -> xr.DataArray:
    """Scores (subject, stimulus, region) of two regions without an effect."""
    rng = np.random.default_rng(seed)
    s, t = size
    parts = (1.0, (s, 1, 1)), (1.0, (1, t, 1)), (differ, (s, 1, 2)), (differ, (1, t, 2)), (shared, (s, t, 1))
    values = rng.normal(size=(s, t, 2))
    for sd, shape in parts:
        values = values + sd * rng.normal(size=shape)
    coords = {"subject": np.arange(s), "stimulus": np.arange(t), "region": ["LVC", "HVC"]}
    return xr.DataArray(values, dims=("subject", "stimulus", "region"), coords=coords)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=200, help="data sets a setting")
    n = parser.parse_args().n
    warnings.simplefilter("ignore", UserWarning)  # few subjects are the point here
    for name, (size, shared, differ, options) in SETTINGS.items():
        fits = [
            inference.mixed(simulated(size, shared, differ, seed=i), fixed="region", **options)
            for i in range(n)
        ]
        found = np.mean([fit["p"].values[1] <= 0.05 for fit in fits])
        print(
            f"{name}: {found:.1%} of {n}, converged {np.mean([f.attrs['converged'] for f in fits]):.0%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
