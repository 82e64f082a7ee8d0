"""One look for every figure: the style sheet, colours, sizes, and how files are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import xarray as xr

from ..labels import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure, SubFigure

_Labelled = TypeVar("_Labelled", xr.DataArray, xr.Dataset)

COLUMN = 8.5 / 2.54  # inches: one column of a journal
PAGE = 17.5 / 2.54  # inches: a page's width

# Okabe & Ito 2008. Layers take colours in this order, and the toolkit's own have one by name, so that c, structure and
# z look alike in all figures.
LAYER_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A6A00", "#4D4D4D")
_NAMED_LAYERS = {
    "c": LAYER_COLOURS[0],
    "structure": LAYER_COLOURS[1],
    "Linear": LAYER_COLOURS[1],
    "z": LAYER_COLOURS[2],
    "final": LAYER_COLOURS[3],
}
_STRUCTURES = ("#F2A65A", "#D55E00", "#7F2F00")  # structure-1, -2, ...: light to dark, then again
# Linear-1 ... Linear-12, the blocks of an encoder: light to dark, then again.
_BLOCKS = (
    "#FBD06A",
    "#F7B733",
    "#F4A02C",
    "#F08A24",
    "#E27412",
    "#D55E00",
    "#BE4D04",
    "#A83C08",
    "#91330C",
    "#7A2A10",
    "#5D210C",
    "#401808",
)
_SPELLED = {"c": "c (meaning)", "z": "z (image latent)"}
# Regions keep theirs by name, whatever their order, and differ from the first layers'.
_REGION_COLOURS = {"LVC+HVC": "#4D4D4D", "LVC": "#56B4E9", "HVC": "#E69F00"}
_OTHER_REGIONS = ("#009E73", "#CC79A7", "#0072B2", "#D55E00", "#7A6A00", "#999999")
_HATCHES = ("", "////", "....", "xxxx")

_WORDS = {
    "pattern": "Pattern correlation (r)",
    "profile": "Profile correlation (r)",
    "r2": "Explained variance (R²)",
    "top1": "Top-1 accuracy",
    "top5": "Top-5 accuracy",
    "pairwise": "Pairwise identification",
    "auc": "Area under the ROC curve",
    "accuracy": "Accuracy",
}


@contextmanager
def style() -> Iterator[None]:
    """Give the style sheet as a context: figures made inside it look like the toolkit's own.

    Returns
    -------
    A context manager; matplotlib's settings are as before when it ends.

    Examples
    --------
    >>> with style():
    ...     import matplotlib.pyplot as plt
    ...     figure, axes = plt.subplots(1, 2, figsize=(PAGE, 2.5))
    """
    import matplotlib.style

    sheet = str(Path(__file__).with_name("neurodecode.mplstyle"))
    interactive = matplotlib.is_interactive()
    try:
        with matplotlib.style.context(sheet):
            try:
                yield
            finally:
                # The first figure of a notebook turns this on; were it put back, no later one would be shown.
                interactive = matplotlib.is_interactive()
    finally:
        matplotlib.interactive(interactive)


def save(figure: Figure, path: str | Path) -> tuple[Path, Path]:
    """Write a figure as PNG (200 dots an inch) and PDF (text as text) of the same stem.

    Parameters
    ----------
    figure
        What a function of this module drew on.
    path
        Where, with or without a suffix; folders are made.

    Returns
    -------
    The paths of the PNG and of the PDF.
    """
    stem = Path(path)
    if stem.suffix.lower() in {".png", ".pdf"}:
        stem = stem.with_suffix("")
    stem.parent.mkdir(parents=True, exist_ok=True)
    png, pdf = (stem.with_name(stem.name + suffix) for suffix in (".png", ".pdf"))
    with style():
        figure.savefig(png, dpi=200)
        # No date in the file: the same figure is the same bytes.
        figure.savefig(pdf, dpi=400, metadata={"CreationDate": None})
    return png, pdf


def axes_or_new(ax: Axes | None, *, height: float = 6.0, width: float = COLUMN) -> Axes:
    """Return ``ax`` dressed in the style, or new axes of ``width`` inches by ``height`` cm."""
    import matplotlib.pyplot as plt

    if ax is None:
        return plt.figure(figsize=(width, height / 2.54)).add_subplot()
    # Axes made outside of the style still carry matplotlib's own sizes.
    rc: dict[str, Any] = dict(plt.rcParams.items())
    for side, spine in ax.spines.items():
        spine.set_linewidth(rc["axes.linewidth"])
        spine.set_visible(bool(rc[f"axes.spines.{side}"]))
    for name, axis in (("xtick", ax.xaxis), ("ytick", ax.yaxis)):
        axis.set_tick_params(
            labelsize=rc[f"{name}.labelsize"],
            width=rc[f"{name}.major.width"],
            length=rc[f"{name}.major.size"],
        )
        axis.label.set_fontsize(rc["axes.labelsize"])
    ax.title.set_fontsize(rc["axes.titlesize"])
    return ax


def figure_or_new(figure: Figure | SubFigure | None, *, width: float, height: float) -> Figure | SubFigure:
    """Return ``figure``, or a new one of ``width`` by ``height`` inches."""
    import matplotlib.pyplot as plt

    return plt.figure(figsize=(width, height)) if figure is None else figure


def layer_colours(layers: Sequence[object]) -> list[str]:
    """Colours by name for c, structure, z and final, shades for structure-1, ... and Linear-2, ...; others by order.

    Those by order come again after the eighth. The first word counts: "c (meaning)" is c.
    """
    words = [str(layer).split(" ")[0] for layer in layers]
    named = {word: colour for word in words if (colour := _named_colour(word))}
    rest = [c for c in LAYER_COLOURS if c not in named.values()]
    others = list(dict.fromkeys(str(n) for n, w in zip(layers, words, strict=True) if w not in named))
    by_order = {name: rest[i % len(rest)] for i, name in enumerate(others)}
    return [named.get(w) or by_order[str(n)] for n, w in zip(layers, words, strict=True)]


def _named_colour(word: str) -> str | None:
    stem, _, number = word.rpartition("-")
    if stem == "structure" and number.isdigit():
        return _STRUCTURES[(int(number) - 1) % len(_STRUCTURES)]
    if stem == "Linear" and number.isdigit():
        return _BLOCKS[(int(number) - 1) % len(_BLOCKS)]
    return _NAMED_LAYERS.get(word)


def spell_layers(data: _Labelled) -> _Labelled:
    """Rename the layers c and z as "c (meaning)" and "z (image latent)", as figures write them.

    Parameters
    ----------
    data : DataArray or Dataset with a coordinate `layer`, along a dimension or of one that was selected
        Everything that goes into one figure must be renamed alike, for it is matched by name.

    Returns
    -------
    The same with other labels; layers of other names keep them.
    """
    names = data["layer"].values.astype(str)
    spelled = np.array([_SPELLED.get(n, n) for n in names.ravel().tolist()]).reshape(names.shape)
    return data.assign_coords(layer=data["layer"].copy(data=spelled))


def by_window(data: Any) -> Any:
    """Call the times of labelled data windows, as figures do; anything else stays as it is."""
    timed = isinstance(data, xr.Dataset | xr.DataArray) and "time" in data.dims and "window" not in data.dims
    return data.rename(time="window") if timed else data


def counted(n: int, what: str = "subject") -> str:
    """'1 subject', '4 subjects'."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def region_colours(regions: Sequence[object]) -> list[str]:
    """Colours by name for LVC, HVC and both together; the other names share the rest in order."""
    others = [r for r in map(str, regions) if r not in _REGION_COLOURS]
    rest = {r: _OTHER_REGIONS[i % len(_OTHER_REGIONS)] for i, r in enumerate(others)}
    return [{**rest, **_REGION_COLOURS}[str(r)] for r in regions]


