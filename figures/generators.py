"""Fig. 6, Tables 3 and 4: generators and modalities side by side; from several results of analyses/reconstruct.py.

python figures/generators.py results/reconstruct_fmri.nc results/reconstruct_fmri_autoencoder.nc --out results

Draws both stages of every result with its gains (generators_gains), the first stimuli of each over the iterations and
PixCorr and SSIM of all (generators_iterations), and writes the table as Markdown, LaTeX and CSV.
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from reconstruct import begun

import neurodecode as nd
from neurodecode import inputs

SHOWN = 2


def main() -> None:
    args = arguments()
    loaded = [inputs.load_result(path) for path in args.results]
    alike = len({bool(r.attrs.get("simulated")) for r in loaded}) == 1
    # Where only some are simulated, their names say so, not the title.
    results = {name_of(r) + ", simulated" * (not alike and bool(r.attrs.get("simulated"))): r for r in loaded}
    first = loaded[0] if alike else xr.Dataset()
    if len(results) < len(args.results):
        raise SystemExit(
            f"{len(args.results)} results share names: {', '.join(results)}; give each system once"
        )
    found = [gains(r) for r in results.values()]
    table = xr.concat(found, xr.Variable("system", list(results)), combine_attrs="drop_conflicts")
    title = inputs.titled("Stage 1, stage 2, gain", first)
    stem = args.out / args.name
    nd.plot.save(nd.plot.metric_table(table, title=title), stem.with_name(f"{stem.name}_gains"))
    nd.plot.save(iterations(results, first), stem.with_name(f"{stem.name}_iterations"))
    inputs.write_tables(table, stem.with_name(f"{stem.name}_gains"))


def name_of(result: xr.Dataset) -> str:
    """Modality, generator, number of pictures."""
    oracle = ", true layers" if result.attrs.get("oracle") else ""
    generator = str(result.attrs["generator"]).removeprefix("diffusion, ")
    return f"{result.attrs['modality']} ({count(result)}), {generator}{oracle}"


def count(result: xr.Dataset) -> int:
    """Pictures of all subjects."""
    return result.sizes["sample"] * result.sizes["subject"]


def gains(result: xr.Dataset) -> xr.Dataset:
    """Stage 1 against stage 2, over all pictures."""
    flat = result["value"].stack(picture=("subject", "sample")).reset_index("picture", drop=True)
    flat = flat.drop_vars(["stimulus"], errors="ignore").assign_coords(
        picture=np.arange(flat.sizes["picture"])
    )
    return nd.metrics.gains(flat.sel(stage=1), flat.sel(stage=2), over="picture")


def iterations(results: dict[str, xr.Dataset], first: xr.Dataset):
    """The first stimuli over the iterations of every system, and the low-level metrics of all.

    ``first`` says whether all are simulated.
    """
    import matplotlib.pyplot as plt

    height = 0.56 * SHOWN * len(results) + 0.5
    with nd.plot.style():
        figure = plt.figure(figsize=(nd.plot.PAGE, height + 3.2))
        top, bottom = figure.subfigures(2, 1, height_ratios=[height, 3.2])
        grids(top, results, first)
        for ax, metric in zip(bottom.subplots(1, 2), ("PixCorr", "SSIM"), strict=True):
            nd.plot.iterations(
                curves(results, metric), ax=ax, label=f"{metric}{' (r)' * (metric == 'PixCorr')}"
            )
            legend = ax.get_legend()
            handles, labels = legend.legend_handles, [text.get_text() for text in legend.texts]
            legend.remove()
        bottom.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=7)
    return figure


def grids(figure, results: dict[str, xr.Dataset], first: xr.Dataset) -> None:
    """Pictures: a row a system and stimulus, a column an iteration."""
    frames = next(iter(results.values()))["frame"].values.tolist()
    columns: dict[str, list[xr.DataArray]] = {}
    names = []
    for name, result in results.items():
        some = result.isel(subject=0, sample=slice(0, SHOWN), drop=True)
        columns.setdefault("shown", []).append(some["truth"])
        columns.setdefault("stage 1", []).append(some["imagined"])
        for f in frames:
            columns.setdefault(f"iteration {f}", []).append(some["frames"].sel(frame=f, drop=True))
        names += [name.replace(", ", "\n"), *[""] * (SHOWN - 1)]
    bare = ["sample", "row", "column", "colour"]
    stacked = {
        k: xr.concat([a.transpose(*bare).drop_vars(list(a.coords)) for a in v], dim="sample")
        for k, v in columns.items()
    }
    said = inputs.titled("The first test stimuli of the first subject", first)
    most = max(results.values(), key=lambda r: r.sizes.get("start", 1))
    nd.plot.reconstructions(stacked, figure=figure, names=names, note_text=f"{said}; {begun(most)}")


def curves(results: dict[str, xr.Dataset], metric: str) -> xr.Dataset:
    """Mean, SEM and n (line, iteration) over pictures, a line a system."""
    flat = [r["along"].sel(low_metric=metric).stack(picture=("subject", "sample")) for r in results.values()]
    found = [nd.inference.group(values, over="picture").drop_dims("picture") for values in flat]
    return xr.concat(found, dim=xr.Variable("line", list(results))).rename(frame="iteration")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "results", type=Path, nargs="+", help="of analyses/reconstruct.py, the same iterations in each"
    )
    parser.add_argument("--name", default="generators", help="stem of the files")
    parser.add_argument("--out", type=Path, default=Path("results"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    return args


if __name__ == "__main__":
    main()
