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
    "trust": "Trust in the layers' dimensions",
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
            2, (len(metrics) + 1) // 2, figsize=(nd.plot.PAGE, 3.8), layout="constrained"
        )
        for ax, metric in zip(axes.flat, metrics, strict=False):
            panel(ax, flat.sel(metric=metric), names, usual=USUAL.get(choice))
        for ax in axes.flat[len(metrics) :]:
            ax.set_visible(False)
        figure.supxlabel(LABELS[choice], size=7)
        handles, labels = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2, fontsize=6.5, frameon=False)
        subjects = result.sizes["subject"]
        said = f"n = {n} pictures of {subjects} subject{'s' * (subjects > 1)}; bars: SEM over pictures; dashed: chance"
        figure.suptitle(f"{inputs.titled('Reconstruction', result)}, {said}", x=0.01, ha="left", size=7)
    return figure


def panel(ax, values: xr.DataArray, names: list[str], *, usual: str | None) -> None:
    """One metric (stage, choice, picture): a line a stage where the choice is a number, else points."""
    n = values.sizes["picture"]
    for stage, colour, marker in ((1, "#999999", "s"), (2, "#0072B2", "o")):
        here = values.sel(stage=stage)
        mean, sem = here.mean("picture"), here.std("picture", ddof=1) / np.sqrt(n)
        line = "none" if usual is None else "-"
        ax.errorbar(range(len(names)), mean, sem, color=colour, marker=marker, ms=3, ls=line, lw=1,
                    label=f"stage {stage}")  # fmt: skip
    if usual is not None:
        ax.axvline(names.index(usual), color="black", lw=0.6, ls=":")
    chance = float(values["chance"])
    if np.isfinite(chance):
        ax.axhline(chance, color="black", lw=0.6, ls="--")
    arrow = "↑" if str(values["better"].item()) == "higher" else "↓"
    ax.set_title(f"{values['metric'].item()} {arrow}", size=7)
    ax.set_ylabel(str(values["units"].item()), size=6.5)
    turned = max(map(len, names)) > 3 or len(names) > 5
    ax.set_xticks(range(len(names)), names, rotation=40 if turned else 0, ha="right" if turned else "center")


if __name__ == "__main__":
    main()
