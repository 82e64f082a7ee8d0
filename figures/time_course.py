"""Fig. 9e-f: identification over time, from the result of analyses/time_course.py.

python figures/time_course.py results/time_course_meg.nc --out results
"""

import matplotlib.pyplot as plt

import neurodecode as nd
from neurodecode import inputs


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = inputs.load_result(args.result)
    clusters = (
        result[["significant"]].assign_attrs(result["significant"].attrs) if "significant" in result else None
    )
    with nd.plot.style():
        figure, ax = plt.subplots(figsize=(nd.plot.COLUMN * 1.4, 2.8))
        nd.plot.time_course(nd.inference.group(result["score"]), ax=ax, clusters=clusters)
        ax.set_title(inputs.titled("Decoding over time", result), loc="left")
    nd.plot.save(figure, args.out / args.result.stem)


if __name__ == "__main__":
    main()
