"""Noise ceilings, and scores beside them, from either result of analyses/ceilings.py.

python figures/ceilings.py results/ceilings_lab.nc --out results
python figures/ceilings.py results/ceilings_haxby.nc --out results
"""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

import neurodecode as nd
from neurodecode import inputs

DRIVEN, NONE, LINE = "#0072B2", "#8C8C8C", "#404040"


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = inputs.load_result(args.result)
    with nd.plot.style():
        figure = of_lab(result) if "planted" in result else of_slice(result)
    nd.plot.save(figure, args.out / args.result.stem)


def of_lab(result: xr.Dataset) -> plt.Figure:
    """Estimated against planted, both estimates, and scores by region with their ceilings."""
    figure = plt.figure(figsize=(nd.plot.PAGE, 5.6), layout="constrained")
    figure.suptitle(inputs.titled("Noise ceilings from repeats", result), x=0.01, ha="left")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 1.12))
    left, right = top.subplots(1, 2)
    one = result.isel(voxel=result["subject_of"].values == result["subject_of"].values[0])
    estimates(left, one)
    scatter(right, {"voxels": (one["ceiling"], one["half_ceiling"], DRIVEN)}, square=True)
    right.set_xlabel("By the analysis of variance (r)")
    right.set_ylabel("By halves (r)")
    right.set_title("b  The two estimates, subject 1", loc="left")
    shown = nd.plot.spell_layers(result[["score", "normalised", "region_ceiling"]])
    axes = bottom.subplots(1, 2)
    ticks = shown["region_ceiling"].mean("subject").expand_dims(layer=shown["layer"].values)
    nd.plot.regions(nd.inference.group(shown["score"]), ax=axes[0], ceiling=ticks)
    nd.plot.regions(nd.inference.group(shown["normalised"]), ax=axes[1], ceiling=xr.ones_like(ticks))
    axes[0].set_ylabel("Profile correlation of an encoder (r)")
    axes[1].set_ylabel("Share of the noise ceiling")
    for ax, words in zip(axes, ("c  Encoders' scores by region", "d  The same, normalised"), strict=True):
        ax.set_title(words, loc="left", y=1.16)
        ax.tick_params(axis="x", labelsize=6)
    return figure


def estimates(ax: Axes, one: xr.Dataset) -> None:
    """Estimates with limits of a few voxels over all others, against what was planted."""
    none = (one["planted"] == 0).values
    scatter(
        ax,
        {
            "voxels": (one["planted"][~none], one["ceiling"][~none], DRIVEN),
            "no signal planted": (one["planted"][none], one["ceiling"][none], NONE),
        },
        square=True,
    )
    few = one.isel(voxel=np.flatnonzero(~none)[:: max(1, int((~none).sum()) // 25)])
    middle = few["ceiling"].values
    reach = np.maximum([middle - few["low"].values, few["high"].values - middle], 0)
    ax.errorbar(few["planted"], middle, yerr=reach, fmt="o", ms=2, color="black", lw=0.7, zorder=4,
                label="some, with 95\u00a0% limits")  # fmt: skip
    ax.set_xlabel("Planted ceiling (r)")
    ax.set_ylabel("Estimated ceiling (r)")
    ax.set_title("a  A voxel a dot, subject 1", loc="left")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), markerscale=2, handletextpad=0.3)


def of_slice(result: xr.Dataset) -> plt.Figure:
    """Map of the ceilings, an encoder's scores against them, and what permuted categories leave."""
    figure = plt.figure(figsize=(nd.plot.PAGE, 4.6), layout="constrained")
    title = (
        "Noise ceilings of one slice of one subject: 8 categories, repeated in 12 runs (Haxby et al. 2001)"
    )
    figure.suptitle(title, x=0.01, ha="left")
    top, bottom = figure.subfigures(2, 1)
    maps = {"ceiling": "a  Ceiling of one block (r)", "score": "b  Encoder's score (r)"}
    for part, (name, label) in zip(top.subfigures(1, 2), maps.items(), strict=True):
        values = result[name].assign_attrs(result["ceiling"].attrs)
        nd.plot.slice_map(values, figure=part, vmax=float(result["ceiling"].max()), label=label[3:])
        part.suptitle(label, x=0.1, ha="left", size="medium")
    left, right = bottom.subplots(1, 2)
    sure = (result["low"] > 0).values
    dots = {
        "limits leave 0 out": (result["ceiling"][sure], result["score"][sure], DRIVEN),
        "others": (result["ceiling"][~sure], result["score"][~sure], NONE),
    }
    scatter(left, dots)
    left.set_xlabel("Ceiling of one block (r)")
    left.set_ylabel("Encoder's score (r)")
    left.set_title("c  A voxel a dot; line: score = ceiling", loc="left")
    left.legend(loc="upper left", markerscale=2, handletextpad=0.3)
    bins = np.linspace(0, 1, 26)
    for name, words, colour in (
        ("ceiling", "true categories", DRIVEN),
        ("permuted_ceiling", "permuted within runs", NONE),
    ):
        right.hist(result[name].values, bins=bins, histtype="step", color=colour, lw=1.2, label=words)
    right.set_xlabel("Ceiling of one block (r)")
    right.set_ylabel("Voxels")
    right.set_title("d  True and permuted categories", loc="left")
    right.legend(loc="upper right")
    return figure


def scatter(
    ax: Axes, dots: dict[str, tuple[xr.DataArray, xr.DataArray, str]], *, square: bool = False
) -> None:
    """A dot a voxel, in rows of (x, y, colour), and the line of equality."""
    ax.plot([0, 1], [0, 1], color=LINE, ls=(0, (4, 2.5)), lw=0.8, zorder=3)
    for label, (x, y, colour) in dots.items():
        ax.scatter(x, y, s=3, color=colour, alpha=0.35, linewidth=0, label=label, rasterized=True)
    if square:
        ax.set_aspect("equal")
        ax.set(xlim=(-0.02, 1), ylim=(-0.02, 1))


if __name__ == "__main__":
    main()
