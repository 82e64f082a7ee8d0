"""Forward-model patterns over the sensors, one row a layer, from the result of analyses/topographies.py.

python figures/topographies.py results/topographies_meg.nc --out results
"""

import matplotlib.pyplot as plt

import neurodecode as nd
from neurodecode import inputs

TIMES = (0.0, 0.1, 0.15, 0.2, 0.3)


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    patterns = nd.load(args.result)
    mean = patterns.mean("subject", keep_attrs=True)
    layers = mean.layer.values
    with nd.plot.style():
        figure = plt.figure(figsize=(nd.plot.PAGE, 1.9 * len(layers)), layout="constrained")
        title = f"Patterns over the sensors (mean of {patterns.sizes['subject']} subjects)"
        figure.suptitle(inputs.titled(title, patterns), x=0.01, ha="left")
        for part, layer in zip(figure.subfigures(len(layers), 1, squeeze=False)[:, 0], layers, strict=True):
            nd.plot.topographies(mean.sel(layer=layer), figure=part, times=TIMES)
            part.suptitle(str(layer), x=0.01, ha="left")
    nd.plot.save(figure, args.out / args.result.stem)


if __name__ == "__main__":
    main()
