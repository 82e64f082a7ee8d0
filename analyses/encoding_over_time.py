"""When, and at which sensors, do feature spaces predict the signal? Encoders of every channel at every time.

All channels and times are targets of one fit for each feature space and subject; r of held-out stimuli. On the lab
(simulated EEG or MEG) the peak of each curve stands against the time at which the space was planted.

    python analyses/encoding_over_time.py --modality meg --subjects 3 --out results
    python analyses/encoding_over_time.py --responses s1-epo.fif s2-epo.fif --features c.nc z.nc --out results
"""

import numpy as np
import xarray as xr

import neurodecode as nd
from neurodecode import inputs
from neurodecode.datasets.lab import truth

SPACES = ("c", "Linear-2", "z")
# One penalty for all channels and times: curves are then not bent by what was chosen where.
ALPHA = 1e4


def main() -> None:
    args = inputs.arguments(__doc__, modality="meg", subjects=3)
    data = inputs.read(args)
    spaces = {k: v for k, v in data.features.items() if k in SPACES} or dict(data.features)
    score = nd.encoding.score(data.responses, spaces, nd.RidgeEncoder(ALPHA))
    result = xr.Dataset({"score": score, "strongest": strongest(score)}, attrs=score.attrs)
    if data.truth:
        planted = next(iter(data.truth.values()))["peak"].sel(layer=score["layer"].values)
        result["planted"] = planted.drop_vars("population", errors="ignore")
    report(result)
    inputs.write(result, data, args.out / "encoding_over_time.nc")


def strongest(score: xr.DataArray) -> xr.DataArray:
    """Mean r of the tenth of the channels with the largest mean r over times and subjects: (layer, time, subject).

    The same channels for every subject and time, so that no curve is a maximum over channels at each time. They are
    chosen on these very scores: heights come out a little too large, times do not.
    """
    mean = score.mean(["time", "subject", "fold"])
    n = max(1, round(0.1 * score.sizes["channel"]))
    kept = [
        one.isel(channel=np.argsort(-one_mean.values, kind="stable")[:n]).mean("channel")
        for one, one_mean in zip(score.mean("fold"), mean, strict=True)
    ]
    return xr.concat(kept, dim="layer").assign_attrs(score.attrs)


def report(result: xr.Dataset) -> None:
    curve = result["strongest"].mean("subject")
    peak = truth.peak_time(curve.rename(time="window").assign_attrs(chance=0.0))
    table = {"largest r": curve.max("time"), "peak (ms)": 1000 * peak}
    if "planted" in result:
        table["planted (ms)"] = 1000 * result["planted"]
    print(xr.Dataset(table).reset_coords(drop=True).to_dataframe().round(3))


if __name__ == "__main__":
    main()
