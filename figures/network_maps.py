"""Where and when a network looks and ridge does, from the result of analyses/network_maps.py.

python figures/network_maps.py results/network_maps_eeg.nc --out results
"""

import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.figure import SubFigure

import neurodecode as nd
from neurodecode import inputs
from neurodecode.plot.look import counted

# What is drawn: its name, the variable, and whose it is.
MAPS = (
    ("Ridge: pattern at its peak", "pattern_channel", None),
    ("Ridge: occlusion", "drop_channel", "ridge"),
    ("Network: occlusion", "drop_channel", "network"),
    ("Network: gradient x input", "evidence_channel", "network"),
)
COURSES = (
    ("Ridge: occlusion", "drop_window", "ridge"),
    ("Network: occlusion", "drop_window", "network"),
    ("Network: gradient x input", "evidence_window", "network"),
)


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = nd.plot.spell_layers(nd.load(args.result))
    high = 1.15 * result.sizes["layer"]
    with nd.plot.style():
        figure = plt.figure(figsize=(nd.plot.PAGE, high + 2.9), layout="constrained")
        title = (
            f"Where and when a network ({result.attrs['network']}) looks, {result.attrs['modality'].upper()}"
        )
        count = result.sizes["subject"]
        subjects = f"mean of {counted(count)}" if count > 1 else counted(count)
        figure.suptitle(f"{inputs.titled(title, result)}: {subjects}", x=0.01, ha="left")
        top, bottom = figure.subfigures(2, 1, height_ratios=(high, 2.6))
        heads(result, top)
        courses(result, bottom)
    nd.plot.save(figure, args.out / args.result.stem)


def heads(result: xr.Dataset, part: SubFigure) -> None:
    """A row a layer, a column a map, each under its own scale."""
    layers = result.layer.values
    cells = part.subfigures(len(layers), len(MAPS), squeeze=False)
    for row, layer in zip(cells, layers, strict=True):
        for cell, (name, variable, decoder) in zip(row, MAPS, strict=True):
            values = of(result, variable, decoder).sel(layer=layer).mean("subject", keep_attrs=True)
            nd.plot.topographies(values, figure=cell)
            # A blank keeps the heads of all rows of one size.
            cell.suptitle(name if layer == layers[0] else " ", size=7)
        row[0].supylabel(str(layer), size=7)
    near = float(result.attrs["radius"]) * 1000
    hidden = f"each channel, with those within {near:.0f} mm" if near else "one channel"
    words = (
        f"pattern: in the window that ridge can spare least; occlusion: {hidden}, hidden at all times; "
        "gradient x input: summed over time"
    )
    part.supxlabel(words, x=0.01, ha="left", size=6, color="#404040")


def courses(result: xr.Dataset, part: SubFigure) -> None:
    """A panel a course, one legend."""
    axes = part.subplots(1, len(COURSES))
    for ax, (name, variable, decoder) in zip(axes, COURSES, strict=True):
        summary = nd.inference.group(of(result, variable, decoder))
        nd.plot.time_course(summary, ax=ax, planted=result.get("peak"))
        ax.set_title(name, loc="left")
        ax.set_xlabel("Window's centre, from onset (ms)")
        legend = ax.get_legend()
        handles, names = legend.legend_handles, [text.get_text() for text in legend.texts]
        legend.remove()
        if ax is not axes[0]:
            [words] = ax.texts
            words.remove()
    part.legend(handles, names, loc="outside upper left", ncols=len(names), frameon=False)


def of(result: xr.Dataset, variable: str, decoder: str | None) -> xr.DataArray:
    """A map or course, of one decoder where there are several."""
    found = result[variable]
    return found if decoder is None else found.sel(decoder=decoder, drop=True)


if __name__ == "__main__":
    main()
