"""Floor 2: how good can a score be? Noise ceilings of responses from repeats of a stimulus.

Model: the response to trial j of stimulus i is mean + s_i + e_ij, with signal variance over stimuli and noise variance
over trials, of every voxel (or channel and time) on its own. The mean of n trials has the reliability

    signal / (signal + noise / n),

its explainable variance as a share: the "noise ceiling in percent", divided by 100. Its root, the ``ceiling``, bounds a
correlation over stimuli with those measured means: a prediction that equals s_i reaches it on average. Such is the
score of an encoder, which predicts responses. No decoder's score of features, which many voxels serve, is bounded so.

Whatever is alike in all trials of a stimulus counts as signal (also order or block effects that its trials share), all
else as noise.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from scipy import sparse

from . import brain, folds, score, store
from .checks import require_counts, require_numbers, require_share
from .labels import (
    KEPT,
    SAMPLE,
    STIMULUS,
    groups,
    listed,
    require_array,
    require_coord,
    require_copy,
    require_dims,
    require_draws,
    require_filled,
    require_finite,
    require_known,
    require_real,
    require_same,
    require_squares,
)
from .solve.intervals import reach_by_t

Labelled = TypeVar("Labelled", xr.DataArray, xr.Dataset)
# Values of one temporary array; columns are taken so many at a time that none is larger.
BUDGET = 2**20
CEILING_UNITS = "Pearson r"
# What an R2 says of the samples about whose mean it is.
ABOUT = ("test_samples", "test_stimuli")


@dataclass(frozen=True)
class _Trials:
    """Samples sorted by stimulus: responses, how many each stimulus has, and what a user's ``n`` comes to."""

    responses: xr.DataArray
    counts: np.ndarray
    n: float

    @property
    def starts(self) -> np.ndarray:
        """First row of each stimulus."""
        return np.concatenate([[0], np.cumsum(self.counts)[:-1]])


