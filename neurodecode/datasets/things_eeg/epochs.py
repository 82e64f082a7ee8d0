"""Filtered, cut, baselined and resampled epochs, a few minutes of a recording at a time.

A zero-phase FIR filter needs half its length of signal on both sides and no more, so a stretch that is longer by that
gives the very numbers of the whole recording. At the ends of the recording the signal is reflected as mne does it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .recordings import Voltages

# A block: so many epochs at most, whose onsets lie within so many seconds.
EVENTS = 256
SPAN = 120.0


@dataclass(frozen=True)
class Cut:
    """How epochs are made: ``band`` in Hz, ``window`` and ``baseline`` in s from onset, ``rate`` in Hz."""

    sfreq: float
    band: tuple[float | None, float | None] | None
    window: tuple[float, float]
    rate: float
    baseline: tuple[float | None, float | None] | None

    @property
    def start(self) -> int:
        """First sample of an epoch, from onset."""
        return round(self.window[0] * self.sfreq)

    @property
    def stop(self) -> int:
        """First sample after an epoch, from onset; the end of the window belongs to it."""
        return round(self.window[1] * self.sfreq) + 1

    @property
    def times(self) -> np.ndarray:
        """Of the resampled epoch, in s."""
        count = max(round(self.rate / self.sfreq * (self.stop - self.start)), 1)
        return self.start / self.sfreq + np.arange(count) / self.rate


def blocks(onset: np.ndarray, sfreq: float) -> Iterator[slice]:
    """Parts of increasing onsets, each with few epochs and not long."""
    first = 0
    while first < len(onset):
        near = int(np.searchsorted(onset, onset[first] + SPAN * sfreq, side="right"))
        last = min(first + EVENTS, near)
        yield slice(first, last)
        first = last


def inside(onset: np.ndarray, samples: int, cut: Cut) -> np.ndarray:
    """Which epochs lie wholly in the recording."""
    return np.asarray((onset + cut.start >= 0) & (onset + cut.stop <= samples))


def epochs(voltages: Voltages, rows: list[int], samples: int, onset: np.ndarray, cut: Cut) -> np.ndarray:
    """Epochs (sample, channel, time) in V, float32, as mne makes them of the whole filtered recording."""
    from mne.baseline import rescale
    from mne.filter import resample
    from scipy.signal import oaconvolve

    taps = _taps(cut.sfreq, cut.band)
    half = len(taps) // 2
    first, last = int(onset.min()) + cut.start, int(onset.max()) + cut.stop
    signal = _beyond_ends(voltages, rows, first - half, last + half, samples)
    at = (onset + cut.start - first)[:, None] + np.arange(cut.stop - cut.start)
    seconds = np.arange(cut.start, cut.stop) / cut.sfreq
    values = np.empty((len(onset), len(rows), len(cut.times)), np.float32)
    for channel, row in enumerate(signal):
        filtered = oaconvolve(row, taps, mode="valid") if len(taps) > 1 else row
        cuts = rescale(filtered[at], seconds, cut.baseline, copy=False, verbose="error")
        if cut.rate != cut.sfreq:
            # As mne.Epochs.resample does by default.
            cuts = resample(cuts, cut.rate, cut.sfreq, npad="auto", pad="edge", method="fft", verbose="error")
        values[:, channel] = cuts
    return values


@lru_cache(maxsize=4)
def _taps(sfreq: float, band: tuple[float | None, float | None] | None) -> np.ndarray:
    """Coefficients of mne's default filter, a symmetric FIR of odd length; one of 1 where nothing is filtered.

    They are the same for every block, and 33,001 of them take a while.
    """
    from mne.filter import create_filter

    taps = np.ones(1) if band is None else np.array(create_filter(None, sfreq, *band, verbose="error"))
    taps.flags.writeable = False
    return taps


def _beyond_ends(voltages: Voltages, rows: list[int], first: int, last: int, samples: int) -> np.ndarray:
    """Signal (channel, time) that goes on beyond the ends: turned about the end point, then 0."""
    reach = samples - 1
    parts = [voltages.read(rows, max(first, 0), min(last, samples))]
    if first < 0:
        count = min(-first, reach)
        end = voltages.read(rows, 0, count + 1)
        parts.insert(0, 2 * end[:, :1] - end[:, :0:-1])
        parts.insert(0, np.zeros((len(rows), -first - count)))
    if last > samples:
        count = min(last - samples, reach)
        end = voltages.read(rows, samples - count - 1, samples)
        parts.append(2 * end[:, -1:] - end[:, -2::-1])
        parts.append(np.zeros((len(rows), last - samples - count)))
    return np.concatenate(parts, axis=1)
