"""What the analyses recover of the simulated lab at three levels of noise, from the result of analyses/claims.py.

python figures/claims.py results/claims.nc --out results
"""

import matplotlib.pyplot as plt
import xarray as xr

import neurodecode as nd
from neurodecode import inputs

MS = 1000.0
# Top-1 among the 40 test concepts of the lab's EEG and MEG, in one window; the best of several lies a little above.
CHANCE = 1 / 40
MODALITIES = {"meg": "MEG", "eeg": "EEG"}


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = inputs.load_result(args.result)
    # c, the shallowest of CLIP's layers, and z: one panel each.
    shown = list(inputs.shallowest(dict.fromkeys(map(str, result.layer.values), result["accuracy"])))[:3]
    with nd.plot.style():
        figure = plt.figure(figsize=(nd.plot.PAGE, 7.2), layout="constrained")
        title = inputs.titled("What is recovered of what was planted, by noise", result)
        figure.suptitle(title, x=0.01, ha="left")
        top, middle, bottom = figure.subfigures(3, 1, height_ratios=(1, 1.15, 1))
        regions(top, result, shown)
        layers(middle, result)
        times(bottom, result, shown)
        words = (
            f"{counted(result)}; points: mean, bars: {result.attrs['interval']}; "
            "dashed: chance (g: of one window, 1 of 40), or no error"
        )
        figure.supxlabel(words, x=0.01, ha="left", size=6, color="#404040")
    nd.plot.save(figure, args.out / args.result.stem)


def counted(result: xr.Dataset) -> str:
    """How many subjects have a value, of fMRI and of each modality over time."""
    n = {"fMRI": int(result["accuracy"].notnull().any(["noise", "region", "layer"]).sum())}
    there = result["best"].notnull().any(["noise", "layer"]).sum("subject")
    n |= {str(m).upper(): int(there.sel(modality=m)) for m in result.modality.values}
    return ", ".join(f"n = {count} {name}" for name, count in n.items())


def regions(part: plt.Figure, result: xr.Dataset, shown: list[str]) -> None:
    """Claim 1: accuracy of LVC and HVC, a panel a feature space."""
    axes = part.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for ax, letter, layer in zip(axes, "abc", shown, strict=False):
        found = estimates(result.sel(layer=layer), "accuracy", "Profile correlation (r)")
        nd.plot.intervals(found, x="noise", by="region", ax=ax, reference=0.0, legend=False)
        ax.set_title(f"{letter}  {spelled(layer)}", loc="left")
        ax.label_outer()
    legend(part, axes[0])


def layers(part: plt.Figure, result: xr.Dataset) -> None:
    """Claim 1 for all spaces: difference of the regions, and maps against the truth; one legend."""
    panels = {
        "difference": ("LVC minus HVC (r)", "d", "Accuracy, LVC minus HVC", 0.0),
        "map_auc": ("ROC AUC", "e", "Weight map against truth", 0.5),
        "region_order": ("Spearman's ρ", "f", "Order of the regions", 0.0),
    }
    axes = part.subplots(1, len(panels))
    for ax, (name, (label, letter, words, reference)) in zip(axes, panels.items(), strict=True):
        found = nd.plot.spell_layers(estimates(result, name, label))
        nd.plot.intervals(found, x="noise", by="layer", ax=ax, reference=reference, legend=False)
        ax.set_title(f"{letter}  {words}", loc="left")
    legend(part, axes[0])


def times(part: plt.Figure, result: xr.Dataset, shown: list[str]) -> None:
    """Claim 2: how much is identified in EEG and MEG, and errors of latencies."""
    axes = part.subplots(1, 3)
    best = estimates(result.sel(layer=shown[1]), "best", "Top-1 accuracy, best window")
    nd.plot.intervals(spoken(best), x="noise", by="modality", ax=axes[0], reference=CHANCE, legend=False)
    axes[0].set_ylim(bottom=0.0)
    axes[0].legend(loc="best")
    axes[0].set_title(f"g  Structure ({shown[1]})", loc="left")
    error = estimates(result, "latency_error", "Found minus planted", scale=MS, units="ms")
    low, high = float(error["low"].min()), float(error["high"].max())
    for ax, letter, (modality, name) in zip(axes[1:], "hi", MODALITIES.items(), strict=True):
        found = nd.plot.spell_layers(error.sel(modality=modality))
        nd.plot.intervals(found, x="noise", by="layer", ax=ax, reference=0.0, legend=False)
        ax.set_ylim(low - 3, high + 3)
        ax.set_title(f"{letter}  Latency error, {name}", loc="left")


def estimates(
    result: xr.Dataset, name: str, label: str, *, scale: float = 1.0, units: str = ""
) -> xr.Dataset:
    """Mean, low and high of one quantity."""
    parts = {k: scale * result[f"{name}_{k}"] for k in ("mean", "low", "high")}
    return xr.Dataset(parts, attrs={"label": label, "units": units})


def spoken(found: xr.Dataset) -> xr.Dataset:
    order = [m for m in MODALITIES if m in found.modality.values]
    return found.sel(modality=order).assign_coords(modality=[MODALITIES[m] for m in order])


def spelled(layer: str) -> str:
    return str(nd.plot.spell_layers(xr.Dataset(coords={"layer": layer})).layer.item())


def legend(part: plt.Figure, ax: plt.Axes) -> None:
    """One for a row of panels, above them."""
    handles, names = ax.get_legend_handles_labels()
    part.legend(handles, names, loc="outside upper left", ncols=len(names), frameon=False, columnspacing=0.9)


if __name__ == "__main__":
    main()
