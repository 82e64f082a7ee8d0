"""Fig. 9e-f: identification over time, from the result of analyses/time_course.py.

python figures/time_course.py results/time_course_meg.nc --out results
"""

import matplotlib.pyplot as plt
import xarray as xr

import neurodecode as nd
from neurodecode import inputs

IDENTIFIED = ("top1", "top5", "pairwise")


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = nd.plot.spell_layers(inputs.load_tested(args.result))
    clusters = result.get("significant")
    summary = nd.inference.group(result["score"])
    with nd.plot.style():
        figure, ax = plt.subplots(figsize=(nd.plot.PAGE * 0.8, 4.2))
        nd.plot.time_course(
            summary,
            ax=ax,
            clusters=None
            if clusters is None
            else clusters.to_dataset(name="significant", promote_attrs=True),
            latencies=latencies(result),
            planted=result.get("peak"),
        )
        what = "Test stimuli identified" if summary.attrs.get("score") in IDENTIFIED else "Held-out accuracy"
        figure.suptitle(inputs.titled(f"{what} over time", result), x=0.01, ha="left")
    nd.plot.save(figure, args.out / args.result.stem)


def latencies(result: xr.Dataset) -> xr.Dataset | None:
    """Peaks with their limits, where the file has some: without a cluster there are none."""
    if "latency" not in result or bool(result["latency"].isnull().all()):
        return None
    names = {"latency": "estimate", "latency_low": "low", "latency_high": "high"}
    return result[list(names)].rename(names).assign_attrs(result["latency"].attrs)


if __name__ == "__main__":
    main()