def ncsnr(
    responses: xr.DataArray,
    *,
    samples: Any = None,
    by: str = STIMULUS,
    n: float | None = None,
    level: float = 0.95,
    n_bootstrap: int = 200,
    seed: int = 0,
) -> xr.Dataset:
    """Estimate signal and noise of single trials, and the ceiling, by the analysis of variance over repeats.

    One-way random effects: with k stimuli, N trials, n_i of stimulus i, mean squares B between and W within stimuli,
    noise = W and signal = (B - W) / n0, n0 = (N - sum n_i^2 / N) / (k - 1) (Searle, Casella & McCulloch 1992);
    ncsnr = sqrt(signal / noise), 0 where B < W (Allen et al. 2022). With n trials of each, signal is Sahani &
    Linden's (2003) signal power, but for what repeats have in common, and the ceiling Schoppe et al.'s (2016) CCmax.

    Parameters
    ----------
    responses : (sample, voxel), (sample, channel, time) or any (sample, ...)
        Single trials, or averages of equally many; every sample is one repeat.
    samples : sample ids, boolean mask, or name of a split
        The samples that will be scored, and no others: ceilings of test scores are what test samples may be used for.
        May be left out only where there are no splits.
    by : str
        Sample coordinate whose values were repeated.
    n : float, optional
        Trials averaged in the responses that will be scored. Default: the harmonic mean of the repeats.
    level : float
        Of the interval.
    n_bootstrap, seed : int
        Bootstrap samples of stimuli; 0: no interval (NaN).

    Returns
    -------
    Dataset of the other dims of ``responses``
        ``ceiling`` (r) with limits ``low`` and ``high``, ``reliability`` (its square), ``ncsnr``; ``signal_variance``
        (unbiased, hence also negative) and ``noise_variance`` of a trial, in the square of the responses' units. NaN
        where responses do not vary. Attrs n, stimuli, trials, by, level, n_bootstrap, provenance. Limits are those of
        log B/W, the estimate plus and minus Student's t (k - 1) times its standard deviation over bootstrap samples of
        whole stimuli: on this scale the estimate's spread is about the same whatever the truth, as for Fisher's z.

    Raises
    ------
    ValueError
        No stimulus with two samples, fewer than 3 stimuli, NaN or infinite values, splits and no ``samples``, averages
        of unequal numbers of trials, unknown names.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd, xarray as xr
    >>> rng = np.random.default_rng(0)
    >>> stimulus = np.repeat(np.arange(50), 3)
    >>> values = rng.normal(size=(50, 2))[stimulus] + rng.normal(size=(150, 2)) * [0.1, 10.0]
    >>> responses = nd.brain.fmri(values, sample=range(150), stimulus=stimulus)
    >>> ceiling = nd.ceilings.ncsnr(responses)["ceiling"]
    >>> bool(ceiling[0] > 0.95), bool(ceiling[1] < 0.7)
    (True, True)
    """
    trials = _trials(responses, samples, by=by, n=n)
    _require_settings(level, n_bootstrap, seed)
    k, counts = trials.counts.size, trials.counts.astype(float)
    n0 = float(counts.sum() - (counts**2).sum() / counts.sum()) / (k - 1)
    draws = _draws(k, n_bootstrap, seed)
    # Where few stimuli were repeated, a bootstrap sample may hold none of them.
    draws = draws[draws @ (counts - 1) > 0]

    def block(values: np.ndarray) -> np.ndarray:
        means, within = _means(values, trials)
        between, noise = _mean_squares(means, within, counts, np.ones((1, k)))
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = np.log(np.divide(*_mean_squares(means, within, counts, draws)))
        return np.stack([between[0], noise[0], _spread(drawn)])

    between, noise, spread = _by_columns(block, trials, width=max(len(draws), len(counts)))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = between / noise
        low, high = _limits(np.log(ratio), spread, level=level, k=k)

    def snr(ratio: np.ndarray) -> np.ndarray:
        return np.sqrt(np.maximum(ratio - 1, 0) / n0)

    found = {
        "ceiling": _bound(snr(ratio), trials.n),
        "low": _bound(snr(np.exp(low)), trials.n),
        "high": _bound(snr(np.exp(high)), trials.n),
        "ncsnr": snr(ratio),
        "signal_variance": np.where(np.isnan(ratio), np.nan, (between - noise) / n0),
        "noise_variance": np.where(np.isnan(ratio), np.nan, noise),
    }
    parameters = {"by": by, "n": trials.n, "level": level, "n_bootstrap": n_bootstrap}
    return _stamped(found, trials, what="ceilings.ncsnr", parameters=parameters, seed=seed)


