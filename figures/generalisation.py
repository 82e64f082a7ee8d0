"""Temporal generalisation, one panel a layer, from the result of analyses/generalisation.py.

python figures/generalisation.py results/generalisation_meg.nc --out results
"""

import matplotlib.pyplot as plt

import neurodecode as nd
from neurodecode import inputs


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    score = nd.load(args.result)
    summary = nd.inference.group(score)
    layers = summary.layer.values
    with nd.plot.style():
        figure, axes = plt.subplots(1, len(layers), figsize=(nd.plot.PAGE, 2.6), squeeze=False)
        for ax, layer in zip(axes[0], layers, strict=True):
            nd.plot.generalisation(summary["mean"].sel(layer=layer).assign_attrs(score.attrs), ax=ax)
            ax.set_title(str(layer), loc="left")
        title = f"Train in one window, test in another (mean of {score.sizes['subject']} subjects)"
        figure.suptitle(inputs.titled(title, score), x=0.01, ha="left")
    nd.plot.save(figure, args.out / args.result.stem)


if __name__ == "__main__":
    main()
