"""A page: parts under one heading, in one file that needs no other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import xarray as xr

from .. import __version__, store
from ..labels import listed
from ..store.atomic import writable_target
from .markup import Html, element
from .parts import Part, Told, badge, read, section

STYLE = Path(__file__).with_name("page.css")
# Nothing is fetched and no script runs, whatever stands in a file: the browser itself holds the page to it.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

Result = xr.DataArray | xr.Dataset | str | PathLike[str]


def page(
    result: Result,
    path: str | PathLike[str],
    *,
    figures: Sequence[Any] = (),
    title: str | None = None,
    steps: Iterable[str] = (),
    overwrite: bool = False,
) -> Path:
    """Write one HTML file that tells all about a result, to be read in any browser without this package.

    It holds the figures, the numbers as tables (exact in the attributes ``data-value``), the methods paragraph,
    all settings, the provenance, and the warnings that were raised if the run was watched
    (:func:`neurodecode.store.noting`). It needs no other file, no network and no script.

    Parameters
    ----------
    result : DataArray, Dataset, or path of a file that :func:`neurodecode.save` wrote
    path : of the page, by custom ``*.html``; its folder must exist
    figures : paths of PNG or SVG files, or matplotlib figures
    title : of the page; by default the result's name or file
    steps : commands that were run, for the foot of the page
    overwrite : replace a file that is already there

    Returns
    -------
    The path of the page, which is written whole or not at all.

    Raises
    ------
    TypeError, ValueError
        If ``result`` or a figure is something else.
    OSError
        If a file cannot be read, the folder is missing or cannot be written to, or the page exists and ``overwrite``
        is False.

    Examples
    --------
    >>> import numpy as np, tempfile, neurodecode as nd
    >>> score = nd.store.stamp(nd.brain.features(np.ones((2, 3)), stimulus=["a", "b"]), what="mine", parameters={})
    >>> made = nd.report.page(score, tempfile.mkdtemp() + "/run.html", title="My run")
    >>> made.read_text(encoding="utf-8").startswith("<!doctype html>")
    True
    """
    heading = _spaced(title or _name(result))
    part = Part(_loaded(result), heading, figures)
    return join([part], path, title=title or heading, steps=steps, overwrite=overwrite)


def join(
    parts: Sequence[Part],
    path: str | PathLike[str],
    *,
    title: str,
    steps: Iterable[str] = (),
    overwrite: bool = False,
) -> Path:
    """Write one page of several results; as :func:`page`.

    Parameters
    ----------
    parts : results with their figures, in the order of the page
    path, title, steps, overwrite : as of :func:`page`

    Raises
    ------
    ValueError
        Without parts; else as :func:`page`.
    """
    if not parts:
        raise ValueError("a page needs at least one result, got none")
    target = writable_target(path, overwrite=overwrite)
    told = [read(part) for part in parts]
    store.write_text(target, document(told, title=title, steps=list(steps)), overwrite=overwrite)
    return Path(path)


def write(folder: str | Path, *, title: str, steps: Iterable[str] = ()) -> Path:
    """Write ``index.html`` for the results (*.nc) and figures (*.png) of a folder, over an older one; return its path.

    Parameters
    ----------
    folder : path
        A figure belongs to the result whose name its own begins with.
    title : str
    steps : commands that were run, for the foot of the page

    Raises
    ------
    FileNotFoundError
        If the folder holds no result.
    """
    folder = Path(folder)
    results = sorted(folder.glob("*.nc"))
    if not results:
        raise FileNotFoundError(f"there is no result (*.nc) in {str(folder)!r}; run an analysis first")
    figures = sorted(folder.glob("*.png"))
    parts = [
        Part(store.load(r), _spaced(r.stem), f, "" if f else "No figure was drawn.")
        for r, f in zip(results, _shared_out(figures, results), strict=True)
    ]
    # A demo that is run again makes its page again.
    return join(parts, folder / "index.html", title=title, steps=steps, overwrite=True)


def _shared_out(figures: Sequence[Path], results: Sequence[Path]) -> list[list[Path]]:
    """Figures of each result: those named after it, and after no longer-named one."""
    owners = [_owner(f, results) for f in figures]
    return [[f for f, owner in zip(figures, owners, strict=True) if owner == i] for i in range(len(results))]


def _owner(figure: Path, results: Sequence[Path]) -> int | None:
    """Which result a figure is named after; of several of one name, that beside which it lies."""
    named = [i for i, r in enumerate(results) if figure.stem.startswith(r.stem)]
    longest = max((len(results[i].stem) for i in named), default=0)
    best = [i for i in named if len(results[i].stem) == longest]
    if len(best) > 1:
        folder = figure.resolve().parent
        beside = [i for i in best if results[i].resolve().parent == folder]
        if len(beside) != 1:
            same = listed(str(results[i]) for i in best)
            raise ValueError(
                f"figure {str(figure)!r} bears the name of {len(best)} results, {same}, "
                f"of which {len(beside)} lie in its folder; put it beside the one that it shows, or rename them"
            )
        best = beside
    return best[0] if best else None


def figures_of(figures: Sequence[Path], results: Sequence[Path]) -> list[list[Path]]:
    """Share figures out to the results after which they are named; those of a single result need no such name.

    Of results of one name in several folders, a figure belongs to that in its own folder.

    Parameters
    ----------
    figures : paths of pictures
    results : paths of result files

    Raises
    ------
    ValueError
        Figures that belong to none of several results, or that may belong to more than one.
    """
    if len(results) == 1:
        return [list(figures)]
    found = _shared_out(figures, results)
    lost = [str(f) for f in figures if not any(f in one for one in found)]
    if lost:
        names = [r.stem for r in results]
        raise ValueError(
            f"figures {listed(lost)} bear the name of none of the {len(results)} results {listed(names)}: a figure's "
            "file begins with the name of its result"
        )
    return found


def _loaded(result: Result) -> xr.DataArray | xr.Dataset:
    if isinstance(result, str | PathLike):
        return store.load(result)
    if not isinstance(result, xr.DataArray | xr.Dataset):
        raise TypeError(
            f"a page tells of a result: give a DataArray, a Dataset or a file's path, not a {type(result).__name__}"
        )
    return result


def _name(result: Result) -> str:
    if isinstance(result, str | PathLike):
        return Path(result).stem
    return str(getattr(result, "name", None) or "result")


def _spaced(name: str) -> str:
    return name.replace("_", " ")


# -------------------------------------------------------------------------------------------------------- the page
def document(told: Sequence[Told], *, title: str, steps: Sequence[str]) -> str:
    """Write the whole page as text."""
    anchors = [f"result-{i}" for i in range(1, len(told) + 1)]
    body = element(
        "body",
        _header(told, title),
        *([_contents(told, anchors)] if len(told) > 1 else []),
        element("main", *(section(t, a, heading=len(told) > 1) for t, a in zip(told, anchors, strict=True))),
        *([_commands(steps)] if steps else []),
        element("footer", f"Written by neurodecode {__version__}. This file needs no other, and no network."),
    )
    return f"<!doctype html>\n{element('html', _head(title), body, lang='en')}\n"


def _head(title: str) -> Html:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content=f"neurodecode {__version__}"),
        element("title", title),
        element("style", Html(STYLE.read_text(encoding="utf-8"))),
    )


def _header(told: Sequence[Told], title: str) -> Html:
    words = [w for t in told for w in t.warnings or []]
    watched = [t for t in told if t.warnings is not None]
    count = f"{len(words)} warning{'' if len(words) == 1 else 's'}" if watched else "warnings not recorded"
    results = "1 result" if len(told) == 1 else f"{len(told)} results"
    said = " · ".join([results, count, f"neurodecode {__version__}"])
    marks = [badge("Simulated data")] if told and all(t.simulated for t in told) else []
    return element("header", element("h1", title), element("p", said, *marks, class_="quiet"))


def _contents(told: Sequence[Told], anchors: Sequence[str]) -> Html:
    rows = []
    for one, anchor in zip(told, anchors, strict=True):
        words = one.warnings
        rows.append(
            element(
                "tr",
                element("td", element("a", one.part.name, href=f"#{anchor}")),
                element("td", element("code", one.what)),
                element("td", "not recorded" if words is None else len(words), class_="number"),
            )
        )
    heads = element("tr", *(element("th", h, scope="col") for h in ("result", "made by", "warnings")))
    table = element("table", element("thead", heads), element("tbody", *rows))
    return element("nav", element("div", table, class_="scroll"), aria_label="Results")


def _commands(steps: Sequence[str]) -> Html:
    lines = (element("li", element("code", step)) for step in steps)
    return element("section", element("h2", "Commands"), element("ol", *lines), id="commands")
