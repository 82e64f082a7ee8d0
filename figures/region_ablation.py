"""Fig. 7: decoding accuracy of region sets, from the result of analyses/region_ablation.py.

python figures/region_ablation.py results/region_ablation.nc --out results
"""

import matplotlib.pyplot as plt

import neurodecode as nd
from neurodecode import inputs


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = nd.plot.spell_layers(inputs.load_tested(args.result))
    ceiling = result.get("ceiling")
    with nd.plot.style():
        figure, ax = plt.subplots(figsize=(nd.plot.PAGE, 3.4))
        nd.plot.regions(
            nd.inference.group(result["score"]),
            ax=ax,
            ceiling=None if ceiling is None else ceiling.mean(("subject", "fold"), keep_attrs=True),
            marks=result.get("significant"),
            contrast=result.get("contrast_p"),
        )
        title = inputs.titled("Held-out accuracy of region sets", result)
        figure.suptitle(title, x=0.01, ha="left")
    nd.plot.save(figure, args.out / args.result.stem)


if __name__ == "__main__":
    main()
