"""Forward-model patterns over the sensors, one row a layer, from the result of analyses/topographies.py.

python figures/topographies.py results/topographies_meg.nc --out results
"""

import matplotlib.pyplot as plt
import numpy as np

import neurodecode as nd
from neurodecode import inputs
from neurodecode.plot.look import counted

TIMES = (-0.05, 0.05, 0.1, 0.15, 0.2, 0.3)


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    patterns = nd.plot.spell_layers(nd.load(args.result))
    mean = patterns.mean("subject", keep_attrs=True)
    subjects = counted(patterns.sizes["subject"])
    # One scale for all rows, of the windows that are shown.
    highest = float(np.abs(mean.sel(window=list(TIMES), method="nearest")).max())
    layers = mean.layer.values
    with nd.plot.style():
        figure = plt.figure(figsize=(nd.plot.PAGE, 0.3 + 1.65 * len(layers)), layout="constrained")
        title = inputs.titled(f"Patterns over the sensors, by the centre of the window: {subjects}", patterns)
        figure.suptitle(title, x=0.01, ha="left")
        rows = figure.subfigures(len(layers), 1, squeeze=False)[:, 0]
        for row, layer in zip(rows, layers, strict=True):
            nd.plot.topographies(mean.sel(layer=layer), figure=row, times=TIMES, vmax=highest)
            row.suptitle(str(layer), x=0.01, ha="left")
    nd.plot.save(figure, args.out / args.result.stem)


if __name__ == "__main__":
    main()
