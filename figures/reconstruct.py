"""Figs. 4-6, Tables 3 and 4: what was shown and both stages; metrics over iterations; gains of stage 2.

python figures/reconstruct.py results/reconstruct_fmri.nc --out results
"""

import xarray as xr

import neurodecode as nd
from neurodecode import inputs

ROWS = 10


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = inputs.load_result(args.result)
    if "subject" not in result.dims:  # the trajectory of one run
        result = result.expand_dims(subject=[result.attrs["subject"]])
    subject = result["subject"].values[0]
    stem = args.out / args.result.stem
    nd.plot.save(gallery(result.sel(subject=subject), str(subject)), stem)
    nd.plot.save(curves(result), stem.with_name(stem.name + "_iterations"))
    nd.plot.save(gains(result), stem.with_name(stem.name + "_gains"))


def gallery(one: xr.Dataset, subject: str):
    """The first pictures of one subject, none left out."""
    first = one.isel(sample=slice(0, ROWS))
    columns = {"shown": first["truth"], "stage 1": first["imagined"]}
    columns |= {f"iteration {f}": first["frames"].sel(frame=f) for f in first["frame"].values.tolist()}
    columns["lowest loss"] = first["images"]
    n = first.sizes["sample"]
    said = inputs.titled(
        f"{subject}, {'the first test stimulus' if n == 1 else f'the first {n} test stimuli'}", one
    )
    with nd.plot.style():
        return nd.plot.reconstructions(columns, note_text=f"{said}; {begun(one)}")


def begun(result: xr.Dataset) -> str:
    """What iteration 0 is."""
    starts = result.sizes.get("start", 1)
    if starts == 1:
        return "iteration 0 is stage 1"
    return f"iteration 0: of {starts} first pictures the one nearest to the decoded structure"


def curves(result: xr.Dataset):
    """PixCorr and SSIM over iterations, mean over pictures and subjects."""
    import matplotlib.pyplot as plt

    along = result["along"].rename(low_metric="line", frame="iteration")
    data = nd.inference.group(along.stack(picture=("subject", "sample")), over="picture")
    with nd.plot.style():
        figure, ax = plt.subplots(figsize=(nd.plot.COLUMN, 2.6))
        nd.plot.iterations(data, ax=ax, label="PixCorr (r), SSIM")
        ax.set_title(inputs.titled("Refinement", result), loc="left", pad=18)
        figure.supxlabel(begun(result), x=0.01, ha="left", size=6, color="#404040")
    return figure


def gains(result: xr.Dataset):
    """Stage 1 against stage 2: over subjects where there are several, else over one subject's pictures."""
    several = result.sizes["subject"] > 1
    value = result["value"].mean("sample") if several else result["value"].isel(subject=0, drop=True)
    over = "subject" if several else "picture"
    both = (value.sel(stage=k).rename({} if several else {"sample": over}) for k in (1, 2))
    table = nd.metrics.gains(*both, over=over).expand_dims(system=["stage 1 → 2"])
    said = f"protocol {result.attrs['protocol']}"
    if any(str(m).startswith("referee") for m in result["metric"].values):
        said += "; referee: an independent network, centre and size in % of the width"
    return nd.plot.metric_table(table, title=inputs.titled("Stage 2 against stage 1", result), note_text=said)


if __name__ == "__main__":
    main()
