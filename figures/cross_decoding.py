"""Cross-decoding as matrices, a row of panels a region, from the result of analyses/cross_decoding.py.

python figures/cross_decoding.py results/cross_decoding_sessions.nc --out results
"""

import matplotlib.pyplot as plt

import neurodecode as nd
from neurodecode import inputs
from neurodecode.plot.look import counted


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    score = nd.plot.spell_layers(nd.load(args.result))
    averaged = [d for d in ("subject", "fold") if d in score.dims]
    mean = score.mean(averaged, keep_attrs=True).transpose("region", "layer", "train", "test")
    several = [counted(score.sizes[d], d) for d in averaged if score.sizes[d] > 1]
    said = [f"mean of {' and '.join(several)}"] if several else []
    said += [counted(1, d) for d in averaged if score.sizes[d] == 1]
    regions = mean["region"].values.tolist()
    with nd.plot.style():
        height = 0.9 + (nd.plot.PAGE - 1.1) / max(mean.sizes["layer"], 2)
        figure = plt.figure(figsize=(nd.plot.PAGE, height * len(regions) + 0.3))
        parts = figure.subfigures(len(regions), 1, squeeze=False)[:, 0]
        for part, region in zip(parts, regions, strict=True):
            nd.plot.transfer_panels(mean.sel(region=region, drop=True), figure=part, said=said)
            part.suptitle(str(region), x=0.01, ha="left")
        figure.suptitle(inputs.titled("Trained on one, tested on another", score), x=0.01, ha="left")
    nd.plot.save(figure, args.out / args.result.stem)


if __name__ == "__main__":
    main()
