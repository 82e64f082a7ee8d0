"""Decode features from responses with a neural network: labels in, labels out, by scikit-learn's conventions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from .. import folds, lazy, store
from ..labels import (
    FEATURE,
    SAMPLE,
    STIMULUS,
    as_fitted,
    axes_of,
    match,
    require_array,
    require_choice,
    require_coord,
    require_copy,
    require_dims,
    require_finite,
    require_memory,
    require_real,
    require_same,
    require_unique,
)
from ..solve.device import found as find_device
from . import architectures, augment, losses
from ._torch import torch
from .checkpoints import Checkpoint
from .design import Design, subjects_of
from .samples import Samples, in_batches
from .trainer import RECIPE, Plan, Training

PRECISIONS = ("float32", "bfloat16")
# Predictions are never shortened to less than this.
LEAST_SLOPE = 0.01
# What keeps together when validation is taken out by concept: the first of these that there is.
KEEP_TOGETHER = ("concept", STIMULUS, SAMPLE)


class NetworkDecoder(BaseEstimator):
    """Decode features from brain responses with a neural network, trained on both standardised.

    It is used as :class:`neurodecode.RidgeDecoder` is: in :func:`neurodecode.temporal.sweep`,
    :func:`neurodecode.spatial.decode` and :class:`neurodecode.reconstruction.TwoStage`.

    Parameters
    ----------
    architecture : str
        "nice" (Song et al. 2024), "eegnet" (Lawhern et al. 2018), "atm" (Li et al. 2024), "benchetrit" (Benchetrit et
        al. 2024) or "temporal_spatial" (Table 1 of MindDiffuser 2025), for epochs; "mlp" or "transformer" (3 layers),
        for these and for voxels.
    size : {"full", "small"}
        Published widths, or about a quarter of them.
    loss : str or mapping of name to weight
        "mse"; "cosine"; "infonce", which contrasts the features of a batch and learns its temperature (published for
        NICE and ATM); or a mixture such as ``{"infonce": 0.75, "mse": 0.25}`` (published for "benchetrit"). Losses
        other than "mse" know directions alone: without it, every prediction first gets the length that standardised
        features have on average.
    epochs, batch, learning_rate, weight_decay
        Of AdamW (Loshchilov & Hutter 2019).
    validation : float, int or None
        Share or number of values of ``by`` that are taken out of the samples given to :meth:`fit`: they choose when to
        stop, and by which factor predictions are too long (``slope_``), and nothing else. None trains on all samples
        for all epochs.
    by : str
        Sample coordinate whose values stay together in validation. Where there is no "concept", the stimulus does, and
        without that the sample: ``validated_by_`` says which it was. No stimulus may be in both parts, but with
        "subject", which asks about new subjects.
    patience : int or None
        Epochs without a smaller validation loss after which training stops; the weights of the smallest are kept. None:
        all epochs, and the last weights.
    seed : int
        Of first weights, batches, dropout and validation: on a CPU the same seed gives the same weights.
    device : str
        torch's name of an accelerator; without such a device a warning says so, and the CPU does it.
    checkpoint : path, optional
        Folder in which the state of this one training is kept: the same fit goes on from there after a kill, to the
        same weights on a CPU. Another fit is refused; analyses of many fits have ``resume``.
    precision : {"float32", "bfloat16"}
        Of what the network computes; its weights and the loss are float32.
    augment : mapping of name to amount, optional
        Of training batches: "noise" (SDs), "shift" (time samples, fewer than there are), "channels" (share set to 0).
    subject : str, optional
        Sample coordinate that names the subject, for which "atm" learns a token each and "benchetrit" a linear map of
        channels; an unknown one gets their mean.

    Attributes
    ----------
    history_ : Dataset (epoch)
        ``loss`` and ``validation_loss`` (NaN without validation; at the best slope and temperature, so that it is no
        measure of how much larger predictions are than they should be), with the provenance of the fit.
    best_epoch_ : int
        The epoch whose weights are kept.
    slope_ : float
        Factor by which predictions are multiplied: least squares from standardised predictions to features over the
        validation samples, .01 at least; 1 without validation.
    n_parameters_ : int
    validated_by_ : str or None
    validation_samples_ : array of sample ids
    device_ : str

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng = np.random.default_rng(0)
    >>> names = [f"img_{i}" for i in range(40)]
    >>> features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names)
    >>> responses = nd.brain.fmri(features.values @ rng.normal(size=(3, 20)), sample=names, stimulus=names)
    >>> decoder = nd.networks.NetworkDecoder("mlp", size="small", epochs=5).fit(responses[:30], features)
    >>> decoder.predict(responses[30:]).dims
    ('sample', 'feature')
    """

    def __init__(
        self,
        architecture: str = "nice",
        *,
        size: str = "full",
        loss: str | Mapping[str, float] = "mse",
        epochs: int = 100,
        batch: int = 256,
        learning_rate: float = 3e-4,
        weight_decay: float = 0.01,
        validation: float | int | None = 0.1,
        by: str = "concept",
        patience: int | None = 10,
        seed: int = 0,
        device: str = "cpu",
        checkpoint: str | os.PathLike[str] | None = None,
        precision: str = "float32",
        augment: Mapping[str, float] | None = None,
        subject: str | None = None,
    ) -> None:
        self.architecture = architecture
        self.size = size
        self.loss = loss
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation = validation
        self.by = by
        self.patience = patience
        self.seed = seed
        self.device = device
        self.checkpoint = checkpoint
        self.precision = precision
        self.augment = augment
        self.subject = subject

    # --- fitting -----------------------------------------------------------------------------------------------

    def fit(self, responses: xr.DataArray, features: xr.DataArray) -> Self:
        """Learn features from responses.

        Parameters
        ----------
        responses : (sample, channel, time), (sample, channel) or (sample, voxel)
        features : (stimulus, feature) matched by label, or (sample, feature)
            Repeats of a stimulus share its row; none is copied.

        Raises
        ------
        ValueError
            Settings that make no sense, NaN or infinite values, unequal or duplicate labels, a stimulus without
            features, too few samples for a validation part, an infinite loss, or a checkpoint of another fit.
        MemoryError
            If the network would not fit, before it is built.
        """
        plan = self._plan()
        responses = self._checked(responses)
        augment.require_times(plan.augment, responses.sizes.get("time", 1))
        inner, outer, row, y = _matched(features, responses)
        training, validation = self._parts(responses)
        if not validation.size:
            plan = replace(plan, patience=None)
        if "infonce" in plan.losses and validation.size and np.unique(row[validation]).size < 2:
            raise ValueError(
                f"'infonce' tells stimuli apart, but the validation part ({validation.size} of {row.size} samples) has "
                f"{np.unique(row[validation]).size}; give a larger validation than {self.validation!r}, or None"
            )
        # What fails from here on leaves no decoder of the new labels and an older fit's weights.
        self.__dict__.pop("_weights", None)
        self._label(responses, inner, outer, features)
        design = self._design = self._designed(responses.isel({SAMPLE: training}), plan)
        table = design.table()
        architectures.require_room(
            table,
            batch=min(plan.batch, training.size),
            keeps_best=plan.patience is not None,
            device=plan.device,
            what=f"{self.architecture!r} ({self.size})",
        )
        x = _loaded(responses, who="responses").reshape(-1, *design.axes)
        samples = Samples.measured(x, y, row, design.numbers(responses), training)
        trained = Training(design.network, samples, training, validation, plan)
        progress = trained.run(self._checkpoint(responses, features))
        self._keep(trained, samples, table)
        length = design.length(samples.y_scaling)
        self.slope_ = max(LEAST_SLOPE, trained.slope(length)) if validation.size else 1.0
        self.history_ = self._history(progress.history, responses, features)
        self.best_epoch_ = progress.best_epoch
        return self

    def _plan(self) -> Plan:
        """Check the settings, before any work."""
        require_choice(self.architecture, architectures.ARCHITECTURES, what="architecture")
        require_choice(self.size, architectures.SIZES, what="size")
        require_choice(self.precision, PRECISIONS, what="precision")
        for name, value, least in (
            ("epochs", self.epochs, 1),
            ("batch", self.batch, 3),
            ("patience", self.patience, 1),
            ("seed", self.seed, 0),
        ):
            if value is None and name == "patience":
                continue
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number from {least}, got {value!r}")
        if not 0 < self.learning_rate < np.inf or not 0 <= self.weight_decay < np.inf:
            raise ValueError(
                f"learning_rate must be above 0 and weight_decay not below, got {self.learning_rate!r} and "
                f"{self.weight_decay!r}"
            )
        if self.subject is not None:
            architectures.require_by_subject(self.architecture, what="subject")
        return Plan(
            losses=losses.weighed(self.loss),
            epochs=int(self.epochs),
            batch=int(self.batch),
            learning_rate=float(self.learning_rate),
            weight_decay=float(self.weight_decay),
            patience=None if self.patience is None else int(self.patience),
            seed=int(self.seed),
            precision=self.precision,
            augment=augment.checked(self.augment),
            device=self._device(),
            name=self.architecture,
        )

    def _device(self) -> Any:
        return find_device(self.device) or torch().device("cpu")

    def _checked(self, responses: xr.DataArray) -> xr.DataArray:
        """Responses (sample, channel, time) or (sample, ...) with one dimension more, fit to be learned from."""
        require_dims(responses, [SAMPLE], who="responses")
        require_unique(responses, SAMPLE, who="responses")
        rest = [str(d) for d in responses.dims if d != SAMPLE]
        if set(rest) == {"channel", "time"}:
            rest = ["channel", "time"]
        elif len(rest) != 1 or (rest != ["channel"] and self.architecture not in architectures.ANY_AXES):
            raise ValueError(
                f"the network {self.architecture!r} takes responses (sample, channel, time) or (sample, channel)"
                f"{' or (sample, voxel)' if self.architecture in architectures.ANY_AXES else ''}, got "
                f"{tuple(map(str, responses.dims))}; 'mlp' and 'transformer' also take (sample, voxel)"
            )
        require_real(responses, who="responses")
        require_finite(responses, who="responses")
        return responses.transpose(SAMPLE, *rest)

    def _parts(self, responses: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the samples that are learned from, and of those that say when to stop."""
        every = np.arange(responses.sizes[SAMPLE])
        self.validated_by_, held = None, every[:0]
        if self.validation:
            self.validated_by_ = by = self._kept_together(responses)
            labels = require_coord(responses, by, who="responses", dim=SAMPLE).values
            coords = {SAMPLE: every, by: (SAMPLE, labels), "split": (SAMPLE, ["train"] * every.size)}
            if by != "subject" and STIMULUS in responses.coords:
                coords[STIMULUS] = SAMPLE, responses.coords[STIMULUS].values
            bare = xr.DataArray(every, dims=SAMPLE, coords=coords)
            try:
                moved = folds.hold_out(bare, self.validation, by=by, seed=self.seed)
            except ValueError as error:
                raise ValueError(f"validation={self.validation!r}, by={self.by!r}: {error}") from error
            held = np.flatnonzero(moved.coords["split"].values == "validation")
        training = np.setdiff1d(every, held)
        if training.size < 2:
            raise ValueError(f"a network needs at least 2 samples to learn from, got {training.size}")
        self.validation_samples_ = responses.coords[SAMPLE].values[held]
        return training, held

    def _kept_together(self, responses: xr.DataArray) -> str:
        """Name the coordinate whose values are taken out as wholes."""
        if self.by != KEEP_TOGETHER[0]:
            return self.by
        return next(name for name in KEEP_TOGETHER if name in responses.coords)

    def _label(
        self, responses: xr.DataArray, inner: xr.DataArray, outer: xr.DataArray, features: xr.DataArray
    ) -> None:
        self._axes = inner, outer
        self._units = str(features.attrs.get("units", "a.u."))
        self.n_features_in_ = int(np.prod(responses.shape[1:]))

    def _designed(self, responses: xr.DataArray, plan: Plan) -> Design:
        """Say what the network is for; channels without time are a window of one time sample."""
        inner, outer = self._axes
        one = inner.ndim == 1 and self.architecture not in architectures.ANY_AXES
        return Design(
            architecture=self.architecture,
            size=self.size,
            precision=plan.precision,
            directions="mse" not in plan.losses,
            axes=(*inner.shape, 1) if one else inner.shape,
            outputs=outer.size,
            subject=self.subject,
            subjects=subjects_of(responses, self.subject),
        )

    def _checkpoint(self, responses: xr.DataArray, features: xr.DataArray) -> Checkpoint | None:
        if self.checkpoint is None:
            return None
        parameters = {k: v for k, v in self._parameters().items() if k != "device"}
        data = store.data_hash(responses, features)
        key = {
            "what": _WHAT,
            "recipe": RECIPE,
            "parameters": parameters,
            "device": self._device().type,
            "data": data,
        }
        return Checkpoint(self.checkpoint, key=key)

    def _keep(self, trained: Training, samples: Samples, table: list[architectures.Layer]) -> None:
        self._weights = trained.weights()
        self._scaling = samples.x_scaling, samples.y_scaling
        self.n_parameters_ = sum(layer.parameters for layer in table)
        self.device_ = str(trained.plan.device)

    def _history(
        self, history: list[tuple[float, float | None]], responses: xr.DataArray, features: xr.DataArray
    ) -> xr.Dataset:
        loss, held = (np.array(side, dtype=np.float64) for side in zip(*history, strict=True))
        found = xr.Dataset(
            {"loss": ("epoch", loss), "validation_loss": ("epoch", held)},
            coords={"epoch": np.arange(loss.size)},
        )
        data = {"responses": responses, "features": features}
        return store.stamp(found, what=_WHAT, parameters=self._parameters(), seed=self.seed, data=data)

    def _parameters(self) -> dict[str, Any]:
        """All parameters but where the state is kept, which decides no value."""
        return {k: v for k, v in self.get_params(deep=False).items() if k != "checkpoint"}

    # --- using -------------------------------------------------------------------------------------------------

    def predict(self, responses: xr.DataArray) -> xr.DataArray:
        """Predict features (sample, feature), float32, in units of those of the fit.

        Parameters
        ----------
        responses : as in :meth:`fit`, with the same channels, times or voxels

        Raises
        ------
        ValueError
            Other channels, times or voxels than those of the fit, NaN or infinite values.
        MemoryError
            If the predictions would not fit.
        """
        check_is_fitted(self, "_weights")
        inner, outer = self._axes
        responses = as_fitted(require_array(responses, who="responses"), inner, who="responses")
        require_finite(responses, who="responses")
        first = responses.dims[0]
        n, q = len(responses), outer.size
        require_memory(4 * n * q, what=f"predictions ({n} x {q})", remedy="predict fewer samples at a time")
        found = np.empty((n, q), np.float32)
        with torch().no_grad():
            for rows, _, predicted in self._by_batch(responses):
                found[rows] = predicted.cpu().numpy()
        coords = {k: v for k, v in responses.coords.items() if v.dims == (first,)}
        return xr.DataArray(
            found,
            dims=(first, *outer.dims),
            coords={**coords, **outer.coords},
            attrs={"units": self._units},
        )

    def input_gradients(self, responses: xr.DataArray, direction: xr.DataArray) -> xr.DataArray:
        """Gradient of ``sum over features of direction x prediction`` by every response, by backpropagation.

        Parameters
        ----------
        responses : as in :meth:`fit`
        direction : (sample, feature)
            Of the same samples, in their order; 1 at one feature and 0 elsewhere gives that feature's gradient.

        Returns
        -------
        (sample, channel, time) or (sample, voxel), float64: a sample's gradient is that of its own prediction, at its
        own responses, in units of features by units of responses.

        Raises
        ------
        ValueError
            Other samples, channels, times or features than those of the fit.
        """
        check_is_fitted(self, "_weights")
        inner, outer = self._axes
        responses = as_fitted(require_array(responses, who="responses"), inner, who="responses")
        direction = as_fitted(require_array(direction, who="direction"), outer, who="direction")
        require_finite(responses, who="responses")
        require_finite(direction, who="direction")
        if SAMPLE in responses.coords or SAMPLE in direction.coords:
            require_same(responses, direction, SAMPLE, who=("responses", "direction"))
        found = np.empty(responses.shape)
        for rows, x, predicted in self._by_batch(responses):
            along = torch().as_tensor(np.asarray(direction[rows].values, np.float64), device=x.device)
            (gradient,) = torch().autograd.grad((predicted * along).sum(), x)
            found[rows] = gradient.cpu().numpy()
        coords = {k: v for k, v in responses.coords.items() if v.dims == (responses.dims[0],)}
        return xr.DataArray(found, dims=responses.dims, coords={**coords, **inner.coords})

    def _by_batch(self, responses: xr.DataArray) -> Iterator[tuple[np.ndarray, Any, Any]]:
        """Yield positions of some samples, their responses as a tensor, and the predictions of these."""
        device, subject = self._device(), self._design.numbers(responses)
        module = self.module().to(device)
        for rows in in_batches(np.arange(len(responses)), int(self.batch)) if len(responses) else []:
            x = torch().as_tensor(np.asarray(responses[rows].values, np.float64), device=device)
            who = () if subject is None else (torch().as_tensor(subject[rows], device=device),)
            yield rows, x, module(x.requires_grad_(), *who)

    def module(self) -> Any:
        """Return the fitted map as a torch module, for gradients and other programs.

        From responses (n, ...), float64, of the axes and the units of the fit (with ``subject`` also their numbers,
        -1 for none) to features (n, q), float64, in their units. Scaling is part of it; dropout is off.
        """
        check_is_fitted(self, "_weights")
        return self._design.module(self._weights, *self._scaling, slope=self.slope_)

    def score(self, responses: xr.DataArray, features: xr.DataArray) -> float:
        """Mean r2 over features, as of scikit-learn's regressors; :mod:`neurodecode.score` has the field's scores.

        Parameters
        ----------
        responses : as in :meth:`fit`
        features : (stimulus, feature) or (sample, feature)
        """
        predicted = self.predict(responses)
        true = match(features, predicted, who=("true features", "predictions"))
        as_fitted(true, self._axes[1], who="true features")
        return float(r2_score(true.transpose(*predicted.dims).values, predicted.values))


