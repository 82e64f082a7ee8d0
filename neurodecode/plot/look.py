"""One look for every figure: the style sheet, colours, sizes, and how files are written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from ..labels import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure, SubFigure

COLUMN = 8.5 / 2.54  # inches: one column of a journal
PAGE = 17.5 / 2.54  # inches: a page's width

# Okabe & Ito 2008. Layers take colours in this order, so that c, structure and z look alike in all figures.
LAYER_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A6A00", "#4D4D4D")
# Regions keep theirs by name, whatever their order, and differ from the first layers'.
_REGION_COLOURS = {"LVC+HVC": "#4D4D4D", "LVC": "#56B4E9", "HVC": "#E69F00"}
_OTHER_REGIONS = ("#009E73", "#CC79A7", "#0072B2", "#D55E00", "#7A6A00", "#999999")

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


def style() -> AbstractContextManager[None]:
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

    return matplotlib.style.context(str(Path(__file__).with_name("neurodecode.mplstyle")))


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
    """Colours by order, starting again after the eighth."""
    return [LAYER_COLOURS[i % len(LAYER_COLOURS)] for i in range(len(layers))]


def region_colours(regions: Sequence[object]) -> list[str]:
    """Colours by name for LVC, HVC and both together; the other names share the rest in order."""
    others = [r for r in map(str, regions) if r not in _REGION_COLOURS]
    rest = {r: _OTHER_REGIONS[i % len(_OTHER_REGIONS)] for i, r in enumerate(others)}
    return [{**rest, **_REGION_COLOURS}[str(r)] for r in regions]


def score_label(attrs: dict) -> str:
    """Name the score that ``attrs`` declares, in words, with its units where they have any."""
    score = str(attrs.get("score", "score"))
    words = _WORDS.get(score, score[:1].upper() + score[1:])
    units = str(attrs.get("units", ""))
    return (
        f"{words} ({units})" if units not in {"", "1", "none", "None", "dimensionless", score, "r"} else words
    )


def chance_of(attrs: dict) -> float | None:
    """Return the chance level that ``attrs`` carry, if any."""
    chance = attrs.get("chance")
    return None if chance is None else float(chance)


def subjects_words(n: xr.DataArray, over: str = "subject") -> str:
    """'n = 4 subjects', or the range where cells differ."""
    low, high = int(n.min()), int(n.max())
    what = over if high == 1 else f"{over}s"
    return f"n = {low} {what}" if low == high else f"n = {low}–{high} {what}"


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


def note(ax: Axes, words: str) -> None:
    """Write what is shown (n, meaning of error bars) in small print under the axes, wrapped to their width."""
    from textwrap import fill

    down = 26 if ax.get_xlabel() else 15
    ax.annotate(
        fill(words, max(24, int(inches_wide(ax) * 21))), (0, 0), xytext=(0, -down), xycoords="axes fraction",
        textcoords="offset points", ha="left", va="top", size=6, color="#404040", annotation_clip=False, label="note",
    )  # fmt: skip


def slim_colour_bar(bar: Colorbar, label: str) -> None:
    """Dress a colour bar: no frame, its label with units."""
    bar.outline.set_visible(False)
    bar.set_label(label)
    bar.ax.tick_params(length=2, width=0.6)
