"""Zero-shot identification by ridge and by networks, from analyses/networks.py.

python figures/networks.py results/networks_eeg.nc --out results
"""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import neurodecode as nd
from neurodecode import inputs
from neurodecode.plot.look import counted

RIDGE, NETWORK = "#4D4D4D", "#0072B2"


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = inputs.load_result(args.result)
    with nd.plot.style():
        figure, axes = plt.subplots(
            1, result.sizes["k"], figsize=(nd.plot.PAGE, 3.0), layout="constrained", squeeze=False
        )
        for ax, k in zip(axes[0], result["k"].values, strict=True):
            panel(ax, result.sel(k=k))
        labels = "shuffled labels, " if result.attrs.get("shuffled") else ""
        title = inputs.titled(f"Pictures of new concepts found, {result.attrs['modality'].upper()}", result)
        figure.suptitle(f"{title}: {labels}{result.attrs['network_size']} networks", x=0.01, ha="left")
    nd.plot.save(figure, args.out / args.result.stem)


def panel(ax, result: xr.Dataset) -> None:
    """One k: a point a model with its interval over subjects, a dot a subject, chance."""
    models = [str(m) for m in result["model"].values]
    place = np.arange(len(models))
    n = result.sizes["subject"]
    for x, model in zip(place, models, strict=True):
        here = result.sel(model=model)
        mean = float(here["mean"])
        reach = np.array([[mean - float(here["mean_low"])], [float(here["mean_high"]) - mean]])
        colour = RIDGE if model == "ridge" else NETWORK
        spread = np.linspace(-0.18, 0.18, n) if n > 1 else [0.0]
        ax.scatter(x + spread, here["accuracy"], s=5, color="white", edgecolor="#707070", linewidth=0.5)
        ax.errorbar(x, mean, yerr=np.nan_to_num(reach), fmt="o", ms=4, color=colour, elinewidth=1.1)
    ax.axhline(float(result["chance"]), color="black", linestyle="--", linewidth=0.8, label="chance")
    ax.set_xticks(place, [nd.networks.NAMES.get(m, m) for m in models], fontsize=6.5, rotation=30, ha="right")
    ax.set_ylabel(f"Top-{int(result['k'])} accuracy (proportion)")
    ax.set_ylim(bottom=0)
    bars = "; bars: 95 % interval over subjects" if n > 1 else ""
    ax.set_xlabel(f"n = {counted(n)} (dots), {result.attrs['n_way']}-way{bars}", fontsize=6)
    ax.legend(frameon=False, fontsize=6.5)


if __name__ == "__main__":
    main()
