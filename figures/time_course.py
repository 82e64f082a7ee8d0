"""Fig. 9e-f: identification over time, from the result of analyses/time_course.py.

python figures/time_course.py results/time_course_meg.nc --out results
"""

import matplotlib.pyplot as plt

import neurodecode as nd
from neurodecode import inputs

IDENTIFIED = ("top1", "top5", "pairwise")


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = nd.plot.spell_layers(inputs.load_result(args.result))
    clusters = (
        result[["significant"]].assign_attrs(result["significant"].attrs) if "significant" in result else None
    )
    summary = nd.inference.group(result["score"])
    with nd.plot.style():
        figure, ax = plt.subplots(figsize=(nd.plot.PAGE * 0.8, 3.5))
        nd.plot.time_course(summary, ax=ax, clusters=clusters, planted=result.get("peak"))
        what = "Test stimuli identified" if summary.attrs.get("score") in IDENTIFIED else "Held-out accuracy"
        figure.suptitle(inputs.titled(f"{what} over time", result), x=0.01, ha="left")
    nd.plot.save(figure, args.out / args.result.stem)


if __name__ == "__main__":
    main()
