"""Everything that a result says of itself, a line a value, in three forms."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .. import tables
from .made import Made, call, is_record, parsed

HEAD = ("item", "value")
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "\n": " ",
}  # fmt: skip
_MARKDOWN = {c: f"\\{c}" for c in "\\`*_[]<>|#~$"} | {"\n": " "}
_ESCAPES: dict[str, dict[str, str]] = {"latex": _LATEX, "markdown": _MARKDOWN}

Rows = list[tuple[str, str]]


def rows(made: Made) -> Rows:
    """Name and exact value of everything, in the order of the record."""
    found = list(_record(made.record, ""))
    found += [(f"size of {dim}", str(n)) for dim, n in sorted(made.sizes.items())]
    return found + [row for k, v in made.attrs.items() for row in _lines(v, f"attribute {k}")]


def _record(record: Mapping[str, Any], within: str) -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        if name == "parameters" and isinstance(value, Mapping) and value:
            for key, inside in value.items():
                yield from _lines(inside, f"{within}parameter {key}")
        else:
            yield from _lines(value, f"{within}{name}")


def _lines(value: Any, name: str) -> Iterator[tuple[str, str]]:
    value = parsed(value)
    if is_record(value):
        yield from _record(value, f"{name}.")
        return
    if isinstance(value, Mapping) and value:
        for key, inside in value.items():
            yield from _lines(inside, f"{name}.{key}")
        return
    if isinstance(value, str):
        what, settings = call(value)
        if settings:
            yield name, what
            for key, inside in settings.items():
                yield from _lines(inside, f"{name}.{key}")
            return
    yield name, _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "none"
    if isinstance(value, list | tuple) and value and all(isinstance(v, str | int | float) for v in value):
        return ", ".join(map(_plain, value))
    return json.dumps(value, default=repr)


def escaped(text: str, *, form: str) -> str:
    """Text whose special characters stand for themselves in Markdown or LaTeX; other forms leave it as it is."""
    found = _ESCAPES.get(form, {})
    return "".join(found.get(c, c) for c in text)


def written(table: Rows, *, form: str) -> str:
    """Lines of one form."""
    if form == "csv":
        return tables.comma_separated(HEAD, table)
    cells = [tuple(escaped(cell, form=form) for cell in row) for row in table]
    if form == "markdown":
        return tables.markdown(HEAD, cells)
    lines = [
        r"% needs \usepackage[T1]{fontenc} and \usepackage{longtable}",
        r"\begin{longtable}{p{0.4\linewidth}p{0.55\linewidth}}",
        rf"{HEAD[0]} & {HEAD[1]} \\ \hline \endhead",
        *(rf"{k} & {v} \\" for k, v in cells),
        r"\end{longtable}",
    ]
    return "\n".join([*lines, ""])