def split_half(
    responses: xr.DataArray,
    *,
    samples: Any = None,
    by: str = STIMULUS,
    n: float | None = None,
    splits: int = 50,
    level: float = 0.95,
    n_bootstrap: int = 200,
    seed: int = 0,
) -> xr.Dataset:
    """Estimate reliability and ceiling from the correlation of halves of the repeats, by Spearman and Brown.

    The repeats of every stimulus are split at random into two halves of m_i = floor(n_i / 2) trials (of an odd number
    another one is left out each time); r is the Pearson correlation over stimuli of the halves' means, its plain mean
    over splits (Fisher's z would be infinite for a response without noise, and overstates small r). From halves of m
    trials, the harmonic mean of m_i, to n trials: n / m r / (1 + (n / m - 1) r) (Spearman 1910, Brown 1910).

    Parameters
    ----------
    responses, samples, by, n, level, n_bootstrap, seed : see :func:`ncsnr`
        Stimuli with one sample do not enter, except into the default of ``n``.
    splits : int
        How many random splits.

    Returns
    -------
    Dataset of the other dims of ``responses``
        ``ceiling`` (r) with limits ``low`` and ``high``, ``reliability`` (its square), and ``half``, the mean r of the
        halves, which may be negative where the ceiling is 0. Limits as for :func:`ncsnr`, with Fisher's z of ``half``.
        Attrs as there, and splits.

    Raises
    ------
    ValueError
        As :func:`ncsnr`, with fewer than 3 repeated stimuli.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd, xarray as xr
    >>> rng = np.random.default_rng(0)
    >>> stimulus = np.repeat(np.arange(50), 2)
    >>> values = rng.normal(size=(50, 1))[stimulus] + 0.1 * rng.normal(size=(100, 1))
    >>> responses = nd.brain.fmri(values, sample=range(100), stimulus=stimulus)
    >>> bool(nd.ceilings.split_half(responses)["ceiling"] > 0.95)
    True
    """
    trials = _trials(responses, samples, by=by, n=n)
    _require_settings(level, n_bootstrap, seed)
    require_counts(splits=splits)
    if splits < 1:
        raise ValueError(f"splits must be at least 1, got {splits}")
    repeated = trials.counts >= 2
    if repeated.sum() < 3:
        raise ValueError(
            f"halves are correlated over stimuli with at least 2 samples each, but of {repeated.size} {by!r} only "
            f"{int(repeated.sum())} have them and 3 are needed; use ncsnr, or more repeats"
        )
    k = int(repeated.sum())
    sizes = trials.counts[repeated] // 2
    halves = _halves(trials, splits, np.random.default_rng([seed, 1]))
    draws = np.concatenate([np.ones((1, k)), _draws(k, n_bootstrap, seed)])

    def block(values: np.ndarray) -> np.ndarray:
        r = np.zeros((len(draws), values.shape[1]))
        for a, b in halves:
            r += _correlations(a @ values, b @ values, draws) / splits
        r[:, values.min(axis=0) == values.max(axis=0)] = np.nan
        with np.errstate(divide="ignore"):
            return np.stack([r[0], _spread(np.arctanh(np.clip(r[1:], -1, 1)))])

    half, spread = _by_columns(block, trials, width=max(len(draws), len(trials.responses)))
    with np.errstate(divide="ignore"):
        low, high = _limits(np.arctanh(np.clip(half, -1, 1)), spread, level=level, k=k)
    times = trials.n * float((1 / sizes).mean())

    def bound(r: np.ndarray) -> np.ndarray:
        r = np.clip(r, 0, 1)
        return np.sqrt(times * r / (1 + (times - 1) * r))

    found = {
        "ceiling": bound(half),
        "low": bound(np.tanh(low)),
        "high": bound(np.tanh(high)),
        "half": half,
    }
    parameters = {"by": by, "n": trials.n, "splits": splits, "level": level, "n_bootstrap": n_bootstrap}
    return _stamped(found, trials, what="ceilings.split_half", parameters=parameters, seed=seed)


def by_region(ceilings: Labelled, *, regions: Any = None) -> Labelled:
    """Average ceilings (or scores) over the voxels of each region.

    The mean ceiling bounds the region's mean score. Ceilings are noisy and clipped at 0: of voxels without signal they
    average to more than 0. The mean of ``low`` and ``high`` is an interval as if all voxels erred alike: too wide.

    Parameters
    ----------
    ceilings : array or Dataset (..., voxel) or (..., channel)
    regions : see :func:`neurodecode.brain.regions`

    Returns
    -------
    The same with ``region`` for ``voxel``; coordinate n_voxels. Voxels that are NaN do not count, nor are they counted.

    Raises
    ------
    ValueError
        As :func:`neurodecode.brain.regions`.

    Examples
    --------
    >>> import neurodecode as nd, xarray as xr
    >>> ceiling = xr.DataArray([0.2, 0.4, 0.9], {"roi": ("voxel", ["V1", "V1", "LO"])}, "voxel")
    >>> nd.ceilings.by_region(ceiling, regions=["V1", "LO"]).values.round(2).tolist()
    [0.3, 0.9]
    """
    one = ceilings if isinstance(ceilings, xr.DataArray) else next(iter(ceilings.data_vars.values()))
    masks = brain.regions(one, regions)
    dim = "voxel" if "voxel" in masks.dims else "channel"
    parts = [ceilings.isel({dim: mask}).mean(dim, keep_attrs=True) for mask in masks.values]
    joined = xr.concat(parts, dim=xr.Variable("region", masks.region.values), combine_attrs="override")
    known = one.notnull().any([d for d in one.dims if d != dim]).values
    return joined.assign_coords(n_voxels=("region", (masks.values & known).sum(axis=1)))


