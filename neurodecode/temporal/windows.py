"""Time windows in seconds, on whatever sampling rate the data have."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..checks import as_numbers, require_numbers
from ..labels import require_choice

SCHEMES = ("sliding", "growing", "shrinking")


def windows(
    time: xr.DataArray | np.ndarray,
    *,
    width: float = 0.100,
    step: float = 0.025,
    scheme: str = "sliding",
    tmin: float | None = None,
    tmax: float | None = None,
) -> xr.Dataset:
    """Lay windows over a time axis.

    Parameters
    ----------
    time : (time) seconds from onset, evenly spaced
    width, step : float
        In seconds; both are realised on the nearest sample.
    scheme : {"sliding", "growing", "shrinking"}
        Windows of equal width; from the start to an end that moves on; from a start that moves on to the end (the
        narrowest is ``width``).
    tmin, tmax : float, optional
        Limits in seconds. Default: all of the data; growing and shrinking begin at onset (0 s) if it is there.

    Returns
    -------
    Dataset over ``window`` (the mean time of its samples, s)
        ``start``, ``stop``: times of the first and last sample, as coordinates; ``first``, ``size``: position and
        number of samples.

    Raises
    ------
    ValueError
        A width or step shorter than a sample or longer than the data (no step is too long where one window covers all),
        an unknown scheme.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> laid = nd.temporal.windows(np.arange(-10, 50) / 100, width=0.1, step=0.1)
    >>> laid.start.values.round(3)
    array([-0.1,  0. ,  0.1,  0.2,  0.3,  0.4])
    """
    require_choice(scheme, SCHEMES, what="scheme")
    limits = {"tmin": tmin, "tmax": tmax}
    require_numbers(width=width, step=step, **{k: v for k, v in limits.items() if v is not None})
    t = as_numbers(time, what="time", remedy="give seconds from onset")
    if t.ndim != 1 or t.size < 2:
        raise ValueError(f"time must be one axis of at least 2 samples, got shape {t.shape}")
    steps = np.diff(t)
    dt = float(steps.mean())
    if not np.isfinite(t).all() or (steps <= 0).any() or np.ptp(steps) > 0.01 * dt:
        raise ValueError(
            f"time must be finite, increasing and evenly spaced, but runs from {t[0]:g} to {t[-1]:g} s in steps of "
            f"{steps.min():g} to {steps.max():g} s; resample"
        )
    step = float(step)
    begin, end = _limits(t, dt, scheme, tmin, tmax)
    size = _samples(width, dt, end - begin, "width")
    # Where one window covers all, there is no next one, and no step is too long.
    _samples(step, dt, end - begin if size < end - begin else None, "step")
    # One more than whole steps fit: its start may be rounded down into the data.
    count = int(np.floor((end - begin - size) * dt / step)) + 2
    offsets = np.rint(np.arange(count) * step / dt + 1e-9)
    offsets = offsets[offsets + size <= end - begin].astype(int)
    first = np.full(offsets.size, begin) if scheme == "growing" else begin + offsets
    last = np.full(offsets.size, end) if scheme == "shrinking" else begin + offsets + size
    start, stop = t[first], t[last - 1]
    return xr.Dataset(
        {"first": ("window", first), "size": ("window", last - first)},
        coords={
            "window": ("window", np.round((start + stop) / 2, 9), {"units": "s"}),
            "start": ("window", start, {"units": "s"}),
            "stop": ("window", stop, {"units": "s"}),
        },
        attrs={"width": width, "step": step, "scheme": scheme, "sampling_interval": dt},
    )


def _limits(t: np.ndarray, dt: float, scheme: str, tmin: float | None, tmax: float | None) -> tuple[int, int]:
    """Positions of the first sample, and after the last, between the limits."""
    if tmin is None and scheme != "sliding" and t[0] <= 0 <= t[-1]:
        tmin = 0.0
    begin = 0 if tmin is None else int(np.searchsorted(t, tmin - 1e-6 * dt))
    end = t.size if tmax is None else int(np.searchsorted(t, tmax + 1e-6 * dt, side="right"))
    if begin >= end or tmin != tmin or tmax != tmax:  # NaN
        raise ValueError(
            f"no sample lies from tmin={tmin} to tmax={tmax} s; the data run from {t[0]:g} to {t[-1]:g} s"
        )
    return begin, end


def _samples(seconds: float, dt: float, most: int | None, name: str) -> int:
    """Seconds as a number of samples, refused below one or above ``most``."""
    seconds = float(seconds)  # whole numbers may be beyond NumPy's
    if not np.isfinite(seconds) or seconds < dt * (1 - 1e-6):
        raise ValueError(
            f"{name}={seconds:g} s is shorter than one sample ({dt:g} s at {1 / dt:g} Hz); give at least {dt:g}"
            + ("; is the time axis in milliseconds? Divide it by 1000" if dt >= 0.5 else "")
        )
    n = int(np.rint(seconds / dt))
    if most is not None and n > most:
        hint = "; is it in milliseconds? Give seconds" if seconds > 1 else ""
        raise ValueError(
            f"{name}={seconds:g} s is longer than the data, {most * dt:g} s ({most} samples){hint}"
        )
    return n
