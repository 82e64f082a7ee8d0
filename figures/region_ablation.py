"""Fig. 7: decoding accuracy of region sets, from the result of analyses/region_ablation.py.

python figures/region_ablation.py results/region_ablation.nc --out results
"""

import matplotlib.pyplot as plt

import neurodecode as nd
from neurodecode import inputs


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = inputs.load_result(args.result)
    summary = nd.inference.group(result["score"])
    with nd.plot.style():
        figure, ax = plt.subplots(figsize=(nd.plot.PAGE, 2.8))
        nd.plot.regions(summary, ax=ax, marks=result.get("significant"))
        ax.set_title(inputs.titled("Held-out accuracy per region set", result), loc="left")
    nd.plot.save(figure, args.out / args.result.stem)


if __name__ == "__main__":
    main()
