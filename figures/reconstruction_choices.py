"""Fig. 8, Tables 5, 6 and 8: every metric of both stages against one choice; from analyses/reconstruction_choices.py.

python figures/reconstruction_choices.py results/reconstruction_keep_fmri.nc --out results
"""

import numpy as np
import xarray as xr

import neurodecode as nd
from neurodecode import inputs
from neurodecode.plot.look import counted, subjects_words

LABELS = {
    "keep": "Trusted dimensions (%)",
    "regions": "Voxels of",
    "without": "Left out",
    "gamma": "Weight of the semantic term",
    "trust": "Trust in the layers' dimensions",
}
# Choices that are numbers, and the one that the lab uses.
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
    found = nd.inference.group(result["value"].stack(picture=("subject", "sample")), over="picture")
    metrics = [str(m) for m in result["metric"].values]
    usual = names.index(USUAL[choice]) if USUAL.get(choice) in names else None
    with nd.plot.style():
        figure, axes = plt.subplots(
            2, (len(metrics) + 1) // 2, figsize=(nd.plot.PAGE, 3.8), layout="constrained"
        )
        for ax, metric in zip(axes.flat, metrics, strict=False):
            panel(ax, found.sel(metric=metric), names, joined=choice in USUAL, usual=usual)
        for ax in axes.flat[len(metrics) :]:
            ax.set_visible(False)
        figure.supxlabel(LABELS[choice], size=7)
        handles, labels = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2, fontsize=6.5, frameon=False)
        said = [
            f"{subjects_words(found['n'], 'picture')} of {counted(result.sizes['subject'])}",
            "bars: SEM" if int(found["n"].max()) > 1 else "no error bars",
            *(["dashed: chance"] if bool(found["chance"].notnull().any()) else []),
            *(["dotted: the lab's own"] if usual is not None else []),
        ]
        title = f"{inputs.titled('Reconstruction', result)}, {'; '.join(said)}"
        figure.suptitle(title, x=0.01, ha="left", size=7)
    return figure


def panel(ax, one: xr.Dataset, names: list[str], *, joined: bool, usual: int | None) -> None:
    """One metric (stage, choice): a line a stage where the choice is a number, else points."""
    for stage, colour, marker in ((1, "#999999", "s"), (2, "#0072B2", "o")):
        here = one.sel(stage=stage)
        line = "-" if joined else "none"
        ax.errorbar(range(len(names)), here["mean"], here["sem"], color=colour, marker=marker, ms=3, ls=line, lw=1,
                    label=f"stage {stage}")  # fmt: skip
    if usual is not None:
        ax.axvline(usual, color="black", lw=0.6, ls=":")
    chance = float(one["chance"].max())
    if np.isfinite(chance):
        ax.axhline(chance, color="black", lw=0.6, ls="--")
    arrow = "↑" if str(one["better"].item()) == "higher" else "↓"
    ax.set_title(f"{one['metric'].item()} {arrow}", size=7)
    ax.set_ylabel(str(one["units"].item()), size=6.5)
    turned = max(map(len, names)) > 3 or len(names) > 5
    ax.set_xticks(range(len(names)), names, rotation=40 if turned else 0, ha="right" if turned else "center")


if __name__ == "__main__":
    main()
