"""Fig. 9d: mean weight in LVC and HVC, from the result of analyses/region_profile.py.

python figures/region_profile.py results/region_profile.nc --out results
"""

import matplotlib.pyplot as plt

import neurodecode as nd
from neurodecode import inputs


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = nd.plot.spell_layers(inputs.load_result(args.result))
    with nd.plot.style():
        width = nd.plot.COLUMN if result.sizes["layer"] <= 4 else nd.plot.PAGE
        figure, ax = plt.subplots(figsize=(width, 3.0))
        nd.plot.profile(result, ax=ax, contrast=result.get("contrast_p"))
        figure.suptitle(inputs.titled("Weights by region", result), x=0.01, ha="left")
    nd.plot.save(figure, args.out / args.result.stem)


if __name__ == "__main__":
    main()
