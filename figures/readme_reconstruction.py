"""The README's second picture: the first test stimuli, stage 1 and stage 2, from the result of analyses/reconstruct.py.

python figures/readme_reconstruction.py results/reconstruct_fmri.nc --out docs/images
"""

import matplotlib.pyplot as plt

import neurodecode as nd
from neurodecode import inputs

COUNT = 10
ROWS = {"truth": "shown", "imagined": "stage 1", "images": "stage 2"}


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = inputs.load_result(args.result).isel(subject=0, sample=slice(0, COUNT))
    order = ("sample", "row", "column", "colour")
    with nd.plot.style():
        figure = plt.figure(figsize=(nd.plot.PAGE, 2.25), layout="none")
        grid = figure.subplots(
            len(ROWS),
            COUNT,
            gridspec_kw={
                "wspace": 0.05,
                "hspace": 0.05,
                "left": 0.08,
                "right": 0.99,
                "top": 0.9,
                "bottom": 0.01,
            },
        )
        for axes, (key, name) in zip(grid, ROWS.items(), strict=True):
            for ax, picture in zip(axes, result[key].transpose(*order).values, strict=True):
                ax.imshow(picture.clip(0, 1), interpolation="nearest")
                ax.set(xticks=[], yticks=[])
                ax.spines[:].set_visible(False)
            axes[0].set_ylabel(name, size=8)
        title = inputs.titled(f"{result['subject'].item()}, the first {COUNT} test stimuli", result)
        figure.suptitle(title, x=0.01, y=0.99, ha="left", size=8)
        figure.savefig(args.out / "reconstruction.png", dpi=130)


if __name__ == "__main__":
    main()
