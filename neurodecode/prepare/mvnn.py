"""Multivariate noise normalisation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from neurodecode.labels import require_choice, require_coord, require_copy
from neurodecode.prepare.rows import (
    CONSTANT_ULPS,
    GROUP,
    blocks,
    eps,
    float_type,
    groups_of,
    like,
    names_of,
    of_group,
    require_columns,
    require_epochs,
    require_seen,
    rows_at_a_time,
    slices,
)

METHODS = ("time", "epoch", "pooled")


class MVNN(TransformerMixin, BaseEstimator):
    r"""Multivariate noise normalisation: whiten sensors by their noise covariance (Guggenmos et al. 2018).

    x' = S^(-1/2) x with S the (channel, channel) noise covariance of the training data:

    - ``"time"``: residuals of the repeats of a condition around their mean, at each time point; covariances are
      averaged over time points and conditions. Conditions shown once are left out; when no condition is repeated, all
      samples count as one condition, so that S also holds the differences between stimuli.
    - ``"epoch"``: the covariance of a trial over its time points, averaged over the trials of a condition, then over
      conditions.
    - ``"pooled"``: as "time", but the residuals of all conditions at all times make one covariance. Shrinkage then
      sees everything at once and hardly acts, while "time" and "epoch" (the published procedure)
      shrink every small covariance before averaging, which with few repeats leaves noise correlated.

    Every single covariance is shrunk towards its own diagonal and carries the factor n / (n - 1), so that the
    variance of whitened noise does not grow when a condition was shown few times; the published procedure lacks that
    factor, its result is larger by sqrt(n / (n - 1)) if every condition has n repeats. "pooled" divides by
    n samples - conditions.

    Parameters
    ----------
    method : {"time", "epoch", "pooled"}
    shrinkage : "ledoit_wolf" or float
        The amount by Ledoit & Wolf (2004) on channels scaled to variance 1, then scaled back, so that channels
        of different units do not weigh differently; or a number from 0 (none) to 1 (variances only). With two
        repeats a condition, Ledoit and Wolf's formula always gives 0; averaging over conditions then does the work.
    condition : str or None
        Coordinate that says which samples are repeats of each other; None: all samples are one condition.
    by : str, optional
        A sample coordinate, such as ``"session"``: one covariance for each of its values. An unseen one is an error.

    Attributes
    ----------
    covariance_ : (channel, channel_other), with ``group`` first if ``by`` is given; squared units of the data.
    whitener_ : the same dims; the symmetric inverse square root of ``covariance_``.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng, names = np.random.default_rng(0), [f"img_{i}" for i in range(40)]
    >>> features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names, layer="c")
    >>> values = rng.normal(size=(40, 5, 30))
    >>> values[:, :, 15:] += (features.values @ rng.normal(size=(3, 5)))[:, :, None]
    >>> epochs = nd.brain.meeg(
    ...     values, sample=names, stimulus=names, channel=list("abcde"), time=np.arange(30) / 100, subject="s1"
    ... )
    >>> twice = epochs.assign_coords(stimulus=("sample", [f"img_{i // 2}" for i in range(40)]))
    >>> nd.prepare.MVNN().fit(twice[:30]).transform(twice[30:]).dims
    ('sample', 'channel', 'time')
    """

    def __init__(
        self,
        method: str = "time",
        *,
        shrinkage: str | float = "ledoit_wolf",
        condition: str | None = "stimulus",
        by: str | None = None,
    ) -> None:
        self.method = method
        self.shrinkage = shrinkage
        self.condition = condition
        self.by = by

    def fit(self, epochs: xr.DataArray, y: None = None) -> MVNN:
        """Learn the noise covariance.

        Parameters
        ----------
        epochs : (sample, channel, time) or (sample, channel)
            Training data only. To use the baseline alone, pass ``epochs.sel(time=slice(None, 0))``: transform asks
            for the same channels, not the same times.
        y : None
            For scikit-learn.

        Raises
        ------
        TypeError, ValueError
            If dims, method or shrinkage are wrong, values are NaN or infinite, there are too few repeats, samples
            or times, a channel is flat, or the covariance is singular.
        """
        require_choice(self.method, METHODS, what="method of MVNN")
        _require_shrinkage(self.shrinkage)
        who = "the training data of MVNN"
        epochs = require_epochs(epochs, who=who)
        groups = groups_of(epochs, self.by, who=who)
        covariances = []
        for rows in groups.values():
            trials = _Trials(epochs.variable, rows)
            conditions = _conditions(epochs.isel(sample=rows), self.condition, who=who)
            covariance = _noise_covariance(trials, conditions, method=self.method, shrinkage=self.shrinkage)
            _require_invertible(covariance, trials, names_of(epochs, "channel"))
            covariances.append(covariance)
        template = epochs.isel({d: 0 for d in epochs.dims if d != "channel"}, drop=True)
        names: dict[str, list[Any]] = {} if self.by is None else {GROUP: list(groups)}
        dims = (*names.keys(), "channel", "channel_other")
        other = {"channel_other": template["channel"].values} if "channel" in template.coords else {}
        stack = np.stack(covariances) if names else covariances[0]
        coords: dict[Any, Any] = {**template.coords, **other, **names}
        self.covariance_ = xr.DataArray(stack, dims=dims, coords=coords, name="covariance")
        self.whitener_ = self.covariance_.copy(data=_matrix_power(stack, -0.5)).rename("whitener")
        self.units_ = epochs.attrs.get("units")
        return self

    def transform(self, epochs: xr.DataArray) -> xr.DataArray:
        """Whiten.

        Parameters
        ----------
        epochs : (sample, channel, time) or (sample, channel)
            With the very channels of the training data.

        Returns
        -------
        Array of the same dims and coordinates, in standard deviations of the noise; float32 stays float32.
        """
        check_is_fitted(self, "whitener_")
        return self._apply(epochs, self.whitener_, units="noise standard deviations")

    def inverse_transform(self, whitened: xr.DataArray) -> xr.DataArray:
        """Undo the whitening: x = S^(1/2) x'; same dims, units of the training data.

        Parameters
        ----------
        whitened : (sample, channel, time) or (sample, channel)
        """
        check_is_fitted(self, "whitener_")
        root = self.covariance_.copy(data=_matrix_power(self.covariance_.values, 0.5))
        return self._apply(whitened, root, units=self.units_)

    def _apply(self, epochs: xr.DataArray, matrix: xr.DataArray, *, units: str | None) -> xr.DataArray:
        who = "the array given to MVNN"
        epochs = require_epochs(epochs, who=who)
        require_columns(epochs, matrix, who=(who, "its training data"), dims=("channel",))
        groups = groups_of(epochs, self.by, who=who)
        require_seen(groups, matrix, self.by, who="MVNN")
        require_copy(epochs, who=who)
        out = np.empty(epochs.shape, dtype=float_type(epochs.dtype))
        for name, rows in groups.items():
            whitener = of_group(matrix, name, self.by)
            for part in blocks(epochs, rows):
                block = np.asarray(epochs.data[part], dtype=np.float64)
                product = whitener @ block.reshape(*block.shape[:2], -1)
                out[part] = product.reshape(block.shape)
        return like(epochs, out, units=units)


class _Trials:
    """Some trials of epochs, read when they are needed: (trial, channel, time), numbered from 0."""

    def __init__(self, epochs: xr.Variable, rows: np.ndarray) -> None:
        self.epochs = epochs if epochs.ndim == 3 else epochs.set_dims((*epochs.dims, "time"))
        self.rows = rows
        self.shape = (len(rows), *self.epochs.shape[1:])
        self.dtype = epochs.dtype

    def __call__(self, trials: Any, times: slice = slice(None)) -> np.ndarray:
        return np.asarray(self.epochs[self.rows[trials], :, times].values)

    def parts(self) -> Iterator[slice]:
        """Trials, so many at a time that they fit."""
        return slices(self.shape[0], row_bytes=self.row_bytes)

    @property
    def row_bytes(self) -> int:
        """What a trial takes in float64."""
        return 8 * self.shape[1] * self.shape[2]


def _noise_covariance(
    trials: _Trials, conditions: np.ndarray, *, method: str, shrinkage: str | float
) -> np.ndarray:
    """Average the shrunk covariances (channel, channel) of trials (trial, channel, time)."""
    inverse, names = pd.factorize(conditions, sort=True, use_na_sentinel=False)
    counts = np.bincount(inverse)
    n, channels, times = trials.shape
    total = np.zeros((channels, channels))
    if method == "epoch":
        if times < 2:
            raise ValueError(
                f"MVNN(method='epoch') needs at least 2 time points, but got {times}; use method='time'"
            )
        weights = 1.0 / (counts[inverse] * names.size)
        for part in trials.parts():
            observations = trials(part).astype(np.float64).transpose(0, 2, 1)
            total += _sum_of_covariances(observations, weights[part], shrinkage)
        return total
    if n < 2:
        raise ValueError(f"MVNN needs at least 2 samples to know a covariance, but got {n}")
    order = np.argsort(inverse, kind="stable")
    repeats = [rows for rows in np.split(order, np.cumsum(counts)[:-1]) if len(rows) > 1] or [order]
    if method == "pooled":
        return _pooled_covariance(trials, repeats, shrinkage)
    for values in _by_condition(trials, repeats):
        observations = values.transpose(2, 0, 1)
        weights = np.full(len(observations), 1.0 / (times * len(repeats)))
        total += _sum_of_covariances(observations, weights, shrinkage)
    return total


def _by_condition(trials: _Trials, repeats: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield (repeat, channel, time) in float64, condition after condition; a large one some times at a time."""
    times = trials.shape[2]
    most = rows_at_a_time(trials.row_bytes)
    small = [rows for rows in repeats if len(rows) <= most]
    for batch in _batches(small, most):
        # One reading for all of them: trials of a condition are far apart, those of many conditions are not.
        together = np.sort(np.concatenate(batch))
        values = trials(together)
        for rows in batch:
            yield values[np.searchsorted(together, rows)].astype(np.float64)
    for rows in repeats:
        if len(rows) > most:
            for part in slices(times, row_bytes=len(rows) * trials.row_bytes // times):
                yield trials(np.sort(rows), part).astype(np.float64)


def _batches(repeats: list[np.ndarray], most: int) -> Iterator[list[np.ndarray]]:
    """Conditions that have at most so many trials together."""
    batch: list[np.ndarray] = []
    for rows in repeats:
        if batch and sum(map(len, batch)) + len(rows) > most:
            yield batch
            batch = []
        batch.append(rows)
    if batch:
        yield batch


def _pooled_covariance(trials: _Trials, repeats: list[np.ndarray], shrinkage: str | float) -> np.ndarray:
    """One covariance of what is left at all times when every condition's mean is taken away."""
    _, channels, times = trials.shape
    count = sum(len(rows) for rows in repeats)
    gram = np.zeros((channels, channels))
    for residuals in _residuals(trials, repeats):
        gram += residuals.T @ residuals
    n = count * times
    variance = np.diag(gram) / n
    if shrinkage == "ledoit_wolf":
        precision = np.divide(1.0, variance, out=np.zeros_like(variance), where=variance > 0)
        squares = [(residuals**2) @ precision for residuals in _residuals(trials, repeats)]
        norm = (gram**2 * np.outer(precision, precision)).sum() / n**2
        amount = float(_amount(norm, np.concatenate(squares), n, channels))
    else:
        amount = float(shrinkage)
    # every condition's mean cost one degree of freedom at each time
    return ((1 - amount) * gram / n + amount * np.diag(variance)) * count / (count - len(repeats))


def _residuals(trials: _Trials, repeats: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield (trial and time, channel) for one condition after the other."""
    for values in _by_condition(trials, repeats):
        values -= values.mean(axis=0)
        yield values.transpose(0, 2, 1).reshape(-1, trials.shape[1])


def _sum_of_covariances(x: np.ndarray, weights: np.ndarray, shrinkage: str | float) -> np.ndarray:
    """Sum weighted covariances (channel, channel) of a batch x (matrix, observation, channel)."""
    n = x.shape[1]
    x = x - x.mean(axis=1, keepdims=True)
    variance = (x**2).mean(axis=1)
    if shrinkage == "ledoit_wolf":
        amount = _ledoit_wolf(x, variance)
    else:
        amount = np.full(len(x), float(shrinkage))
    unbiased = weights * n / (n - 1)
    # All matrices at once: (1 - s) X^T X / n is the product of rows scaled by the square root of their weight.
    rows = (x * np.sqrt(unbiased * (1 - amount) / n)[:, None, None]).reshape(-1, x.shape[2])
    return rows.T @ rows + np.diag((unbiased * amount) @ variance)


def _ledoit_wolf(x: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Ledoit & Wolf's (2004) amounts for centred x (matrix, observation, channel) scaled to variance 1."""
    n, p = x.shape[1:]
    scale = np.sqrt(variance)[:, None, :]
    u = np.divide(x, scale, out=np.zeros_like(x), where=scale > 0)
    gram = (
        u @ u.transpose(0, 2, 1) if n < p else u.transpose(0, 2, 1) @ u
    )  # the same norm, the smaller matrix
    norm = (gram**2).sum(axis=(1, 2)) / n**2
    return _amount(norm, (u**2).sum(axis=2), n, p)


def _amount(norm: Any, squares: np.ndarray, n: int, p: int) -> np.ndarray:
    """Amount from the squared norm of the covariances and the squared lengths (..., n) of the observations."""
    mean = squares.sum(axis=-1) / (n * p)
    noise = ((squares**2).sum(axis=-1) / n - norm) / (n * p)
    distance = np.asarray(norm / p - mean**2)
    noise = np.minimum(noise, distance)
    return np.clip(np.divide(noise, distance, out=np.zeros_like(noise), where=distance > 0), 0.0, 1.0)


def _matrix_power(matrix: np.ndarray, power: float) -> np.ndarray:
    """Raise symmetric positive matrices (..., channel, channel) to a power."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * values[..., None, :] ** power) @ np.swapaxes(vectors, -1, -2)


def _require_invertible(covariance: np.ndarray, trials: _Trials, names: list[Any]) -> None:
    p = len(covariance)
    sd = np.sqrt(np.diag(covariance))
    size = np.max([np.abs(trials(part)).max(axis=(0, 2)) for part in trials.parts()], axis=0)
    flat = np.flatnonzero(sd <= CONSTANT_ULPS * eps(trials.dtype) * size.astype(np.float64))
    if flat.size:
        raise ValueError(
            f"{flat.size} of {p} channels carry no noise in the training data of MVNN, first {names[flat[0]]!r}: they "
            "cannot be whitened; drop them first, e.g. .drop_sel(channel=...)"
        )
    limit = p * np.finfo(np.float64).eps
    spectrum = np.linalg.eigvalsh(covariance / np.outer(sd, sd))
    rank = int((spectrum > limit * spectrum[-1]).sum())
    if rank < p:
        raise ValueError(
            f"the noise covariance of {p} channels has rank {rank} only (few repeats? an average reference, or "
            "interpolated channels?); use shrinkage=0.1, give more trials, or drop channels"
        )
    spectrum = np.linalg.eigvalsh(covariance)
    if spectrum[0] <= limit * spectrum[-1]:
        raise ValueError(
            f"the {p} channels differ too much in size to be whitened together (noise from {sd.min():.1e} to "
            f"{sd.max():.1e}): whiten each kind of channel by itself"
        )


def _require_shrinkage(shrinkage: str | float) -> None:
    if isinstance(shrinkage, str):
        require_choice(shrinkage, ("ledoit_wolf",), what="shrinkage (or a number from 0 to 1)")
        return
    number = isinstance(shrinkage, int | float | np.integer | np.floating) and not isinstance(shrinkage, bool)
    if not number or not 0 <= shrinkage <= 1:
        raise ValueError(f"shrinkage is {shrinkage!r}; use 'ledoit_wolf' or a number from 0 (none) to 1")


def _conditions(epochs: xr.DataArray, condition: str | None, *, who: str) -> np.ndarray:
    if condition is None:
        return np.zeros(epochs.sizes["sample"], dtype=int)
    coord = require_coord(epochs, condition, who=who)
    if coord.dims != ("sample",):
        raise ValueError(
            f"the condition {condition!r} of {who} lies on {coord.dims}, not on 'sample'; name a coordinate of "
            "samples, or condition=None"
        )
    return np.asarray(coord.values)
