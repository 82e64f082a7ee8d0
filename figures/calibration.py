"""False positives, coverage and power, from the result of analyses/calibration.py.

python figures/calibration.py results/calibration.nc --out results
"""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

import neurodecode as nd
from neurodecode import inputs

INSIDE, OUTSIDE, KNOWN, BAND = "#0072B2", "#D55E00", "#8C8C8C", "#E6EEF5"
LINES = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = "osD^vPX"
AXIS = {"rate": (0.0, 0.2), "coverage": (0.7, 1.0)}
SAID = {
    "rate": "Share of data sets without an effect in which one is found, p \u2264 {:g} (black ticks: attainable)",
    "coverage": "Share of data sets in which an interval at {:g} holds the truth",
}


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = inputs.load_result(args.result)
    rows = max(result.sizes["test"], 1), max(result.sizes["interval"], 1)
    with nd.plot.style():
        size = (nd.plot.PAGE, 4.0 + 0.16 * sum(rows))
        figure = plt.figure(figsize=size, layout="constrained")
        figure.suptitle(inputs.titled("Calibration of tests and intervals", result), x=0.01, ha="left")
        top, middle, bottom = figure.subplots(3, 1, height_ratios=(rows[0], rows[1], 11))
        alpha, level = float(result.attrs["alpha"]), float(result.attrs["level"])
        shares(top, result, "rate", "test", result.attrs["wanted_rate"], alpha)
        shares(middle, result, "coverage", "interval", result.attrs["wanted_coverage"], level)
        curves(bottom, result, alpha)
        n, few = (
            ranged(result["rate_n"].values, result["coverage_n"].values),
            ranged(result["power_n"].values[:, 1:]),
        )
        words = (
            f"n = {n} data sets a point (c: {few} with an effect); bars: exact 95\u00a0% limits; bands: wanted; "
            "grey: known to fail, for comparison; vermilion: outside the band"
        )
        figure.supxlabel(words, x=0.01, ha="left", size=6, color="#404040")
    nd.plot.save(figure, args.out / args.result.stem)


def ranged(*counts: np.ndarray) -> str:
    """How many data sets: a number, or the least and the most."""
    every = np.concatenate([c.ravel() for c in counts])
    ends = sorted({int(every.min()), int(every.max())}) if every.size else [0]
    return " to ".join(map(str, ends))


def shares(ax: Axes, result: xr.Dataset, name: str, dim: str, wanted: np.ndarray, line: float) -> None:
    """A row a test or interval: share of data sets with its limits, over the band that is wanted."""
    low, high = wanted
    least, most = AXIS[name]
    ax.axvspan(low, high, color=BAND, lw=0, zorder=0)
    ax.axvline(line, color="#404040", ls=(0, (4, 2.5)), lw=0.8, zorder=1)
    for y, label in enumerate(result[dim].values):
        one = result.sel({dim: label})
        value = float(one[name])
        colour = KNOWN if bool(one[f"{dim}_fails"]) else INSIDE if low <= value <= high else OUTSIDE
        reach = [[value - float(one[f"{name}_low"])], [float(one[f"{name}_high"]) - value]]
        ax.errorbar(value, y, xerr=reach, fmt="o", ms=3.5, color=colour, lw=1.0, zorder=3)
        if not least <= value <= most:
            right = value > most
            words = f"{value:.2f} \u2192" if right else f"\u2190 {value:.2f}"
            ax.text(most if right else least, y, words, ha="right" if right else "left", va="center", size=6)
        if dim == "test" and float(one["attainable"]) < line - 1e-9:
            ax.plot([float(one["attainable"])] * 2, [y - 0.35, y + 0.35], color="black", lw=0.9, zorder=2)
    ax.set_yticks(range(result.sizes[dim]), list(result[dim].values), fontsize=6)
    ax.set(xlim=(least, most), ylim=(result.sizes[dim] - 0.4, -0.6))
    ax.grid(axis="y", lw=0.3, color="#DDDDDD")
    ax.set_axisbelow(True)
    ax.set_xlabel(SAID[name].format(line))
    ax.set_title({"rate": "a  False positives", "coverage": "b  Coverage"}[name], loc="left")


def curves(ax: Axes, result: xr.Dataset, alpha: float) -> None:
    """Power against effect size."""
    ax.axhline(alpha, color="#404040", ls=(0, (4, 2.5)), lw=0.8)
    for i, label in enumerate(result["curve"].values):
        one = result.sel(curve=label)
        look = {"color": LINES[i % len(LINES)], "marker": MARKERS[i % len(MARKERS)]}
        x, value = one["effect"].values + 0.001 * i, one["power"].values
        reach = [value - one["power_low"].values, one["power_high"].values - value]
        ax.errorbar(x, value, yerr=np.maximum(reach, 0), ms=3.5, lw=1.1, elinewidth=0.7, label=label, **look)
    ax.set(ylim=(-0.03, 1.03), ylabel="Share found where planted")
    ax.set_xlabel("Effect (SD of the planted signal / SD of the noise, of one trial)")
    ax.set_title("c  Power", loc="left")
    if result.sizes["curve"]:
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 0.1), handlelength=1.6)


if __name__ == "__main__":
    main()
