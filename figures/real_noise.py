"""Hits and false alarms by region, from the result of analyses/real_noise.py.

python figures/real_noise.py results/real_noise.nc --out results
"""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from scipy import stats

import neurodecode as nd
from neurodecode import inputs

HIT, ALARM = "#0072B2", "#D55E00"
ALPHA = 0.05
MARKERS = "osD^vP"


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = inputs.load_result(args.result)
    with nd.plot.style():
        figure = plt.figure(figsize=(nd.plot.PAGE, 5.0), layout="constrained")
        figure.suptitle(
            "Effects planted (simulated) into real resting-state noise of one person", x=0.01, ha="left"
        )
        top, bottom = figure.subfigures(2, 1)
        left, right = top.subplots(1, 2, width_ratios=(1, 1.6))
        overall(left, result)
        by_region(right, result)
        low_left, low_right = bottom.subplots(1, 2, width_ratios=(1.6, 1))
        alarms(low_left, result)
        designs(low_right, result)
        words = (
            f"n = {result.sizes['sequence']} random sequences without and {result.attrs['sequences_with_effect']} with "
            f"each effect, {result.attrs['designs']} of each blocked design;\nbars and bands: 95\u00a0% limits, in a "
            "and for blocked designs Student's t over sequences (exact at 0 and 1), else exact; dashed: .05"
        )
        figure.supxlabel(words, x=0.01, ha="left", size=6, color="#404040")
    nd.plot.save(figure, args.out / args.result.stem)


def share(k: xr.DataArray, n: xr.DataArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares with exact limits; NaN where there are none."""
    k, n = np.atleast_1d(k).astype(int), np.atleast_1d(n).astype(int)
    ends = [
        stats.binomtest(a, b).proportion_ci(0.95, method="exact") if b else (np.nan, np.nan)
        for a, b in zip(k, n, strict=True)
    ]
    low, high = np.array([tuple(e) for e in ends]).T
    return np.divide(k, n, out=np.full(k.size, np.nan), where=n > 0), low, high


def overall(ax: Axes, result: xr.Dataset) -> None:
    for name, words, colour, marker in (
        ("hit", "where planted", HIT, "o"),
        ("alarm", "elsewhere", ALARM, "s"),
    ):
        value, low, high = result[f"{name}_rate"].transpose("limit", "effect").values
        ax.plot(result["effect"], value, color=colour, marker=marker, ms=3.5, lw=1.2, label=words)
        ax.fill_between(result["effect"], low, high, color=colour, alpha=0.15, lw=0)
    dashed(ax.axhline)
    ax.set(
        ylim=(-0.02, 1.02),
        xlabel="Effect (SD of the signal / SD of the noise)",
        ylabel="Share with p \u2264 .05",
    )
    ax.set_title("a  All regions", loc="left")
    ax.legend(loc="center right")


def by_region(ax: Axes, result: xr.Dataset) -> None:
    places = np.arange(result.sizes["region"])
    effects = [e for e in result["effect"].values if e > 0]
    shades = plt.get_cmap("cividis")(np.linspace(0.05, 0.85, len(effects)))
    for i, effect in enumerate(effects):
        one = result.sel(effect=effect)
        value, low, high = share(one["hit"], one["hit_n"])
        x = places + 0.16 * (i - (len(effects) - 1) / 2)
        ax.errorbar(
            x,
            value,
            yerr=[value - low, high - value],
            fmt=MARKERS[i],
            ms=3,
            lw=0.8,
            color=shades[i],
            label=f"{effect:g}",
        )
    dashed(ax.axhline)
    ax.set_xticks(places, result["region"].values, rotation=45)
    ax.set(ylim=(-0.02, 1.02), ylabel="Share with p \u2264 .05")
    ax.set_title("b  Hits where planted, by effect", loc="left")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="effect", handletextpad=0.2)


def alarms(ax: Axes, result: xr.Dataset) -> None:
    one = result.sel(effect=0)
    value, low, high = share(one["alarm"], one["alarm_n"])
    places = np.arange(result.sizes["region"])
    ax.errorbar(places, value, yerr=[value - low, high - value], fmt="s", ms=3, lw=0.8, color=ALARM)
    dashed(ax.axhline)
    ax.set_xticks(places, result["region"].values, rotation=45)
    ax.set(ylim=(0, None), ylabel="Share with p \u2264 .05")
    ax.set_title("c  False alarms without any effect", loc="left")


def designs(ax: Axes, result: xr.Dataset) -> None:
    some = result["any_alarm"]
    rows = {"any of 11, corrected": [float(v[0]) for v in share(some.sum(), np.asarray(some.size))]}
    for order in result["order"].values:
        rows[f"blocked design,\n{order} permuted"] = result["blocked_rate"].sel(order=order).values
    for y, (value, low, high) in enumerate(rows.values()):
        colour = ALARM if y else "#404040"
        ax.errorbar(value, y, xerr=[[value - low], [high - value]], fmt="s", ms=3.5, lw=1.0, color=colour)
    dashed(ax.axvline)
    ax.set_yticks(range(len(rows)), list(rows), fontsize=6)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set(xlim=(0, None), xlabel="False alarms, share with p \u2264 .05")
    ax.set_title("d  What may be permuted", loc="left")


def dashed(line) -> None:
    line(ALPHA, color="#404040", ls=(0, (4, 2.5)), lw=0.8)


if __name__ == "__main__":
    main()
