"""Top: what a paper prints about a result, from its provenance: a paragraph, and a table that leaves nothing out.

>>> import numpy as np, neurodecode as nd
>>> rng = np.random.default_rng(0)
>>> names = [f"img_{i}" for i in range(30)]
>>> features = nd.brain.features(rng.normal(size=(30, 3)), stimulus=names)
>>> responses = nd.brain.fmri(rng.normal(size=(30, 8)), sample=names, stimulus=names, roi=["V1"] * 8)
>>> score = nd.spatial.decode(responses, features, nd.RidgeDecoder(alpha=10.0), regions=["V1"], folds=5)
>>> print(nd.methods.paragraph(score).split(". ")[1])
The decoder was ridge regression (Hoerl & Kennard 1970) of every feature on its own, with the penalty 10
"""

from __future__ import annotations

from os import PathLike

import xarray as xr

from .. import store
from ..labels import require_choice
from ..tables import FORMS
from .kinds import sentences
from .made import Made, read
from .tables import escaped, written
from .tables import rows as _rows

TEXTS = ("text", "markdown", "latex")

__all__ = ["FORMS", "TEXTS", "paragraph", "rows", "table"]

Result = xr.DataArray | xr.Dataset | str | PathLike[str]


def paragraph(result: Result, *, form: str = "text") -> str:
    """Say in past tense how a result was made, in sentences that a methods section can print.

    Every number in it stands in the provenance, or is a size, a label or an attribute of the result, written with four
    significant digits at least; nothing is said of steps that the provenance does not know, such as the preprocessing
    of the data. Where one result was made of another (clusters of scores, a profile of maps), both are described.

    Parameters
    ----------
    result : DataArray, Dataset, or path of a file that :func:`neurodecode.save` wrote
    form : {"text", "markdown", "latex"}
        What its special characters are escaped for.

    Returns
    -------
    str
        One paragraph; sources are cited as (author year). A score is described by its name. A result of an unknown
        kind gets a sentence that says so, and the versions.

    Raises
    ------
    ValueError
        A result without provenance (selections and arithmetic may drop attributes), or another form.
    TypeError
        What is neither a result nor a path.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> rng, names = np.random.default_rng(0), [f"img_{i}" for i in range(40)]
    >>> features = nd.brain.features(rng.normal(size=(40, 3)), stimulus=names, layer="c")
    >>> values = features.values @ rng.normal(size=(3, 20)) + 0.1 * rng.normal(size=(40, 20))
    >>> responses = nd.brain.fmri(values, sample=names, stimulus=names, roi=["V1"] * 10 + ["LO"] * 10, subject="s1")
    >>> scores = nd.spatial.decode(responses, features, nd.RidgeDecoder(1.0), folds=4)
    >>> "ridge regression" in nd.methods.paragraph(scores)
    True
    """
    require_choice(form, TEXTS, what="form")
    return escaped(" ".join(sentences(_made(result))), form=form)


def table(result: Result, *, form: str = "markdown") -> str:
    r"""Write everything that a result says of itself as a table: provenance, sizes and attributes, a line a value.

    Parameters
    ----------
    result : as for :func:`paragraph`
    form : {"markdown", "latex", "csv"}
        LaTeX is a ``longtable``, which breaks over pages; its first line names the package.

    Returns
    -------
    str
        Columns item and value. What lies in a mapping has a name with dots; an estimator has a line a setting; a
        result that this one was made of has its lines under its own name. Values are exact.

    Raises
    ------
    ValueError, TypeError
        As :func:`paragraph`.
    """
    require_choice(form, FORMS, what="form")
    return written(rows(result), form=form)


def rows(result: Result) -> list[tuple[str, str]]:
    """Return the lines of :func:`table` as pairs of item and value, not escaped.

    Parameters
    ----------
    result : DataArray, Dataset or path of a file
        As of :func:`table`.

    Raises
    ------
    ValueError, TypeError
        As :func:`paragraph`.
    """
    return _rows(_made(result))


def _made(result: Result) -> Made:
    if isinstance(result, str | PathLike):
        return read(store.load(result))
    if not isinstance(result, xr.DataArray | xr.Dataset):
        raise TypeError(
            f"methods are told of a result: give a DataArray, a Dataset or a file's path, not a {type(result).__name__}"
        )
    return read(result)
