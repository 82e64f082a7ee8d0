"""What a reconstruction leaves in a folder: pictures, the trajectory, a table of metrics."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import xarray as xr

from .. import inference, store
from ..labels import PICTURE, SAMPLE, STIMULUS, listed

TITLES = {"shown": "truth", "stage-1": "imagined", "stage-2": "images"}
TRAJECTORY, METRICS = "trajectory.nc", "metrics.csv"


def write(
    result: xr.Dataset, folder: Path, *, modality: str, generator: str, overwrite: bool = False
) -> None:
    """Write pictures (PNG), the trajectory (netCDF) and metrics.csv into a folder.

    Raises
    ------
    FileExistsError
        Without ``overwrite``, if one of them is there: nothing is written then.
    """
    if not overwrite:
        require_nothing_written(folder)
    write_pictures(result, folder, overwrite=overwrite)
    store.save(store.with_warnings(result), folder / TRAJECTORY, overwrite=overwrite)
    write_csv(result, folder / METRICS, modality=modality, generator=generator, overwrite=overwrite)


def require_nothing_written(folder: Path) -> None:
    """Refuse a folder that holds what :func:`write` writes.

    Raises
    ------
    FileExistsError
        Naming what is there.
    """
    there = [name for name in (*TITLES, TRAJECTORY, METRICS) if (folder / name).exists()]
    if there:
        raise FileExistsError(
            f"{folder} holds {listed(there)} of another run already; give another folder, or delete them"
        )


def write_csv(
    result: xr.Dataset, path: Path, *, modality: str, generator: str, overwrite: bool = False
) -> None:
    """Write means over pictures: modality, subject, generator, stage, metric, mean, sem, n; a row a value.

    A picture without a value counts in neither mean nor n.
    """
    value = result["value"]
    if "subject" not in value.dims:
        value = value.expand_dims(subject=[result.attrs["subject"]])
    found = inference.group(value, over=SAMPLE)
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["modality", "subject", "generator", "stage", "metric", "mean", "sem", "n"])
    for subject in value["subject"].values:
        for stage in value["stage"].values:
            for metric in value["metric"].values:
                cell = found.sel(subject=subject, stage=stage, metric=metric)
                numbers = [f"{float(cell[k]):.6g}" for k in ("mean", "sem")]
                table.writerow([modality, subject, generator, stage, metric, *numbers, int(cell["n"])])
    store.write_text(path, text.getvalue(), overwrite=overwrite)


def write_pictures(result: xr.Dataset, folder: Path, *, overwrite: bool = False) -> None:
    """Write what was shown and both stages of every picture as PNG, one folder each.

    They are named by their stimulus, or by their sample where a stimulus is there more than once.
    """
    from PIL import Image

    names = [_one_name(name) for name in result[STIMULUS].values]
    if len(set(names)) < len(names):
        names = [_one_name(name) for name in result[SAMPLE].values]
    for title, key in TITLES.items():
        here = folder / title
        here.mkdir(parents=True, exist_ok=True)
        values = result[key].transpose(SAMPLE, *PICTURE).values
        for name, picture in zip(names, values, strict=True):
            content = io.BytesIO()
            Image.fromarray((255 * picture.clip(0, 1)).round().astype(np.uint8)).save(content, "PNG")
            store.write_bytes(here / f"{name}.png", content.getvalue(), overwrite=overwrite)


def _one_name(label: object) -> str:
    """A label as the name of a file in a folder: what would lead into another one is written out."""
    return str(label).replace("/", "%2F").replace("\\", "%5C").replace("\0", "%00")
