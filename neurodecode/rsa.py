"""Floor 2: representational similarity, a bridge to rsatoolbox (Nili et al. 2014; van den Bosch et al. 2025).

Labelled responses become its datasets, and its dissimilarities come back as labelled arrays (stimulus, stimulus_2).
What is computed, it computes; models, comparisons and their inference are its own: :func:`to_rdms`.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

import numpy as np
import xarray as xr

from . import store
from .labels import (
    SAMPLE,
    STIMULUS,
    groups,
    listed,
    require_array,
    require_choice,
    require_coord,
    require_dims,
    require_filled,
    require_finite,
    require_memory,
    require_real,
)

METHODS = ("correlation", "euclidean", "mahalanobis", "crossnobis")
UNITS = {
    "correlation": "1 - Pearson r",
    "euclidean": "squared Euclidean distance per predictor",
    "mahalanobis": "squared Mahalanobis distance per predictor",
    "crossnobis": "cross-validated squared Mahalanobis distance per predictor",
}
TIME = "time"
# What stimuli are called while rsatoolbox has them; no coordinate of the data bears this name.
NUMBER = "number in order of appearance"


def dataset(responses: xr.DataArray) -> Any:
    """Make an rsatoolbox Dataset of responses (sample, voxel), (sample, channel) or (sample, region).

    Parameters
    ----------
    responses : (sample, predictor)
        Sample coordinates (stimulus, run, session ...) become ``obs_descriptors``, those of the predictors (roi, hemi,
        kind, x ...) ``channel_descriptors``, texts and numbers in attrs ``descriptors``.

    Returns
    -------
    rsatoolbox.data.Dataset

    Raises
    ------
    ImportError
        Without rsatoolbox, with the command that installs it.
    ValueError
        Other dims, NaN or infinite values.
    """
    ordered, dim = _ordered(responses)
    if TIME in ordered.dims:
        raise ValueError("responses have a time axis: use temporal_dataset, or select or average time points")
    return _toolbox().data.Dataset(
        ordered.values,
        descriptors=_descriptors(ordered),
        obs_descriptors=_along(ordered, SAMPLE),
        channel_descriptors=_along(ordered, dim),
    )


def temporal_dataset(responses: xr.DataArray) -> Any:
    """Make an rsatoolbox TemporalDataset of responses (sample, channel, time).

    Parameters
    ----------
    responses : (sample, channel, time)
        As for :func:`dataset`; time in s is the ``time_descriptors``.

    Returns
    -------
    rsatoolbox.data.TemporalDataset

    Raises
    ------
    ImportError, ValueError
        As :func:`dataset`.
    """
    ordered, dim = _ordered(responses)
    require_dims(ordered, [TIME], who="responses")
    return _toolbox().data.TemporalDataset(
        ordered.values,
        descriptors=_descriptors(ordered),
        obs_descriptors=_along(ordered, SAMPLE),
        channel_descriptors=_along(ordered, dim),
        time_descriptors=_along(ordered, TIME),
    )


def rdm(
    responses: xr.DataArray,
    *,
    method: str = "correlation",
    by: str = STIMULUS,
    cv: str | None = None,
    noise: np.ndarray | None = None,
) -> xr.DataArray:
    """Compute the dissimilarities of stimuli by rsatoolbox, for every time point if there are several.

    Parameters
    ----------
    responses : (sample, predictor) or (sample, channel, time)
        Repeats are averaged.
    method : {"correlation", "euclidean", "mahalanobis", "crossnobis"}
        Distances are squared, and divided by the number of predictors. "crossnobis" multiplies differences of one
        value of ``cv`` with those of the others, so that noise adds nothing on average: values may be negative, and 0
        is chance (Walther et al. 2016).
    by : str
        Sample coordinate whose values are compared.
    cv : str, for "crossnobis"
        Sample coordinate of independent measurements: "run", "session".
    noise : (predictor, predictor), for "mahalanobis" and "crossnobis"
        Precision matrix of the noise. Default: that of predictors with equal, independent noise.

    Returns
    -------
    (stimulus, stimulus_2) or (time, stimulus, stimulus_2); other names with ``by``. Stimuli in order of appearance;
    attrs method, units, provenance.

    Raises
    ------
    ImportError
        Without rsatoolbox.
    ValueError
        Fewer than 2 stimuli, a stimulus that a value of ``cv`` lacks, options that the method does not take, a
        constant pattern, which correlates with nothing.
    """
    require_choice(method, METHODS, what="method")
    ordered, dim = _ordered(responses)
    labels = require_coord(ordered, by, who="responses", dim=SAMPLE).values
    number, first = groups(labels)
    if first.size < 2:
        raise ValueError(f"dissimilarities need at least 2 values of {by!r}, found {listed(labels[first])}")
    _require_options(ordered, number, labels[first], method=method, by=by, cv=cv, noise=noise, dim=dim)
    times = ordered.sizes.get(TIME, 1)
    require_memory(
        3 * 8 * times * first.size**2,
        what=f"dissimilarities of {first.size} {by!r} at {times} times",
        remedy="take fewer stimuli or times, or averages of categories",
    )
    if method == "correlation":
        _require_patterns(ordered, number, labels[first], by=by, dim=dim)
    # Numbers instead of names: what is sorted inside comes back in order of appearance.
    bare = ordered.drop_vars(str(k) for k in ordered.coords if k not in (TIME, cv)).assign_coords(
        {NUMBER: (SAMPLE, number)}
    )
    options = {"method": method, "descriptor": NUMBER, "cv_descriptor": cv, "noise": noise}
    calc = _toolbox().rdm
    if TIME in ordered.dims:
        found = calc.calc_rdm_movie(temporal_dataset(bare), **options)
    else:
        found = calc.calc_rdm(dataset(bare), **options)
    order = np.asarray(found.pattern_descriptors[NUMBER])
    values = found.get_matrices()[:, np.argsort(order)][:, :, np.argsort(order)]
    coords = {by: labels[first], f"{by}_2": labels[first]}
    result = xr.DataArray(
        values if TIME in ordered.dims else values[0],
        dims=(*((TIME,) if TIME in ordered.dims else ()), by, f"{by}_2"),
        coords=coords | ({TIME: ordered.coords[TIME]} if TIME in ordered.dims else {}),
        attrs={"method": method, "units": UNITS[method]} | _kept(responses),
        name="dissimilarity",
    )
    parameters = {"method": method, "by": by, "cv": cv, "rsatoolbox": metadata.version("rsatoolbox")}
    data = {"responses": store.data_hash(responses)} | ({} if noise is None else {"noise": noise})
    return store.stamp(result, what="rsa.rdm", parameters=parameters, data=data)


def to_rdms(array: xr.DataArray) -> Any:
    """Make rsatoolbox RDMs of dissimilarities (..., stimulus, stimulus_2), for its models and comparisons.

    Parameters
    ----------
    array : (..., name, name_2)
        Symmetric with zeros on the diagonal, labels alike on both sides; at most one further dimension (time, region,
        subject ...) becomes an ``rdm_descriptors`` of its name.

    Returns
    -------
    rsatoolbox.rdm.RDMs

    Raises
    ------
    ImportError
        Without rsatoolbox.
    ValueError
        No such pair of dims, other labels on both sides, values that are not symmetric.
    """
    require_array(array, who="dissimilarities")
    pairs = [str(d) for d in array.dims if f"{d}_2" in array.dims]
    others = [str(d) for d in array.dims if d not in pairs and str(d).removesuffix("_2") not in pairs]
    if len(pairs) != 1 or len(others) > 1:
        raise ValueError(
            "dissimilarities need one pair of dims such as 'stimulus' and 'stimulus_2' and at most one other, not "
            f"{tuple(map(str, array.dims))}"
        )
    by = pairs[0]
    labels, mirrored = (require_coord(array, d, who="dissimilarities").values for d in (by, f"{by}_2"))
    if not np.array_equal(labels, mirrored):
        raise ValueError(f"labels of {by!r} and of '{by}_2' differ; they are the same stimuli twice")
    require_finite(array, who="dissimilarities")
    values = array.transpose(*others, by, f"{by}_2").values.reshape(-1, labels.size, labels.size)
    size = np.abs(values).max()
    skewed = np.abs(values - values.transpose(0, 2, 1)).max()
    if skewed > 1e-6 * size or np.abs(np.diagonal(values, axis1=1, axis2=2)).max() > 1e-6 * size:
        raise ValueError(
            f"dissimilarities must be symmetric with zeros on the diagonal, but differ from that by "
            f"up to {skewed:g} and "
            f"{np.abs(np.diagonal(values, axis1=1, axis2=2)).max():g}; give a matrix as rsa.rdm makes it"
        )
    along = {others[0]: require_coord(array, others[0], who="dissimilarities").values} if others else {}
    return _toolbox().rdm.RDMs(
        values,
        dissimilarity_measure=str(array.attrs.get("method", "")) or None,
        descriptors=_descriptors(array),
        rdm_descriptors={k: list(v) for k, v in along.items()},
        pattern_descriptors={by: list(labels)},
    )


def from_rdms(rdms: Any, *, by: str = STIMULUS, along: str | None = None) -> xr.DataArray:
    """Make a labelled array of rsatoolbox RDMs.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
    by : str
        Its ``pattern_descriptors`` that names the patterns.
    along : str, optional
        Its ``rdm_descriptors`` that tells several apart; by default they are numbered, as "index".

    Returns
    -------
    (along, by, by_2); attrs method.

    Raises
    ------
    ValueError
        If there is no such descriptor, naming those that there are.
    """
    for name, there in ((by, rdms.pattern_descriptors), (along, rdms.rdm_descriptors)):
        if name is not None and name not in there:
            raise ValueError(f"the RDMs have no descriptor {name!r}; there are {listed(sorted(there))}")
    labels = np.asarray(rdms.pattern_descriptors[by])
    dim = "index" if along is None else along
    several = np.arange(rdms.n_rdm) if along is None else np.asarray(rdms.rdm_descriptors[along])
    attrs = {"method": str(rdms.dissimilarity_measure or "")}
    return xr.DataArray(
        rdms.get_matrices(),
        dims=(dim, by, f"{by}_2"),
        coords={dim: several, by: labels, f"{by}_2": labels},
        attrs=attrs,
        name="dissimilarity",
    )


def _require_options(
    responses: xr.DataArray,
    number: np.ndarray,
    names: np.ndarray,
    *,
    method: str,
    by: str,
    cv: str | None,
    noise: np.ndarray | None,
    dim: str,
) -> None:
    """Refuse options that rsatoolbox would pass over, and measurements that it cannot cross."""
    p = responses.sizes[dim]
    if noise is not None and method not in ("mahalanobis", "crossnobis"):
        raise ValueError(f"method={method!r} takes no noise; use 'mahalanobis' or 'crossnobis'")
    if noise is not None and np.shape(noise) != (p, p):
        raise ValueError(
            f"noise must be a precision matrix ({p}, {p}), one row a {dim}, not {np.shape(noise)}"
        )
    if (cv is None) != (method != "crossnobis"):
        raise ValueError(
            f"method='crossnobis' and cv=... (such as 'run') go together; got {method!r}, {cv!r}"
        )
    if cv is None:
        return
    run, first = groups(require_coord(responses, cv, who="responses", dim=SAMPLE).values)
    if first.size < 2:
        raise ValueError(f"crossnobis needs at least 2 values of {cv!r}, found {first.size}")
    there = np.zeros((first.size, names.size), dtype=bool)
    there[run, number] = True
    lacks = ~there.all(axis=0)
    if lacks.any():
        raise ValueError(
            f"{lacks.sum()} of {names.size} {by!r} were not measured in every {cv!r}: {listed(names[lacks])}; "
            "crossnobis compares what each has, so leave them out, or give a coarser cv"
        )


def _require_patterns(
    responses: xr.DataArray, number: np.ndarray, names: np.ndarray, *, by: str, dim: str
) -> None:
    """Refuse averages that are the same at all predictors, of which there is no correlation."""
    sums = np.zeros((names.size, *responses.shape[1:]))
    for i, row in zip(number, responses.values, strict=True):
        sums[i] += row
    flat = np.ptp(sums, axis=1) <= 1e-12 * np.abs(sums).max(axis=1)
    flat = flat.reshape(names.size, -1).any(axis=1)
    if flat.any():
        raise ValueError(
            f"{flat.sum()} of {names.size} {by!r} have the same response at all {responses.sizes[dim]} {dim}s, so that "
            f"nothing correlates with them: {listed(names[flat])}; leave them (or those times) out, or use "
            "method='euclidean'"
        )


def _ordered(responses: xr.DataArray) -> tuple[xr.DataArray, str]:
    """Responses (sample, predictor[, time]), checked, and the predictor's dimension."""
    require_dims(responses, [SAMPLE], who="responses")
    others = [str(d) for d in responses.dims if d not in (SAMPLE, TIME)]
    if len(others) != 1:
        raise ValueError(
            "responses need one dimension of predictors beside 'sample' and 'time', got "
            f"{tuple(map(str, responses.dims))}; select one of them, or stack them"
        )
    require_filled(responses, who="responses")
    require_real(responses, who="responses")
    require_finite(responses, who="responses")
    return responses.transpose(SAMPLE, others[0], *((TIME,) if TIME in responses.dims else ())), others[0]


def _along(array: xr.DataArray, dim: str) -> dict[str, list[Any]]:
    return {str(k): v.values.tolist() for k, v in array.coords.items() if v.dims == (dim,)}


def _descriptors(array: xr.DataArray) -> dict[str, Any]:
    return {
        str(k): v for k, v in array.attrs.items() if isinstance(v, str | int | float) and k != "provenance"
    }


def _kept(array: xr.DataArray) -> dict[str, Any]:
    return {k: array.attrs[k] for k in ("subject", "origin") if k in array.attrs}


def _toolbox() -> Any:
    try:
        import rsatoolbox.data
        import rsatoolbox.rdm
    except ImportError as error:
        raise ImportError(
            "neurodecode.rsa needs rsatoolbox; install it with: pip install 'neurodecode-toolkit[rsa]'"
        ) from error
    return rsatoolbox
