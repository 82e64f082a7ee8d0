"""Encoders over time, from the result of analyses/encoding_over_time.py: curves, and maps over the head.

python figures/encoding_over_time.py results/encoding_over_time.nc --out results
"""

from string import ascii_lowercase

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import neurodecode as nd
from neurodecode import inputs

TIMES = (0.0, 0.1, 0.15, 0.2, 0.3)


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = nd.plot.spell_layers(inputs.load_result(args.result))
    with nd.plot.style():
        figure = draw(result)
    nd.plot.save(figure, args.out / args.result.stem)


def draw(result: xr.Dataset) -> plt.Figure:
    """Curves of the channels with the largest mean r, and one row of maps a feature space."""
    layers = result["layer"].values.tolist()
    figure = plt.figure(figsize=(nd.plot.PAGE, 2.7 + 1.45 * len(layers)), layout="constrained")
    figure.suptitle(inputs.titled("Encoders of every channel at every time", result), x=0.01, ha="left")
    parts = figure.subfigures(1 + len(layers), 1, height_ratios=[2.4] + [1.45] * len(layers))
    ax = parts[0].subplots()
    nd.plot.time_course(nd.inference.group(result["strongest"]), ax=ax, planted=result.get("planted"))
    ax.set_ylabel("r of held-out responses")
    ax.set_title(
        "a  The tenth of the channels with the largest mean r, chosen on these scores", loc="left", y=1.16
    )
    mean = result["score"].mean(["subject", "fold"], keep_attrs=True)
    times = [t for t in TIMES if mean["time"].min() <= t <= mean["time"].max()]
    high = float(np.abs(mean.sel(time=times, method="nearest")).max())
    for letter, part, layer in zip(ascii_lowercase[1:], parts[1:], layers, strict=False):
        maps = mean.sel(layer=layer).assign_attrs(units="r")
        nd.plot.topographies(maps, figure=part, times=times, vmax=high)
        over = "mean r over subjects" if result.sizes["subject"] > 1 else "r of one subject"
        part.suptitle(f"{letter}  {layer}, {over}", x=0.01, ha="left", size="medium")
    return figure


if __name__ == "__main__":
    main()
