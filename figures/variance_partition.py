"""Shares of explained variance, from either result of analyses/variance_partition.py: bars and scatter, and maps.

python figures/variance_partition.py results/variance_partition_lab.nc --out results
python figures/variance_partition.py results/variance_partition_haxby.nc --out results
"""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

import neurodecode as nd
from neurodecode import inputs

COLOURS = {"meaning": "#0072B2", "structure": "#D55E00", "latent": "#009E73"}
DRIVEN, NONE, LINE = "#0072B2", "#8C8C8C", "#404040"


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = inputs.load_result(args.result)
    stem = args.out / args.result.stem
    with nd.plot.style():
        if "noiseless" in result:
            nd.plot.save(of_lab(result), stem)
            nd.plot.save(maps(result), stem.with_name(f"{stem.name}-maps"))
            nd.plot.save(best(result), stem.with_name(f"{stem.name}-layers"))
        else:
            nd.plot.save(of_slice(result), stem)


# ------------------------------------------------------------------------------------------------ the lab
def of_lab(result: xr.Dataset) -> plt.Figure:
    """Shares by region, and unique shares of voxels against both truths."""
    figure = plt.figure(figsize=(nd.plot.PAGE, 5.6), layout="constrained")
    figure.suptitle(inputs.titled("What explains the responses of LVC and HVC?", result), x=0.01, ha="left")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.08, 1))
    bars = result["region_share"].rename(part="layer").drop_vars(["kind", "size"], errors="ignore")
    names = [str(n).replace(" & ", "\n& ") for n in bars["layer"].values]
    ax = top.subplots()
    nd.plot.regions(nd.inference.group(bars.assign_coords(layer=names)), ax=ax)
    ax.set_ylabel("Share of held-out variance (R²)")
    ax.set_title("a  Unique (one name) and shared parts, negative ones as they are", loc="left", y=1.13)
    axes = bottom.subplots(1, 3)
    for i, (ax, (name, words)) in enumerate(zip(axes, sets_of(result).items(), strict=True)):
        against(ax, result, name)
        ax.set_title(f"{'bcd'[i]}  Unique to {name}, subject 1", loc="left")
        ax.text(0.03, 0.98, words, transform=ax.transAxes, va="top", size=6)
    axes[0].set_ylabel("Estimated unique share (R²)")
    axes[0].legend(loc="lower right", markerscale=2, handletextpad=0.2)
    return figure


def sets_of(result: xr.Dataset) -> dict[str, str]:
    """Name of each set, and its agreement with the truth."""
    return {
        str(name): "r, mean of {} subjects: {:.2f}".format(
            result.sizes["subject"], float(result["r_noiseless"].sel(set=name).mean())
        )
        for name in result["set"].values
    }


def against(ax: Axes, result: xr.Dataset, name: str) -> None:
    """Estimated unique shares of one set against what the same method finds without noise."""
    carries = (result["drive"].sum("set") > 0).values
    true, found = (result[k].sel(part=name).values for k in ("noiseless", "share"))
    ax.axhline(0, color="black", lw=0.6, zorder=1)
    for mask, colour, label in (
        (~carries, NONE, "no signal planted"),
        (carries, COLOURS[name], "driven voxels"),
    ):
        ax.scatter(
            true[mask], found[mask], s=2.5, color=colour, alpha=0.35, lw=0, label=label, rasterized=True
        )
    ends = np.array([min(0.0, np.nanmin(true)), np.nanmax(true)])
    ax.plot(ends, ends, color=LINE, ls=(0, (4, 2.5)), lw=0.8, zorder=3)
    ax.set_xlabel("Without noise × reliability (R²)")


def maps(result: xr.Dataset) -> plt.Figure:
    """Unique meaning and unique structure on the cortex of subject 1, of one scale."""
    figure = plt.figure(figsize=(nd.plot.PAGE, 5.2))
    parts = figure.subfigures(2, 1)
    high = float(np.nanquantile(np.abs(result["share"].sel(part=["meaning", "structure"])), 0.999))
    for part, name in zip(parts, ("meaning", "structure"), strict=True):
        values = labelled(result["share"].sel(part=name), result)
        nd.plot.cortex(
            values, regions=regions(values), figure=part, vmax=high, label=f"Unique to {name} (R²)"
        )
    figure.suptitle(
        inputs.titled("Variance that only one set explains, subject 1", result), x=0.01, ha="left", size=8
    )
    return figure


