"""Temporal generalisation, one panel a layer, from the result of analyses/generalisation.py.

python figures/generalisation.py results/generalisation_meg.nc --out results
"""

import neurodecode as nd
from neurodecode import inputs
from neurodecode.plot.look import counted


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    score = nd.plot.spell_layers(nd.load(args.result))
    mean = nd.inference.group(score)["mean"].assign_attrs(score.attrs)
    with nd.plot.style():
        figure = nd.plot.generalisation_panels(mean)
        title = f"Trained in one window, tested in another: {counted(score.sizes['subject'])}"
        figure.suptitle(inputs.titled(title, score), x=0.01, ha="left")
    nd.plot.save(figure, args.out / args.result.stem)


if __name__ == "__main__":
    main()
