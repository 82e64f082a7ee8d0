"""When EEG tells pictures apart in unseen people, with scalp patterns: the result of analyses/eeg_pictures.py.

python figures/eeg_pictures.py results/eeg_pictures.nc --out results
"""

import matplotlib.pyplot as plt

import neurodecode as nd
from neurodecode import inputs
from neurodecode.plot.look import counted

TIMES = (0.05, 0.15, 0.25, 0.35, 0.45, 0.55)


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = nd.load(args.result)
    layers = result.layer.values
    with nd.plot.style():
        figure = plt.figure(figsize=(nd.plot.PAGE, 2.9 + 1.7 * len(layers)), layout="constrained")
        others = counted(result.sizes["subject"] - 1, "other")
        title = (
            f"EEG after pictures, each subject decoded by the {others}, windows of 100 ms (UCI EEG Database)"
        )
        figure.suptitle(title, x=0.01, ha="left")
        rows = figure.subfigures(1 + len(layers), 1, height_ratios=(2.7, *[1.7] * len(layers)))
        ax = rows[0].subplots()
        clusters = result[["significant", "p"]]
        nd.plot.time_course(nd.inference.group(result["auc"]), ax=ax, clusters=clusters)
        for row, layer in zip(rows[1:], layers, strict=True):
            nd.plot.topographies(result["pattern"].sel(layer=layer), figure=row, times=TIMES)
            row.suptitle(
                f"Forward-model pattern, fit to all subjects: {layer} (red: larger for the first)",
                x=0.01,
                ha="left",
            )
    nd.plot.save(figure, args.out / "eeg_pictures")


if __name__ == "__main__":
    main()
