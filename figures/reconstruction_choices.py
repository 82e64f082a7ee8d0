"""Fig. 8, Tables 5, 6 and 8: every metric of both stages against one choice; from analyses/reconstruction_choices.py.

python figures/reconstruction_choices.py results/reconstruction_keep_fmri.nc --out results
"""

import numpy as np
import xarray as xr

import neurodecode as nd
from neurodecode import inputs

LABELS = {
    "keep": "Trusted dimensions (%)",
    "regions": "Voxels of",
    "without": "Left out",
    "gamma": "Weight of the semantic term",
}
# The value that the lab uses.
USUAL = {"keep": "100", "gamma": "0.2"}


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = inputs.load_result(args.result)
    nd.plot.save(panels(result), args.out / args.result.stem)


def panels(result: xr.Dataset):
    """A panel a metric, a line a stage, mean and SEM over pictures."""
    import matplotlib.pyplot as plt

    choice = result.attrs["choice"]
    names = [str(n) for n in result[choice].values]
    flat = result["value"].stack(picture=("subject", "sample"))
    n = flat.sizes["picture"]
    metrics = [str(m) for m in result["metric"].values]
    with nd.plot.style():
        figure, axes = plt.subplots(
            2, (len(metrics) + 1) // 2, figsize=(nd.plot.PAGE, 3.6), layout="constrained"
        )
        for ax, metric in zip(axes.flat, metrics, strict=False):
            for stage, colour, marker in ((1, "#999999", "s"), (2, "#0072B2", "o")):
                here = flat.sel(metric=metric, stage=stage)
                mean, sem = here.mean("picture"), here.std("picture", ddof=1) / np.sqrt(n)
                line = "-" if choice in USUAL else "none"
                ax.errorbar(range(len(names)), mean, sem, color=colour, marker=marker, ms=3, ls=line, lw=1,
                            label=f"stage {stage}")  # fmt: skip
            if choice in USUAL:
                ax.axvline(names.index(USUAL[choice]), color="black", lw=0.6, ls=":")
            arrow = "↑" if str(result["better"].sel(metric=metric).item()) == "higher" else "↓"
            ax.set_title(f"{metric} {arrow}", size=7)
            turned = max(map(len, names)) > 5
            ax.set_xticks(
                range(len(names)), names, rotation=40 if turned else 0, ha="right" if turned else "center"
            )
        for ax in axes.flat[len(metrics) :]:
            ax.set_visible(False)
        figure.supxlabel(LABELS[choice], size=7)
        handles, labels = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2, fontsize=6.5, frameon=False)
        subjects = result.sizes["subject"]
        said = f"n = {n} pictures of {subjects} subject{'s' * (subjects > 1)}; bars: SEM over pictures"
        figure.suptitle(f"{inputs.titled('Reconstruction', result)}, {said}", x=0.01, ha="left", size=7)
    return figure


if __name__ == "__main__":
    main()
