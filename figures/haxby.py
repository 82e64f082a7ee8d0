"""Categories decoded from the Haxby slice, and where they come from, from the result of analyses/haxby_categories.py.

python figures/haxby.py results/haxby_categories.nc --out results
"""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import neurodecode as nd
from neurodecode import inputs

SHOWN = ("face", "house")
KINDS = {"pattern": "Forward-model pattern", "filter": "Decoder weight"}


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = nd.load(args.result)
    with nd.plot.style():
        figure = plt.figure(figsize=(nd.plot.PAGE, 6.6), layout="constrained")
        title = (
            "Picture categories in one slice of one subject, one run left out at a time (Haxby et al. 2001)"
        )
        figure.suptitle(title, x=0.01, ha="left")
        rows = figure.subfigures(3, 1, height_ratios=(1.35, 1, 1))
        accuracies(rows[0], result)
        for row, (kind, words) in zip(rows[1:], KINDS.items(), strict=True):
            limit = float(np.abs(result[kind].sel(category=list(SHOWN))).max())
            for part, name in zip(row.subfigures(1, len(SHOWN)), SHOWN, strict=True):
                values = result[kind].sel(category=name)
                unit = str(result[kind].attrs["units"]).partition("(")[2]
                nd.plot.slice_map(values, figure=part, vmax=limit, label=f"{words}, {name}\n({unit}")
    nd.plot.save(figure, args.out / "haxby")


def accuracies(part: plt.Figure, result: xr.Dataset) -> None:
    """Eight categories with true and permuted labels on the left, two categories on the right; a dot a run."""
    left, right = part.subplots(1, 2)
    null, n = result["accuracy_permuted"].mean("permutation"), result.sizes["permutation"]
    eight = bars({"true labels": result["accuracy"], f"permuted (mean of {n})": null})
    two = bars({result.attrs["pair"]: result["accuracy_pair"]})
    words = f"a  Eight categories (permutation p = {float(result['p']):.2g})"
    for ax, scores, title in ((left, eight, words), (right, two, "b  Two categories")):
        nd.plot.regions(nd.inference.group(scores, over="run"), ax=ax)
        ax.set_title(title, loc="left", y=1.14)
        ax.set_ylim(0, 1.05)


def bars(scores: dict[str, xr.DataArray]) -> xr.DataArray:
    """Join scores (run) to (region, layer, run), which the bars take."""
    first = next(iter(scores.values()))
    joined = xr.concat(scores.values(), dim=xr.Variable("layer", list(scores)), combine_attrs="override")
    return joined.expand_dims(region=["all voxels"]).assign_attrs(first.attrs)


if __name__ == "__main__":
    main()
