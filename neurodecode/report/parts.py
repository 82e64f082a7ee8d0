"""The section of a page that tells of one result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr

from ..methods.words import count
from .markup import Html, element, joined
from .numbers import Table, Value, short, tables
from .pictures import Picture, picture
from .stamps import Stamp, stamps, warned

READ_FIRST = (
    "Made from what the file knows; silent about what it does not know, such as recording and preprocessing."
)


@dataclass(frozen=True)
class Part:
    """One result of a page.

    Attributes
    ----------
    result : DataArray or Dataset
    name : its heading
    figures : paths of PNG or SVG files, or matplotlib figures
    remark : why there is no figure, for instance
    """

    result: xr.DataArray | xr.Dataset
    name: str
    figures: Sequence[Any] = ()
    remark: str = ""


@dataclass(frozen=True)
class Told:
    """A part whose stamps and figures were read."""

    part: Part
    stamps: list[Stamp]
    pictures: list[Picture]

    @property
    def simulated(self) -> bool:
        """Whether it came from simulated data."""
        return bool(self.part.result.attrs.get("simulated"))

    @property
    def warnings(self) -> list[str] | None:
        """What was warned of while it was made; None if nobody watched."""
        return warned(self.stamps)

    @property
    def what(self) -> str:
        """The call that made it."""
        return self.stamps[0].what if self.stamps else "unknown"


def read(part: Part) -> Told:
    """Read the stamps and figures of a part: what cannot be shown is said before anything is written."""
    return Told(part, stamps(part.result), [picture(f, name=part.name) for f in part.figures])


def section(told: Told, anchor: str, *, heading: bool = True) -> Html:
    """Write the section of a result; the only one of a page has the page's own heading."""
    level = "h3" if heading else "h2"
    marks = [badge("Simulated data")] if told.simulated else []
    return element(
        "section",
        *([element("h2", told.part.name, *marks)] if heading else []),
        _facts(told),
        _warnings(told.warnings),
        *(_figure(one, told) for one in told.pictures),
        *([element("p", told.part.remark, class_="quiet")] if told.part.remark else []),
        element(level, "Numbers", class_="part"),
        *(_table(one) for one in _numbers(told)),
        element(level, "Methods", class_="part"),
        *_methods(told.stamps),
        element(level, "Settings", class_="part"),
        *_settings(told.stamps),
        element(level, "Provenance", class_="part"),
        *_provenance(told.stamps),
        id=anchor,
    )


def badge(words: str) -> Html:
    """Write a mark beside a heading."""
    return joined(" ", element("span", words, class_="badge"))


def _facts(told: Told) -> Html:
    result = told.part.result
    facts: list[tuple[str, object]] = [("made by", element("code", told.what))]
    if told.stamps:
        record = told.stamps[0].record
        facts += [("on", record.get("date")), ("with", f"neurodecode {record.get('version')}")]
    facts.append(("holds", " × ".join(count(n, str(dim)) for dim, n in result.sizes.items()) or "one number"))
    facts += [(k, result.attrs[k]) for k in ("subject", "units") if k in result.attrs]
    lines = (element("li", element("span", k), " ", v) for k, v in facts)
    return element("ul", *lines, class_="facts")


def _warnings(words: list[str] | None) -> Html:
    if words is None:
        return element("p", "Whether warnings were raised was not recorded.", class_="quiet")
    if not words:
        return element("p", "No warnings were raised.", class_="quiet")
    heading = "1 warning was raised" if len(words) == 1 else f"{len(words)} warnings were raised"
    lines = element("ul", *(element("li", w) for w in words))
    return element("div", element("strong", heading), lines, class_="warnings", role="note")


def _figure(one: Picture, told: Told) -> Html:
    size = {} if one.size is None else {"width": one.size[0], "height": one.size[1]}
    said = f"{one.name} (simulated data)" if told.simulated else one.name
    image = element("img", src=one.uri, alt=f"Figure: {said}; the numbers are in the tables below", **size)
    return element("figure", image, element("figcaption", said))


# --------------------------------------------------------------------------------------------------------- tables
def _numbers(told: Told) -> list[Table]:
    return tables(told.part.result) or [
        Table("No numeric array", ["array"], [], "This result has labels only.")
    ]


def _table(table: Table) -> Html:
    rows = [element("tr", *(_cell(c) for c in row)) for row in table.rows]
    heads = element("tr", *(element("th", h, scope="col") for h in table.head))
    drawn = element(
        "table", element("caption", table.caption), element("thead", heads), element("tbody", *rows)
    )
    note = [element("p", table.note, class_="note")] if table.note else []
    if not table.rows:
        return joined(*note)
    if table.folded:
        many = f"{table.caption}: {len(table.rows)} rows"
        return element("details", element("summary", many), _scrolled(drawn, table.caption), *note)
    return joined(_scrolled(drawn, table.caption), *note)


def _scrolled(table: Html, caption: str) -> Html:
    # With the keyboard, too: what scrolls can be focused, and says what it is.
    return element("div", table, class_="scroll", tabindex=0, role="region", aria_label=caption)


def _cell(cell: str | Value) -> Html:
    if not isinstance(cell, Value):
        return element("td", cell, class_="label")
    error = "" if cell.error is None else f" ± {short(_without_rounding(cell.error, cell.number))}"
    said = f"{short(cell.number)}{error}{'*' if cell.marked else ''}"
    return element("td", said, class_="number", data_value=repr(cell.number))


def _without_rounding(error: float, mean: float) -> float:
    """Standard error, 0 where it is no more than the rounding of the mean: that of equal values."""
    return 0.0 if error < 1e-14 * abs(mean) else error


def _pairs(rows: Iterable[tuple[str, str]], caption: str) -> Html:
    lines = [element("tr", element("th", k, scope="row"), element("td", v)) for k, v in rows]
    return _scrolled(
        element("table", element("caption", caption), element("tbody", *lines), class_="pairs"), caption
    )


# ---------------------------------------------------------------------------------------------------------- origin
def _named(one: Stamp, words: str) -> str:
    return f"{words} of {one.of} ({one.what})" if one.of else f"{words} ({one.what})"


def _methods(found: list[Stamp]) -> list[Html]:
    if not found:
        return [element("p", "The file does not say how it was made.", class_="quiet")]
    told = [joined(*([element("strong", f"{one.of}: ")] if one.of else []), one.paragraph) for one in found]
    return [
        element("blockquote", *(element("p", t) for t in told)),
        element("p", READ_FIRST, class_="note"),
    ]


def _settings(found: list[Stamp]) -> list[Html]:
    with_some = [one for one in found if one.settings]
    if not with_some:
        return [element("p", "The file holds no parameters.", class_="quiet")]
    return [_pairs(one.settings, _named(one, "Parameters")) for one in with_some]


def _provenance(found: list[Stamp]) -> list[Html]:
    if not found:
        return [element("p", "The file bears no stamp.", class_="quiet")]
    tables = [_pairs(one.origin, _named(one, "Stamp")) for one in found]
    attributes = found[0].attributes if not found[0].of else []
    if attributes:
        words = "Attributes of the file"
        tables.append(element("details", element("summary", words), _pairs(attributes, words)))
    return tables
