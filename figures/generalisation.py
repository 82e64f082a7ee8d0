"""Temporal generalisation, one panel a layer, from the result of analyses/generalisation.py.

python figures/generalisation.py results/generalisation_meg.nc --out results
"""

import neurodecode as nd
from neurodecode import inputs
from neurodecode.plot.look import counted


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = nd.plot.spell_layers(inputs.load_tested(args.result))
    score, found = result["score"].assign_attrs(result.attrs), result.get("significant")
    mean = nd.inference.group(score)["mean"].assign_attrs(score.attrs)
    clusters = None if found is None else found.to_dataset(name="significant", promote_attrs=True)
    with nd.plot.style():
        figure = nd.plot.generalisation_panels(mean, clusters=clusters)
        title = f"Trained in one window, tested in another: {counted(score.sizes['subject'])}"
        figure.suptitle(inputs.titled(title, score), x=0.01, ha="left")
    nd.plot.save(figure, args.out / args.result.stem)


if __name__ == "__main__":
    main()