_WHAT = "networks.NetworkDecoder"


def _matched(
    features: xr.DataArray, responses: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray, np.ndarray, np.ndarray]:
    """Return axes of responses and features, the row of features of every sample, and the rows (m, q)."""
    require_dims(require_array(features, who="features"), [FEATURE], who="features")
    require_real(features, who="features")
    require_finite(features, who="features")
    # No features are copied: all but their values is matched.
    match(features.isel({FEATURE: slice(0, 0)}), responses)
    rows = SAMPLE if SAMPLE in features.dims else STIMULUS
    if set(features.dims) != {rows, FEATURE}:
        raise ValueError(
            f"features must be ({rows}, feature), got {tuple(map(str, features.dims))}; stack or select the "
            "other dimensions first"
        )
    features = features.transpose(rows, FEATURE)
    row = np.arange(len(features))
    if rows == STIMULUS:
        row = features.indexes[STIMULUS].get_indexer(responses.coords[STIMULUS].values)
    outer = axes_of(features.drop_vars([k for k, v in features.coords.items() if rows in v.dims]))
    return axes_of(responses), outer, row, _loaded(features, who="features")


def _loaded(array: xr.DataArray, *, who: str) -> np.ndarray:
    """Values in memory."""
    if lazy.is_dask(array):
        require_copy(array, who=who)
    return np.asarray(array.values)