def region_hatches(regions: Sequence[object]) -> list[str]:
    """Hatches that tell regions apart once there are more of them than colours."""
    others = [r for r in map(str, regions) if r not in _REGION_COLOURS]
    turn = {r: i // len(_OTHER_REGIONS) for i, r in enumerate(others)}
    return [_HATCHES[turn.get(str(r), 0) % len(_HATCHES)] for r in regions]


def score_label(attrs: dict) -> str:
    """Name the score that ``attrs`` declares, in words, with its units where they have any."""
    score = str(attrs.get("score", "score"))
    words = _WORDS.get(score, score[:1].upper() + score[1:])
    units = str(attrs.get("units", ""))
    said = words.endswith(")") or units in {"", "1", "none", "None", "dimensionless", score, "r"}
    return words if said else f"{words} ({units})"


def map_label(attrs: dict) -> str:
    """Name the kind, reduction and units of weights, in short: a mean of |filter| is not a pattern."""
    kind, reduce, units = (str(attrs.get(k, "")) for k in ("kind", "reduce", "units"))
    if kind == "selection":
        return f"{units[:1].upper()}{units[1:]}" or "Selection frequency"
    words = {"filter": "weight"}.get(kind, kind or "weight")
    how = {"mean_abs": "mean |{}|", "l2": "L2 norm of {}", "mean": "mean {}"}.get(reduce, "{}").format(words)
    # The units of a map may say again what it is: "mean absolute pattern (Pearson r)".
    inner = units[units.index("(") + 1 : units.rindex(")")] if "(" in units and ")" in units else units
    rest = units[units.rindex(")") + 1 :] if inner != units else ""
    return f"{how[:1].upper()}{how[1:]}" + (f" ({inner}{rest})" if inner not in {"", "1"} else "")


def chance_of(attrs: dict) -> float | None:
    """Return the one chance level that ``attrs`` carry, if any."""
    chance = attrs.get("chance")
    return None if chance is None or isnan(chance) else float(chance)


def chances_of(summary: xr.Dataset) -> xr.DataArray | None:
    """Return chance for every cell of `mean`, where there is no one level for all of them but one for some."""
    if chance_of(summary.attrs) is not None or "chance" not in summary.variables:
        return None
    each = summary["chance"].broadcast_like(summary["mean"])
    return each if bool(each.notnull().any()) else None


def probability(p: float) -> str:
    """'.05': a probability without its leading zero."""
    return f"{float(p):g}".removeprefix("0")


def subjects_words(n: xr.DataArray, over: str = "subject") -> str:
    """'n = 4 subjects', or the range where cells differ."""
    low, high = int(n.min()), int(n.max())
    return f"n = {counted(high, over)}" if low == high else f"n = {low}–{counted(high, over)}"


def group_variables(summary: object, *, dims: Sequence[str], who: str) -> xr.Dataset:
    """Return the Dataset of neurodecode.inference.group, or refuse anything else.

    Raises
    ------
    TypeError, ValueError
        Naming what was given, and the variables or dimensions that are needed.
    """
    return _variables(summary, ("mean", "sem", "n"), dims, who=who, maker="neurodecode.inference.group")


def profile_variables(profile: object, *, who: str) -> xr.Dataset:
    """Return the Dataset of neurodecode.spatial.region_profile, or refuse anything else."""
    names = ("mean", "low", "high", "p", "n_voxels")
    return _variables(
        profile, names, ("region", "layer"), who=who, maker="neurodecode.spatial.region_profile"
    )


def _variables(
    data: object, names: Sequence[str], dims: Sequence[str], *, who: str, maker: str
) -> xr.Dataset:
    if not isinstance(data, xr.Dataset):
        raise TypeError(f"{who} must be the Dataset that {maker} returns, not {type(data).__name__}")
    missing = [n for n in names if n not in data]
    if missing:
        raise ValueError(
            f"{who} lacks the variable(s) {listed(missing)}; it has {listed(sorted(map(str, data.data_vars)))}; "
            f"make it with {maker}"
        )
    found = data["mean"].dims
    if set(found) != set(dims):
        raise ValueError(
            f"{who} needs the dimensions {tuple(dims)} and no others, but its mean has {tuple(map(str, found))}; "
            "select or average the others first"
        )
    return data


def over_dim(summary: xr.Dataset) -> str:
    """Name the dimension that was averaged over: the one `values` has and `mean` has not."""
    if "values" not in summary:
        return "subject"
    rest = [str(d) for d in summary["values"].dims if d not in summary["mean"].dims]
    return rest[0] if rest else "subject"


def inches_wide(ax: Axes) -> float:
    """Width of the axes, in inches, before a layout engine moves them."""
    return float(ax.get_window_extent().width / ax.figure.dpi)


def note(ax: Axes, *clauses: str) -> None:
    """Write what is shown (n, meaning of error bars) in small print under the axes, a line broken between clauses."""
    down = 26 if ax.get_xlabel() else 15
    words = lines(clauses, max(24, int(inches_wide(ax) * 25)))
    ax.annotate(
        words, (0, 0), xytext=(0, -down), xycoords="axes fraction", textcoords="offset points", ha="left", va="top",
        size=6, color="#404040", annotation_clip=False, label="note", linespacing=1.25,
    )  # fmt: skip


def lines(clauses: Sequence[str], letters: int) -> str:
    """Join clauses by semicolons; only one that is longer than a line is broken within."""
    from textwrap import wrap

    found: list[str] = []
    for i, clause in enumerate(clauses):
        text = clause + (";" if i < len(clauses) - 1 else "")
        if found and len(found[-1]) + 1 + len(text) <= letters:
            found[-1] += f" {text}"
        else:
            found += wrap(text, letters, break_long_words=False, break_on_hyphens=False)
    return "\n".join(found)


def y_label(ax: Axes, label: str) -> None:
    """Set a y label, broken where it is longer than the axes are high."""
    from textwrap import fill

    high = float(ax.get_window_extent().height / ax.figure.dpi)
    ax.set_ylabel(fill(label, max(14, int(high * 15)), break_long_words=False))


def legend_above(ax: Axes, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Above the axes, so that it never lies on data; in rows that fit their width, filled row by row."""
    from math import ceil

    widths = [0.30 + 0.051 * len(label) for label in labels]  # inches: handle and letters
    room = inches_wide(ax) * 1.05
    rows = 1
    while rows < len(labels) and _width(widths, ceil(len(labels) / rows)) > room:
        rows += 1
    columns = ceil(len(labels) / rows)
    # matplotlib fills columns first.
    order = [i for start in range(columns) for i in range(start, len(labels), columns)]
    handles, labels = [handles[i] for i in order], [labels[i] for i in order]
    ax.legend(handles, labels, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns)


def _width(widths: Sequence[float], columns: int) -> float:
    return sum(max(widths[i::columns]) for i in range(min(columns, len(widths))))


def slim_colour_bar(bar: Colorbar, label: str) -> None:
    """Dress a colour bar: no frame, its label with units, broken where it is longer than the bar."""
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, width=0.6)
    y_label(bar.ax, label)
