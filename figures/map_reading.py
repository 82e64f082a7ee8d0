"""What may be read from a map, from the result of analyses/map_reading.py.

python figures/map_reading.py results/map_reading.nc --out results
"""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

import neurodecode as nd
from neurodecode import inputs
from neurodecode.plot.look import layer_colours, note

STYLES = {"pattern": "-", "filter": (0, (3, 2))}
WORDS = {"pattern": "pattern", "filter": "weight"}


def penalties(result: xr.Dataset, ax: Axes) -> None:
    layers = result["layer"].values.tolist()
    for layer, colour in zip(layers, layer_colours(layers), strict=True):
        for kind, line in STYLES.items():
            values = result["auc"].sel(layer=layer, kind=kind)
            ax.plot(
                result["alpha"],
                values,
                color=colour,
                ls=line,
                marker="o",
                ms=2.5,
                label=f"{layer}: {WORDS[kind]}",
            )
    ax.axhline(0.5, color="#404040", ls=(0, (4, 2.5)), lw=0.8)
    ax.text(float(result["alpha"][0]), 0.505, "chance", size=6, color="#404040", va="bottom")
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda penalty, _: f"{penalty:g}")
    ax.set_ylim(0.47, 1.0)
    ax.set_xlabel("Penalty of ridge")
    ax.set_ylabel("Voxels that carry above others (AUC)")
    ax.set_title("a", loc="left", weight="bold")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 0.1), fontsize=6, handlelength=3)


def selections(result: xr.Dataset, ax: Axes) -> None:
    layers = result["layer"].values.tolist()
    for layer, colour in zip(layers, layer_colours(layers), strict=True):
        x, y = (result[f"{kind}_of_selected"].sel(layer=layer).values for kind in ("selection", "filter"))
        r = float(result["selection_r"].sel(layer=layer))
        ax.plot(x, y, ".", ms=2.6, color=colour, alpha=0.6, mec="none", rasterized=True)
        ax.plot([], [], "o", ms=3, color=colour, label=f"{layer}: r = {r:.2f}")
    ax.set_xlabel("Share of features that selected the voxel")
    ax.set_ylabel("Mean |weight| (SD per SD)")
    ax.set_title("b", loc="left", weight="bold")
    ax.legend(loc="upper left", fontsize=6)
    note(ax, f"a dot a voxel; {result.attrs['n_voxels']} voxels selected for each feature")


def tests(result: xr.Dataset, ax: Axes) -> None:
    layers = result["layer"].values.tolist()
    groups = result["voxels"].values.tolist()
    at = np.arange(len(groups))
    bars = [(layer, kind) for layer in layers for kind in STYLES]
    for i, (layer, kind) in enumerate(bars):
        colour = layer_colours(layers)[layers.index(layer)]
        x = at + (i - 1.5) * 0.2
        values = result["found"].sel(layer=layer, kind=kind).values
        face = colour if kind == "pattern" else "white"
        ax.bar(x, values, width=0.18, color=face, edgecolor=colour, lw=0.8, label=f"{layer}: {WORDS[kind]}")
        for place, value in zip(x, values, strict=True):
            ax.text(place, value + 0.008, f"{value:.2f}".lstrip("0"), ha="center", size=5.5)
    ax.set_xticks(at, groups)
    ax.set_ylabel("Share of voxels with p ≤ .05")
    ax.set_title("c", loc="left", weight="bold")
    ax.legend(loc="upper right", fontsize=6)
    m = result.attrs["n_permutations"]
    note(ax, f"{m} permutations of stimuli, corrected by the largest of all voxels")


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = nd.plot.spell_layers(inputs.load_result(args.result))
    with nd.plot.style():
        figure, axes = plt.subplots(1, 3, figsize=(nd.plot.PAGE, 2.9), width_ratios=(1, 1, 1.15))
        for draw, ax in zip((penalties, selections, tests), axes, strict=True):
            draw(result, ax)
        note(
            axes[0],
            f"penalty {result.attrs['alpha']:g} in b and c",
            f"one subject, {result.sizes['voxel']} voxels",
        )
        figure.suptitle(
            inputs.titled("Weights and patterns against what was planted", result), x=0.01, ha="left"
        )
    nd.plot.save(figure, args.out / args.result.stem)


if __name__ == "__main__":
    main()