def normalise(scores: xr.DataArray, ceiling: xr.DataArray, *, least: float = 0.1) -> xr.Dataset:
    """Divide scores by their noise ceilings, and keep both.

    R2 about the mean of the n samples themselves is less than R2 about the true mean: what knows nothing but that mean
    comes to -1 / (n - 1), the signal itself to 1 - (1 - reliability) n / (n - 1). From the one to the other is divided:
    R2 as it would be about the true mean, by the reliability. Of shares of R2 only the one that all sets have in common
    holds the -1 / (n - 1). About the mean of N trials of n stimuli (1 - 1/n) of the signal's variance is left, and
    (1 - 1/N) of the noise's: with the reliability r of a trial, D = r (1 - 1/n) + (1 - r) (1 - 1/N) stands for 1 - 1/n.

    Parameters
    ----------
    scores : (..., voxel, ...)
        Correlations with responses, of the samples and the number of trials that the ceilings are for. R2 about the
        mean of its own samples says so by the attribute ``test_samples`` (and ``test_stimuli``, where some have
        several), as this package's does; without it, or infinite, R2 is taken to be about the true mean.
    ceiling : (voxel), (region), (channel, time) ...
        ``ceiling`` of :func:`ncsnr` or :func:`split_half`; for r2, ``reliability``; for a decoder's scores,
        :func:`neurodecode.spatial.ceiling`.
    least : float
        Below this ceiling a score is not divided: at .1 an error of the score has grown tenfold.

    Returns
    -------
    Dataset
        ``score``, ``ceiling``, which the score of the signal itself would have, and ``normalised``, score / ceiling (of
        R2 as above), signed and not cut off at 1, which noise may exceed; NaN where the ceiling given is unknown or
        below ``least``.

    Raises
    ------
    ValueError
        Other dims or labels, ceilings beyond 0 to 1 (percent?), of other units than the scores, another ``least``; a
        decoder's scores with ceilings of responses.

    Warns
    -----
    UserWarning
        How many ceilings are too low or NaN; for R2 without ``test_samples``.

    Examples
    --------
    >>> import neurodecode as nd, xarray as xr
    >>> score, ceiling = (xr.DataArray(v, dims="voxel", attrs={"units": "Pearson r"}) for v in ([0.2, 0.3], [0.4, 0.5]))
    >>> nd.ceilings.normalise(score, ceiling)["normalised"].values.round(2).tolist()
    [0.5, 0.6]
    """
    _require_matching(scores, ceiling)
    require_numbers(least=least)
    if not 0 < least < 1:
        raise ValueError(f"least is a ceiling between 0 and 1, got {least}")
    enough = ceiling >= least
    few = int((~enough).sum())
    if few:
        unknown = int(ceiling.isnull().sum())
        warnings.warn(
            f"{few} of {ceiling.size} ceilings are too low to divide by ({few - unknown} below {least:g}, {unknown} "
            "NaN): their normalised scores are NaN",
            UserWarning,
            stacklevel=2,
        )
    bare = ceiling.drop_vars([c for c in ceiling.coords if c not in ceiling.dims])
    reach, alone = _reached(scores, bare)
    normalised = (scores - alone) / reach.where(enough.drop_vars(enough.coords))
    attrs = {**scores.attrs, "units": "share of noise ceiling", "least": least}
    for name in ("provenance", *ABOUT):
        attrs.pop(name, None)
    data = {
        "score": scores,
        "normalised": normalised.transpose(*scores.dims).assign_attrs(attrs),
        "ceiling": (reach + alone).assign_attrs(bare.attrs),
    }
    return store.stamp(
        xr.Dataset(data),
        what="ceilings.normalise",
        parameters={
            "least": least,
            **{name: scores.attrs.get(name) for name in ABOUT if name in scores.attrs},
            "scores": scores.attrs.get("provenance"),
            "ceilings": ceiling.attrs.get("provenance"),
        },
        data={"scores": scores, "ceiling": ceiling},
    )


