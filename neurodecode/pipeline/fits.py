"""Decoders on one subject's training responses, and both stages made of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone

from .. import brain, folds, reconstruction, selection, vision
from ..labels import FEATURE, SAMPLE, STIMULUS, listed
from ..linear import RidgeDecoder
from ..reconstruction.decoders import Decoder
from .data import Data
from .plan import N_VOXELS, Plan

# Ridge penalties to choose from, on z-scored data, and how many dimensions of a feature space choose.
ALPHAS = tuple(float(a) for a in np.logspace(0, 6, 13).round(6))
CHOOSERS = 64
# Of a layer's mean variance: added to each dimension's, so that one that hardly varies does not count for all.
TINY = 0.05


class Fits:
    """What is fitted on one subject's training responses: each decoder once, when it is first asked for.

    Variants of a plan share it, if their regions are the same.

    Parameters
    ----------
    data : Data
    regions, n_voxels : as in :class:`Plan`
    decoder : estimator, optional
        Cloned for every feature space in place of ridge, such as a :class:`neurodecode.networks.NetworkDecoder`; it
        sees all responses of the regions, and ``n_voxels`` does not count. Its predictions are taken for shrunk towards
        the mean as ridge's are, so a network needs a validation part (``slope_``), better still the loss "mse" too.

    Raises
    ------
    ValueError
        Responses without the splits "train" and "test".
    """

    def __init__(
        self,
        data: Data,
        regions: str | None = None,
        n_voxels: int | None = N_VOXELS,
        *,
        decoder: Any = None,
    ) -> None:
        self.data, self.regions, self.n_voxels, self.decoder = data, regions, n_voxels, decoder
        responses = prepared(data.responses, regions)
        self.train, self.test = (
            responses.isel({SAMPLE: folds.select(responses, split, who="responses")})
            for split in ("train", "test")
        )
        self._known = np.unique(self.train[STIMULUS].values)
        self._fitted: dict[str, Any] = {}
        self._alpha: dict[str, float] = {}
        self._judged: dict[str, xr.DataArray] = {}

    def features(self, name: str) -> xr.DataArray:
        """Return one feature space of the training stimuli alone."""
        self._require_stimuli(name)
        return self.data.features[name].sel({STIMULUS: self._known})

    def _require_stimuli(self, name: str) -> None:
        there = self.data.features[name].indexes[STIMULUS]
        lacking = self._known[there.get_indexer(self._known) < 0]
        if lacking.size:
            raise ValueError(
                f"the features {name!r} lack {lacking.size} of the {self._known.size} training stimuli: "
                f"{listed(lacking)}; add their features, or drop these samples"
            )

    def fitted(self, name: str) -> Any:
        """Return the decoder of one feature space."""
        if name not in self._fitted:
            self._fitted[name] = self.unfitted(name).fit(self.train, self.features(name))
        return self._fitted[name]

    def unfitted(self, name: str) -> Any:
        """Return the decoder of one feature space before it is fitted; ridge with an alpha by 5 folds of training data.

        One alpha for the space: the median of those that suit some of its dimensions, evenly spaced.
        """
        if self.decoder is not None:
            return clone(self.decoder)
        if name not in self._alpha:
            features = self.features(name)
            some = features.isel({FEATURE: slice(None, None, -(-features.sizes[FEATURE] // CHOOSERS))})
            with warnings.catch_warnings():
                # That a dimension which cannot be decoded asks for the largest penalty is no fault of the grid.
                warnings.filterwarnings("ignore", message="the best alpha lies on the grid's edge")
                fitted = RidgeDecoder(alpha=list(ALPHAS), n_voxels=self._count, folds=5).fit(self.train, some)
            self._alpha[name] = float(np.median(fitted.alpha_))
        return RidgeDecoder(alpha=self._alpha[name], n_voxels=self._count)

    @property
    def _count(self) -> int | None:
        """How many predictors are selected, if there are more of them."""
        there = self.train.size // self.train.sizes[SAMPLE]
        return self.n_voxels if self.n_voxels is not None and self.n_voxels < there else None

    def kept(self, name: str, share: float) -> xr.DataArray:
        """Choose the best-decoded share of one layer, by cross-validation on training data (Algorithm 1)."""
        if name not in self._judged:
            every = np.ones(self.train.sizes[SAMPLE], bool)
            self._judged[name] = selection.best_features(
                self.train, self.features(name), self.unfitted(name), train=every, keep=1.0
            )
        return selection.keep_share(self._judged[name], share)

    def require_data(self, data: Data) -> None:
        """Refuse other data than those that were fitted: what is made would bear the wrong subject's name.

        Values and labels count; attrs, such as the date on which the same features were extracted again, do not.
        """
        if data is self.data:
            return
        differ = [] if data.responses.equals(self.data.responses) else ["the responses"]
        for name in dict.fromkeys([*self.data.features, *data.features]):
            ours, theirs = (d.features.get(name) for d in (self.data, data))
            if ours is None or theirs is None or not ours.equals(theirs):
                differ.append(f"the features {name!r}")
        if differ:
            raise ValueError(
                f"these fits are of subject {self.data.subject!r}, the data of subject {data.subject!r}, and differ in "
                f"{', '.join(differ)}; give the data of these fits, or leave fits=... out"
            )

    def require(self, plan: Plan, latents: Sequence[str], free: Sequence[str]) -> None:
        """Refuse a plan of other regions, and one whose feature spaces are not all there, or lack training stimuli."""
        asked, there = (plan.regions, plan.n_voxels), (self.regions, self.n_voxels)
        if asked != there:
            raise ValueError(
                f"these fits are of the regions and n_voxels {there}, the plan of {asked}; "
                "use the fits of that plan, or fit again"
            )
        needed = dict.fromkeys([*latents, *plan.judged])
        missing = [name for name in needed if name not in self.data.features and name not in free]
        if missing:
            raise ValueError(
                f"feature spaces {listed(missing)} are needed and missing; there are {listed(self.data.features)}"
            )
        for name in needed:
            if name in self.data.features:
                self._require_stimuli(name)


def two_stage(
    fits: Fits,
    generator: reconstruction.Generator,
    encoder: vision.Encoder,
    plan: Plan,
    *,
    decoders: Mapping[str, Decoder] | None = None,
) -> reconstruction.TwoStage:
    """Put the decoders of a plan together; those that are not fitted yet are.

    ``decoders`` of latents, fitted elsewhere, stand in for ridge, such as ``{"c": reconstruction.ByConcept(...)}``;
    they see the responses as :attr:`Fits.test` has them.

    Raises
    ------
    ValueError
        If a feature space that is needed is not there, if rates name neither a latent nor z, if layers were extracted
        with another encoder or reading, or if the fits are of other regions.
    """
    given, settings = dict(decoders or {}), plan.descent(generator.latents)
    fits.require(plan, [name for name in generator.latents if name not in given], generator.free)
    encoder.require_own({name: fits.data.features[name] for name in plan.judged})
    kept = {} if plan.oracle else _kept(fits, plan)

    def layer(name: str) -> Decoder:
        if plan.oracle:
            return reconstruction.Known(fits.data.features[name])
        if plan.trust == "precision":
            return reconstruction.Calibrated(fits.fitted(name), fits.features(name), kept[name])
        return _spread(fits, name, plan)

    def latent(name: str) -> Decoder:
        return _spread(fits, name, plan) if name in plan.latents else Mean(fits.features(name))

    own = [n for n in generator.latents if n in fits.data.features and n not in given]
    latents = {name: latent(name) for name in own} | given
    return reconstruction.TwoStage(
        generator,
        encoder,
        semantic=latents.get("c"),
        latent=latents.get("z"),
        others={k: v for k, v in latents.items() if k not in ("c", "z")},
        structure={name: layer(name) for name in plan.layers} or None,
        masks=_weights(fits, kept, plan) or None,
        meaning=(plan.meaning, layer(plan.meaning)) if plan.gamma > 0 else None,
        gamma=plan.gamma,
        settings=settings,
        batch=plan.batch,
        seed=plan.seed,
    )


def _spread(fits: Fits, name: str, plan: Plan) -> Decoder:
    fitted = fits.fitted(name)
    return reconstruction.Unshrunk(fitted, fits.features(name)) if plan.unshrunk else fitted


def _kept(fits: Fits, plan: Plan) -> dict[str, xr.DataArray]:
    """Which dimensions of a layer are trusted; all of the deep layer of meaning."""
    if plan.trust == "equal":
        return {k: fits.kept(k, plan.keep) for k in plan.layers} if plan.keep < 1 else {}
    return {k: fits.kept(k, plan.keep if k in plan.layers else 1.0) for k in plan.judged}


def _weights(fits: Fits, kept: dict[str, xr.DataArray], plan: Plan) -> dict[str, xr.DataArray]:
    if plan.oracle:
        return {k: _evenly(fits.features(k)) for k in plan.judged}
    if plan.trust == "equal":
        return kept
    return {k: reconstruction.precision(v, fits.features(k)) for k, v in kept.items()}


def _evenly(features: xr.DataArray) -> xr.DataArray:
    """Weights (feature) of what is known for certain: each dimension counts by its own spread."""
    variance = features.var(STIMULUS)
    return 1 / (variance + TINY * variance.mean())


def prepared(responses: xr.DataArray, regions: str | None) -> xr.DataArray:
    """Average repeats and take the regions; other coordinates stay."""
    if "repeat" in responses.coords:
        responses = brain.average_repeats(responses)
    if regions is None:
        return responses
    chosen = brain.regions(responses, [regions]).isel(region=0)
    return responses.isel({str(chosen.dims[0]): chosen.values})


class Mean:
    """A decoder that has learned nothing: it returns the mean of training. What a latent is without being decoded."""

    def __init__(self, features: xr.DataArray) -> None:
        self.features = features

    def predict(self, responses: xr.DataArray) -> xr.DataArray:
        """Return the mean pattern (sample, feature) of every sample."""
        mean = self.features.mean(STIMULUS).astype(self.features.dtype)
        return mean.expand_dims({SAMPLE: responses[SAMPLE].values}).copy()
