"""Figs. 4-6: what was shown and both stages; metrics over iterations; from analyses/reconstruct.py.

python figures/reconstruct.py results/reconstruct_fmri.nc --out results
"""

import numpy as np
import xarray as xr

import neurodecode as nd
from neurodecode import inputs

ROWS = 10


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = inputs.load_result(args.result)
    subject = result["subject"].values[0]
    stem = args.out / args.result.stem
    nd.plot.save(gallery(result.sel(subject=subject), str(subject)), stem)
    nd.plot.save(curves(result), stem.with_name(stem.name + "_iterations"))


def gallery(one: xr.Dataset, subject: str):
    """The first pictures of one subject, none left out."""
    first = one.isel(sample=slice(0, ROWS))
    columns = {"shown": first["truth"]}
    columns |= {f"iteration {f}": first["frames"].sel(frame=f) for f in first["frame"].values.tolist()}
    with nd.plot.style():
        return nd.plot.reconstructions(
            columns,
            note_text=f"{subject} (simulated), the first {first.sizes['sample']} test stimuli; iteration 0 is stage 1",
        )


def curves(result: xr.Dataset):
    """PixCorr and SSIM over iterations, mean over pictures and subjects."""
    import matplotlib.pyplot as plt

    along = result["along"].rename(low_metric="line", frame="iteration")
    flat = along.stack(picture=("subject", "sample"))
    n = flat.sizes["picture"]
    data = xr.Dataset({"mean": flat.mean("picture"), "sem": flat.std("picture", ddof=1) / np.sqrt(n)})
    data.attrs = {"n": n, "over": "pictures"}
    with nd.plot.style():
        figure, ax = plt.subplots(figsize=(nd.plot.COLUMN, 2.6))
        nd.plot.iterations(data, ax=ax, label="PixCorr (r), SSIM")
        ax.set_title(inputs.titled("Refinement", result), loc="left", pad=18)
    return figure


if __name__ == "__main__":
    main()