def _reached(scores: xr.DataArray, ceiling: xr.DataArray) -> tuple[xr.DataArray, Any]:
    """How far above what the true mean alone scores the signal itself comes, and that score; see :func:`normalise`."""
    n = scores.attrs.get("test_samples")
    if n is None:
        if "r2" in (scores.attrs.get("units"), ceiling.attrs.get("units")):
            warnings.warn(
                "R2 does not say about which mean it is (attribute 'test_samples', which means and arithmetic may "
                "drop), and is taken to be about the true one; give .assign_attrs(test_samples=n) of the n samples "
                "about whose mean it is, numpy.inf for the true one",
                UserWarning,
                stacklevel=3,
            )
        return ceiling, 0.0
    stimuli = scores.attrs.get("test_stimuli", n)
    kept = ceiling * (1 - 1 / stimuli) + (1 - ceiling) * (1 - 1 / n) if stimuli != n else 1 - 1 / n
    alone = scores.attrs.get("mean_alone", scores.coords.get("mean_alone", -1 / (n - 1)))
    return ceiling / kept, alone if stimuli == n else alone * (1 - n) * (1 - 1 / kept)


# --------------------------------------------------------------------------------------------- what is asked
def _trials(responses: xr.DataArray, samples: Any, *, by: str, n: float | None) -> _Trials:
    """Chosen samples, sorted by stimulus and in their order within it, checked."""
    require_dims(require_array(responses, who="responses"), [SAMPLE], who="responses")
    require_real(responses, who="responses")
    require_filled(responses, who="responses")
    if n is not None:
        require_numbers(n=n)
    if n is not None and not 1 <= n < np.inf:
        raise ValueError(f"n must be at least 1 trial, got {n}")
    rows = _chosen(responses, samples)
    labels = require_coord(responses, by, who="responses", dim=SAMPLE).values[rows]
    require_known(labels, by, who="responses")
    rank, first = groups(labels)
    counts = np.bincount(rank)
    _require_repeats(responses, counts, by=by)
    require_copy(responses, who="responses", times=2 * rows.size / responses.sizes[SAMPLE])
    chosen = responses.transpose(SAMPLE, ...).isel({SAMPLE: rows[np.argsort(rank, kind="stable")]})
    chosen = chosen.compute()
    require_finite(chosen, who="responses")
    require_squares(chosen, who="responses")
    _require_alike(chosen)
    return _Trials(chosen, counts, float(1 / (1 / counts).mean()) if n is None else float(n))


def _chosen(responses: xr.DataArray, samples: Any) -> np.ndarray:
    if samples is not None:
        return folds.select(responses, samples, who="samples")
    if "split" in responses.coords:
        found = np.unique(require_coord(responses, "split", who="responses", dim=SAMPLE).values)
        if found.size > 1:
            raise ValueError(
                f"responses hold the splits {listed(found)}: say which samples will be scored, as their ceiling comes "
                f"from them alone, e.g. samples={str(found[0])!r}"
            )
    return np.arange(responses.sizes[SAMPLE])


def _require_repeats(responses: xr.DataArray, counts: np.ndarray, *, by: str) -> None:
    if counts.size and counts.max() < 2:
        averaged = " They are averages already (coordinate 'trials')." if "trials" in responses.coords else ""
        raise ValueError(
            f"none of {counts.size} {by!r} has more than 1 sample: noise is seen in repeats only.{averaged} Give "
            "single trials (before brain.average_repeats), or name what was repeated with by=..."
        )
    if counts.size < 3:
        raise ValueError(
            f"a ceiling needs at least 3 different {by!r}, got {counts.size}; choose more samples or another by=..."
        )


def _require_alike(chosen: xr.DataArray) -> None:
    if "trials" not in chosen.coords or chosen.coords["trials"].dims != (SAMPLE,):
        return
    trials = chosen.coords["trials"].values
    if trials.min() != trials.max():
        raise ValueError(
            f"samples are averages of {trials.min()} to {trials.max()} trials, so their noise differs; give single "
            "trials, or averages of equally many"
        )


def _require_settings(level: float, n_bootstrap: int, seed: int) -> None:
    require_share(level=level)
    require_counts(n_bootstrap=n_bootstrap, seed=seed)
    if n_bootstrap == 1:
        raise ValueError(f"n_bootstrap must be 0 (no interval) or at least 2, got {n_bootstrap}")


