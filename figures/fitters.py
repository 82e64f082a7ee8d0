"""Tables 4 and 7: decoders of several kinds, both stages of each; from the result of analyses/fitters.py.

python figures/fitters.py results/table_7.nc --out results

Draws the gains of stage 2 (<name>), what each decoder changes against the linear one (<name>_against_linear), and the
first pictures of every modality (<name>_pictures); writes the two tables as Markdown, LaTeX and CSV.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import xarray as xr

import neurodecode as nd
from neurodecode import inputs
from neurodecode.plot.look import counted

LINEAR = "linear"
SHOWN = 2
STAGES = {"imagined": "stage 1", "images": "stage 2"}


def main() -> None:
    args = inputs.figure_arguments(__doc__)
    result = inputs.load_result(args.result)
    stem = args.out / args.result.stem
    table(stages(result), stem, inputs.titled("Before: stage 1, after: stage 2", result), result)
    if (others := against_linear(result)) is not None:
        title = inputs.titled("Stage 2. Before: the linear decoder, after: this one", result)
        table(others, stem.with_name(f"{stem.name}_against_linear"), title, result)
    nd.plot.save(gallery(result), stem.with_name(f"{stem.name}_pictures"))


def table(compared: xr.Dataset, stem: Path, title: str, result: xr.Dataset) -> None:
    """Draw and write one comparison."""
    count = int(result.attrs["subjects"])
    subjects = f"{'mean over ' * (count > 1)}{counted(count)}"
    words = f"{result.attrs['network_size']} networks; {subjects} of each modality"
    if result.attrs["by_concept"]:
        words += '; c of EEG and MEG: "a picture of ..." one of the test concepts, by their own pictures\' features'
    nd.plot.save(nd.plot.metric_table(compared, title=title, note_text=words), stem)
    print(title)
    inputs.write_tables(compared, stem)


def stages(result: xr.Dataset) -> xr.Dataset:
    """Stage 1 against stage 2 of every system."""
    value = result["value"]
    return compared(value.sel(stage=1, drop=True), value.sel(stage=2, drop=True), result["system"].values)


def against_linear(result: xr.Dataset) -> xr.Dataset | None:
    """Stage 2 of the linear decoder against that of the others of its modality; None where there are none."""
    value = result["value"].sel(stage=2, drop=True)
    names = [str(s) for s in result["system"].values]
    linear = {name: f"{name.split(', ')[0]}, {LINEAR}" for name in names}
    others = [name for name in names if linear[name] in names and linear[name] != name]
    if not others:
        return None
    before = value.sel(system=[linear[name] for name in others]).assign_coords(system=others)
    return compared(before, value, others)


def compared(before: xr.DataArray, after: xr.DataArray, systems) -> xr.Dataset:
    """Gains over pictures, system by system; one with fewer pictures than others has none at the end."""

    def one(values: xr.DataArray, system: str) -> xr.DataArray:
        return values.sel(system=system, drop=True).dropna("picture", how="all")

    found = [nd.metrics.gains(one(before, s), one(after, s), over="picture") for s in systems]
    return xr.concat(found, xr.Variable("system", list(systems)), combine_attrs="drop_conflicts")


def gallery(result: xr.Dataset):
    """The first pictures of every modality, both stages of every decoder."""
    modalities = dict.fromkeys(result["modality"].values.tolist())
    with nd.plot.style():
        most = max(int((result["modality"].values == m).sum()) for m in modalities)
        wide = min(nd.plot.PAGE, 0.72 * (2 * most + 1) + 0.9)
        figure = plt.figure(figsize=(wide, (0.72 * SHOWN + 0.75) * len(modalities)))
        parts = figure.subfigures(len(modalities), 1, squeeze=False)[:, 0]
        for part, modality in zip(parts, modalities, strict=True):
            here = result.isel(system=result["modality"].values == modality, picture=slice(0, SHOWN))
            said = inputs.titled("The first test pictures of the first subject", result)
            nd.plot.reconstructions(columns(here), figure=part, note_text=said)
    return figure


def columns(here: xr.Dataset) -> dict[str, xr.DataArray]:
    """What was shown, and both stages of every system of one modality."""
    pictures = here.rename(picture="sample").transpose("system", "sample", ...)
    found = {"shown": pictures["truth"].isel(system=0)}
    for system in pictures["system"].values:
        own = pictures.sel(system=system)
        name = str(system).replace(", ", "\n", 1)
        found |= {f"{name}\n{said}": own[stage] for stage, said in STAGES.items()}
    return found


if __name__ == "__main__":
    main()
