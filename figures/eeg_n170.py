"""Face against house from a headband, from the result of analyses/eeg_n170.py.

python figures/eeg_n170.py results/eeg_n170.nc --out results
"""

import matplotlib.pyplot as plt

import neurodecode as nd
from neurodecode import inputs


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = nd.load(args.result)
    with nd.plot.style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(nd.plot.PAGE, 3.0), layout="constrained")
        title = "Face against house, four electrodes of a headband, one run left out at a time (muse-lsl)"
        figure.suptitle(title, x=0.01, ha="left")
        nd.plot.regions(nd.inference.group(result["whole"], over="run"), ax=left)
        nd.plot.time_course(nd.inference.group(result["sweep"], over="run"), ax=right)
        left.set_title("a  Whole epoch", loc="left", y=1.22)
        right.set_title("b  Windows of 100 ms, all four electrodes", loc="left", y=1.22)
    nd.plot.save(figure, args.out / "eeg_n170")


if __name__ == "__main__":
    main()