def _require_matching(scores: xr.DataArray, ceiling: xr.DataArray) -> None:
    require_array(scores, who="scores")
    require_dims(scores, list(map(str, require_array(ceiling, who="ceiling").dims)), who="scores")
    made = _made(scores), _made(ceiling)
    # Means may lose what their ceilings were made by.
    if "decoders" in (made[0].get("parameters") or ()) and str(made[1].get("what")).startswith("ceilings."):
        raise ValueError(
            f"scores were made by {made[0].get('what')!r}: ceilings of responses bound encoders, and no "
            "decoder's score of features; its own ceiling is that of neurodecode.spatial.ceiling"
        )
    for dim in map(str, ceiling.dims):
        if dim in scores.coords and dim in ceiling.coords:
            require_same(scores, ceiling, dim, who=("scores", "ceilings"))
        elif scores.sizes[dim] != ceiling.sizes[dim]:
            raise ValueError(
                f"scores have {scores.sizes[dim]} along {dim!r} but ceilings {ceiling.sizes[dim]}; use the same {dim}s"
            )
    for array, who in ((scores, "scores"), (ceiling, "ceiling")):
        require_real(array, who=who)
    known = ceiling.values[~np.isnan(ceiling.values)]
    if known.size and (known.min() < 0 or known.max() > 1 + 1e-9):
        raise ValueError(
            f"ceilings lie from 0 to 1, found {known.min():g} to {known.max():g}; a noise ceiling in percent is "
            "100 r^2: give sqrt(percent / 100)"
        )
    said = [array.attrs.get("units") for array in (scores, ceiling)]
    units = [CEILING_UNITS if u == "r" else u for u in said]
    if None not in units and units[0] != units[1]:
        raise ValueError(
            f"scores are in {units[0]!r} but ceilings in {units[1]!r}: a correlation is divided by 'ceiling', r2 by "
            "'reliability', and other scores have no ceiling here; choose that one"
        )


def _made(result: xr.DataArray) -> dict[str, Any]:
    """How a result was made, as far as it says so; others' words under that name say nothing."""
    try:
        return dict(store.provenance(result))
    except ValueError:
        return {}


