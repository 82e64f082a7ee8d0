"""What a reconstruction leaves in a folder: pictures, the trajectory, a table of metrics."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import xarray as xr

from .. import store
from ..labels import PICTURE, SAMPLE, STIMULUS


def write(result: xr.Dataset, folder: Path, *, modality: str, generator: str) -> None:
    """Write pictures (PNG), the trajectory (netCDF) and metrics.csv into a folder."""
    write_pictures(result, folder)
    store.save(store.with_warnings(result), folder / "trajectory.nc", overwrite=True)
    write_csv(result, folder / "metrics.csv", modality=modality, generator=generator)


def write_csv(result: xr.Dataset, path: Path, *, modality: str, generator: str) -> None:
    """Write means over pictures: modality, subject, generator, stage, metric, mean, sem, n; a row a value."""
    value = result["value"]
    if "subject" not in value.dims:
        value = value.expand_dims(subject=[result.attrs["subject"]])
    n = value.sizes[SAMPLE]
    mean, sem = value.mean(SAMPLE), value.std(SAMPLE, ddof=1) / np.sqrt(n)
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["modality", "subject", "generator", "stage", "metric", "mean", "sem", "n"])
    for subject in value["subject"].values:
        for stage in value["stage"].values:
            for metric in value["metric"].values:
                cell = {"subject": subject, "stage": stage, "metric": metric}
                numbers = [f"{float(v.sel(cell)):.6g}" for v in (mean, sem)]
                table.writerow([modality, subject, generator, stage, metric, *numbers, n])
    store.write_text(path, text.getvalue(), overwrite=True)


def write_pictures(result: xr.Dataset, folder: Path) -> None:
    """Write what was shown and both stages of every stimulus as PNG, one folder each."""
    from PIL import Image

    for title, key in {"shown": "truth", "stage-1": "imagined", "stage-2": "images"}.items():
        here = folder / title
        here.mkdir(parents=True, exist_ok=True)
        values = result[key].transpose(SAMPLE, *PICTURE).values
        for name, picture in zip(result[STIMULUS].values, values, strict=True):
            content = io.BytesIO()
            Image.fromarray((255 * picture.clip(0, 1)).round().astype(np.uint8)).save(content, "PNG")
            store.write_bytes(here / f"{_one_name(name)}.png", content.getvalue(), overwrite=True)


def _one_name(stimulus: object) -> str:
    """A stimulus' name as that of a file in a folder: what would lead into another one is written out."""
    return str(stimulus).replace("/", "%2F").replace("\\", "%5C").replace("\0", "%00")
