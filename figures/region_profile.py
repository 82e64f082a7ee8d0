"""Fig. 9d: mean weight in LVC and HVC, from the result of analyses/region_profile.py.

python figures/region_profile.py results/region_profile.nc --out results
"""

import matplotlib.pyplot as plt

import neurodecode as nd
from neurodecode import inputs


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = inputs.load_result(args.result)
    with nd.plot.style():
        figure, ax = plt.subplots(figsize=(nd.plot.COLUMN, 2.8))
        nd.plot.profile(result, ax=ax, contrast=result.get("contrast_p"))
        ax.set_title(inputs.titled("Weights by region", result), loc="left")
    nd.plot.save(figure, args.out / "region_profile")


if __name__ == "__main__":
    main()