# ------------------------------------------------------------------------------------------------- arithmetic
def _by_columns(
    block: Callable[[np.ndarray], np.ndarray], trials: _Trials, *, width: int
) -> list[np.ndarray]:
    """Give a function some columns of the trials at a time, in float64, and join the rows that it returns."""
    flat = trials.responses.values.reshape(len(trials.responses), -1)
    step = max(1, BUDGET // max(width, len(flat)))
    parts = [block(flat[:, i : i + step].astype(np.float64)) for i in range(0, flat.shape[1], step)]
    return list(np.concatenate(parts, axis=1))


def _means(values: np.ndarray, trials: _Trials) -> tuple[np.ndarray, np.ndarray]:
    """Means of stimuli, without the grand mean, and sums of squares within them: (stimulus, column)."""
    centred = values - values.mean(axis=0)
    # What subtraction leaves of a constant column, or of equal trials, is rounding.
    centred[:, np.ptp(values, axis=0) == 0] = 0
    rounding = (1e-14 * np.abs(values).max(axis=0)) ** 2
    means = np.add.reduceat(centred, trials.starts) / trials.counts[:, None]
    within = np.add.reduceat((centred - np.repeat(means, trials.counts, axis=0)) ** 2, trials.starts)
    within[within <= trials.counts[:, None] * rounding] = 0
    return means, within


def _mean_squares(
    means: np.ndarray, within: np.ndarray, counts: np.ndarray, draws: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean squares between and within stimuli, each taken as often as ``draws`` (draw, stimulus) say."""
    total = (draws @ counts)[:, None]
    weights = draws * counts
    grand = weights @ means / total
    between = np.maximum(weights @ means**2 - total * grand**2, 0) / (len(counts) - 1)
    return between, draws @ within / (total - len(counts))


def _bound(snr: np.ndarray, n: float) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(snr), 1.0, score.noise_ceiling(snr, n=n))


def _halves(
    trials: _Trials, splits: int, rng: np.random.Generator
) -> list[tuple[sparse.csr_array, sparse.csr_array]]:
    """Pairs of averages (repeated stimulus, trial) of random halves."""
    stimulus = np.repeat(np.arange(trials.counts.size), trials.counts)
    size = trials.counts // 2
    kept = np.flatnonzero(size)
    place = np.arange(stimulus.size) - trials.starts[stimulus]

    def average(rows: np.ndarray, inside: np.ndarray) -> sparse.csr_array:
        entries = 1.0 / size[stimulus[inside]], (stimulus[inside], rows[inside])
        return sparse.csr_array(entries, shape=(trials.counts.size, stimulus.size))[kept]

    pairs = []
    for _ in range(splits):
        shuffled = np.lexsort((rng.random(stimulus.size), stimulus))
        first, second = place < size[stimulus], place >= size[stimulus]
        pairs.append((average(shuffled, first), average(shuffled, second & (place < 2 * size[stimulus]))))
    return pairs


def _correlations(a: np.ndarray, b: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Pearson r (draw, column) over stimuli taken as often as ``draws`` say; 0 where a side does not vary."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    k = draws.shape[1]
    mean_a, mean_b = draws @ a / k, draws @ b / k
    shared = draws @ (a * b) / k - mean_a * mean_b
    both = (draws @ a**2 / k - mean_a**2) * (draws @ b**2 / k - mean_b**2)
    return np.where(both > 0, shared / np.sqrt(np.where(both > 0, both, 1.0)), 0.0)


def _draws(k: int, n_bootstrap: int, seed: int) -> np.ndarray:
    """How often every stimulus is taken in a bootstrap sample: (draw, stimulus), all with 3 different ones or more."""
    require_draws(n_bootstrap, k, what="n_bootstrap")
    drawn = np.random.default_rng([seed, 0]).multinomial(k, np.full(k, 1 / k), size=n_bootstrap).astype(float)
    return drawn[(drawn > 0).sum(axis=1) >= 3]


def _spread(drawn: np.ndarray) -> np.ndarray:
    """Standard deviation over draws; 0 where all are infinite alike, as without noise."""
    if len(drawn) < 2:
        return np.full(drawn.shape[1], np.nan)
    alike = (drawn == drawn[0]).all(axis=0)
    with np.errstate(invalid="ignore"):
        return np.where(alike, 0.0, drawn.std(axis=0, ddof=1))


def _limits(
    estimate: np.ndarray, spread: np.ndarray, *, level: float, k: int
) -> tuple[np.ndarray, np.ndarray]:
    # Bootstrap samples of k spread by sqrt((k - 1) / k) too little (Hesterberg 2015).
    half = spread * np.sqrt(k / (k - 1)) * float(reach_by_t(level, k - 1))
    return estimate - half, estimate + half


# ---------------------------------------------------------------------------------------------------- results
def _stamped(
    found: dict[str, np.ndarray], trials: _Trials, *, what: str, parameters: dict[str, Any], seed: int
) -> xr.Dataset:
    """Labelled estimates with their units, and how they were made."""
    responses = trials.responses
    like = responses.isel({SAMPLE: 0}, drop=True)
    own = {k: v for k, v in like.coords.items() if SAMPLE not in responses.coords[k].dims}
    kept = {k: responses.attrs[k] for k in KEPT if k in responses.attrs}
    square = f"({responses.attrs.get('units', 'a.u.')})^2"
    units = dict.fromkeys(("ceiling", "low", "high", "half"), CEILING_UNITS) | {
        "reliability": "r2",
        "ncsnr": "signal SD / noise SD",
        "signal_variance": square,
        "noise_variance": square,
    }
    found = {**found, "reliability": found["ceiling"] ** 2}
    data = {
        name: (like.dims, values.reshape(like.shape), {**kept, "units": units[name]})
        for name, values in found.items()
    }
    counts = {"stimuli": trials.counts.size, "trials": int(trials.counts.sum())}
    result = xr.Dataset(data, coords=own, attrs={**kept, **parameters, **counts})
    result = store.stamp(result, what=what, parameters=parameters, seed=seed, data=responses)
    for name in ("ceiling", "reliability"):
        # What is taken out to divide by says how it was made, too.
        result[name].attrs["provenance"] = result.attrs["provenance"]
    return result
