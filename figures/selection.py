"""Fig. 3: accuracy of single dimensions, all against those kept in training, from analyses/selection.py.

python figures/selection.py results/selection.nc --out results
"""

import neurodecode as nd
from neurodecode import inputs


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = inputs.load_result(args.result)
    spelled = nd.plot.spell_layers(result[["score", "keep"]])
    keep = spelled["keep"].astype(bool).assign_attrs(keep=result.attrs["keep"])
    # Along features 'layer' is a label; the means have a row each.
    means = nd.plot.spell_layers(
        result["mean"].mean("subject").drop_vars("layer", errors="ignore").rename(space="layer")
    )
    with nd.plot.style():
        figure = nd.plot.selection_panels(spelled["score"], keep, means=means)
        subjects = ", ".join(map(str, result.subject.values))
        title = inputs.titled(f"Held-out accuracy of single dimensions: {subjects}", result)
        figure.suptitle(title, x=0.01, ha="left")
    nd.plot.save(figure, args.out / args.result.stem)


if __name__ == "__main__":
    main()