def best(result: xr.Dataset) -> plt.Figure:
    """Layer that predicts a voxel best, where one does, above the planted ones."""
    figure = plt.figure(figsize=(nd.plot.PAGE, 5.2))
    labels = {
        "best": "Best layer; grey: not above chance (FDR\u00a0.05)",
        "planted_best": "Planted: the layer of the largest gain",
    }
    for part, (name, label) in zip(figure.subfigures(2, 1), labels.items(), strict=True):
        values = labelled(result[name], result)
        nd.plot.cortex(values, regions=regions(values), figure=part, label=label)
    figure.suptitle(
        inputs.titled("Which layer predicts a voxel best? Subject 1", result), x=0.01, ha="left", size=8
    )
    return figure


def labelled(values: xr.DataArray, result: xr.Dataset) -> xr.DataArray:
    """Keep what a map needs: coordinates of voxels, and whose they are."""
    own = {k: v for k, v in result.coords.items() if v.dims == ("voxel",)}
    return values.assign_coords(own)


def regions(values: xr.DataArray) -> xr.DataArray:
    return nd.brain.regions(values)


# ----------------------------------------------------------------------------------------------- the slice
def of_slice(result: xr.Dataset) -> plt.Figure:
    """R2 of a left-out run's blocks with its ceilings, and shares of the sets."""
    figure = plt.figure(figsize=(nd.plot.PAGE, 4.9), layout="constrained")
    title = "Variance of one block explained by categories, one run of twelve left out (Haxby et al. 2001)"
    figure.suptitle(title, x=0.01, ha="left")
    top, bottom = figure.subfigures(2, 1)
    sure = (result["reliability_low"] > 0).values
    high = float(result["reliability"].max())
    shown = {
        ("a  Explained by all sets", "R² (grey: 0 or less)"): result["every"].clip(min=0),
        ("b  Explainable", "reliability of one block"): result["reliability"],
    }
    for part, ((words, label), values) in zip(top.subfigures(1, 2), shown.items(), strict=True):
        grid = {k: v for k, v in result.attrs.items() if k in ("affine", "shape")}
        nd.plot.slice_map(labelled(values, result).assign_attrs(grid), figure=part, vmax=high, label=label)
        part.suptitle(words, x=0.1, ha="left", size="medium")
    left, right = bottom.subplots(1, 2)
    along = result.sortby("reliability")
    left.plot(along["reliability"], along["attainable"], color=LINE, ls=(0, (4, 2.5)), lw=0.8)
    left.axhline(0, color="black", lw=0.6)
    for mask, colour, label in (
        (~sure, NONE, "others"),
        (sure, DRIVEN, "ceiling above 0 (95\u00a0% limits)"),
    ):
        left.scatter(
            result["reliability"][mask],
            result["every"][mask],
            s=4,
            color=colour,
            lw=0,
            alpha=0.6,
            label=label,
        )
    left.set(xlabel="Reliability of one block", ylabel="Explained variance (R²)", xlim=(-0.02, 1))
    left.set_title("c  A voxel a dot; dashed: attainable", loc="left")
    left.legend(loc="upper left", markerscale=1.5, handletextpad=0.3)
    shares(right, result.isel(voxel=sure))
    return figure


def shares(ax: Axes, result: xr.Dataset) -> None:
    """Quartiles over voxels of every part."""
    names = [str(n) for n in result["part"].values]
    ax.axvline(0, color="black", lw=0.6)
    boxes = ax.boxplot(
        [result["share"].sel(part=n).values for n in names], orientation="horizontal", widths=0.6,
        showfliers=False, patch_artist=True, medianprops={"color": "black"},
    )  # fmt: skip
    for box, kind in zip(boxes["boxes"], result["kind"].values, strict=True):
        box.set(facecolor=DRIVEN if kind == "unique" else "#C9C9C9", linewidth=0.6)
    ax.set_yticks(np.arange(len(names)) + 1, names)
    ax.invert_yaxis()
    ax.set_xlabel("Share of variance (R²)")
    ax.set_title(f"d  Parts in those {result.sizes['voxel']} voxels; blue: unique", loc="left")
    ax.annotate("line: median, box: quartiles, whiskers: 1.5 times the box", (0, 0), xytext=(0, -32),
                xycoords="axes fraction", textcoords="offset points", size=6, va="top", color="#404040")  # fmt: skip


if __name__ == "__main__":
    main()
