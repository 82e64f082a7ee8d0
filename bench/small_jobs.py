"""Seven long commands made small, for bench/interruptions.py and its test: what they read, and how each is called.

Everything is simulated. A job writes into one folder and nowhere else; its inputs are made once and shared.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr

import neurodecode as nd
from neurodecode import cli, pipeline, store
from neurodecode.vision import _backends

ROOT = Path(__file__).resolve().parent.parent
# What the commands import when they begin: here once, so that a forked run begins with work.
HEAVY = (
    *(
        "dask.array",
        "h5netcdf",
        "numba",
        "PIL.Image",
        "safetensors.torch",
        "sklearn.base",
        "tqdm.auto",
        "zarr",
    ),
    *(f"neurodecode.datasets.{name}" for name in ("prepared", "stimuli")),
    *(
        f"neurodecode.{name}"
        for name in ("inputs", "metrics.networks", "networks.decoder", "pipeline", "spatial")
    ),
    *(f"neurodecode.{name}" for name in ("temporal", "vision")),
)
LAZY = {
    "diffusers": ("AutoencoderKL", "UNet2DConditionModel", "DDIMScheduler"),
    "transformers": ("CLIPTextModel", "CLIPTokenizer"),
}
LAYERS = ("Linear-2", "Linear-4", "final")


@dataclass(frozen=True)
class Job:
    """One long command.

    Attributes
    ----------
    make : writes what it reads into a folder.
    run : (inputs, out) -> exit status; writes into ``out`` alone.
    alone : whether a second one in the same folder is refused; otherwise both end right.
    """

    name: str
    make: Callable[[Path], None]
    run: Callable[[Path, Path], int]
    alone: bool


def command(*words: object) -> int:
    """Run the command as a user would type it."""
    return cli.main([str(w) for w in words])


def warm() -> None:
    """Import what is heavy; nothing is computed, so that a fork of this process is as good as a new one."""
    for name in HEAVY:
        importlib.import_module(name)
    _backends.open_clip()
    # These libraries import their parts when they are first named.
    for library, names in LAZY.items():
        for name in names:
            getattr(getattr(_backends, library)(), name)
    xr.backends.list_engines()


# ---------------------------------------------------------------- sweep and its null


def _epochs(folder: Path) -> None:
    draw = np.random.default_rng(0)
    names = [f"picture-{i:03d}" for i in range(60)]
    features = nd.brain.features(draw.standard_normal((60, 20), np.float32), stimulus=names, layer=["c"] * 20)
    values = draw.standard_normal((60, 12, 60), np.float32)
    epochs = nd.brain.meeg(
        values,
        sample=names,
        stimulus=names,
        channel=[f"E{i}" for i in range(12)],
        time=np.arange(60) / 100,
        units="µV",
        subject="s1",
    )
    store.save(epochs, folder / "epochs.nc")
    store.save(features, folder / "features.nc")


def _sweep(inputs: Path, out: Path) -> int:
    data = ("--responses", inputs / "epochs.nc", "--features", inputs / "features.nc", "--folds", 2)
    kept = ("--out", out / "sweep.nc", "--resume", out / "pieces", "--overwrite")
    return command("sweep", *data, "--width", 0.1, "--step", 0.01, "--alpha", 10, *kept)


def _null(inputs: Path, out: Path) -> int:
    epochs, features = (xr.DataArray(store.load(inputs / f"{k}.nc")) for k in ("epochs", "features"))
    found = nd.temporal.sweep_null(
        epochs, features, nd.RidgeDecoder(alpha=10.0), n=300, folds=2, step=0.1, resume=out / "pieces"
    )
    store.save(found, out / "null.nc", overwrite=True)
    return 0


# ---------------------------------------------------------------- prepare


def _nsd(folder: Path) -> None:
    sys.path.insert(0, str(ROOT))
    from tests import trees

    trees.nsd(folder / "NSD", sessions=3)


def _prepare(inputs: Path, out: Path) -> int:
    from neurodecode.datasets import prepared

    prepared.BLOCK_BYTES = 200_000  # the second step has several blocks
    return command(
        "prepare", "nsd", "--root", inputs / "NSD", "--subject", 1, "--validation", 0.1, "--out", out / "sub-01.zarr"
    )  # fmt: skip


# ---------------------------------------------------------------- features and pictures


def _pictures(folder: Path) -> None:
    from PIL import Image

    draw = np.random.default_rng(1)
    for i in range(30):
        coarse = draw.integers(0, 256, (4, 4, 3)).astype(np.uint8)
        here = folder / "images" / f"concept{i % 6}"
        here.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC).save(
            here / f"concept{i % 6}_{i:02d}b.png"
        )


def _features(inputs: Path, out: Path) -> int:
    models = ("--model", "lab", "--layers", *LAYERS, "--latents", "lab", "--captions", "concepts")
    return command(
        "features", "--images", inputs / "images", *models, "--batch", 6, "--out", out / "features"
    )


def _shown(folder: Path) -> None:
    """Responses that mix features of pictures, with those features and the pictures."""
    from neurodecode import vision
    from neurodecode.datasets import stimuli

    _pictures(folder)
    images = stimuli.images(folder / "images").compute()
    names = images["stimulus"].values
    words = {str(name): f"a picture of {name}" for name in names}
    made = {
        "layers": vision.extract_features(images, vision.load("lab"), LAYERS, progress=False),
        "z": vision.latent_features(images, vision.load_latents("lab"), progress=False),
        "c": vision.text_features(words, vision.load_text("lab"), progress=False),
    }
    draw = np.random.default_rng(2)
    mixed = made["layers"].values @ draw.standard_normal((made["layers"].sizes["feature"], 40))
    split = np.where(np.arange(len(names)) < 18, "train", "test")
    responses = nd.brain.fmri(
        (mixed / mixed.std() + 0.1 * draw.standard_normal(mixed.shape)).astype(np.float32),
        sample=names,
        stimulus=names,
        split=split,
        subject="s1",
    )
    for name, array in {**made, "images": images, "responses": responses}.items():
        store.save(array, folder / f"{name}.nc")


def _quick(plan: pipeline.Plan) -> pipeline.Plan:
    return replace(plan, batch=3, settings=replace(plan.settings, starts=1))


def _reconstruct(inputs: Path, out: Path) -> int:
    # What no option of the command makes as small: few pictures at a time, each from one start.
    planned = pipeline.planned
    pipeline.planned = lambda **given: _quick(planned(**given))
    features = [inputs / f"{k}.nc" for k in ("c", "z", "layers")]
    data = (inputs / "responses.nc", "--features", *features, "--images", inputs / "images.nc")
    plan = ("--layers", *LAYERS[:2], "--steps", 2, "--n", 12)
    return command("reconstruct", *data, *plan, "--out", out / "pictures")


# ---------------------------------------------------------------- networks and maps


def _train(inputs: Path, out: Path) -> int:
    from neurodecode.networks import NetworkDecoder, checkpoints

    checkpoints.SECONDS = 0.0  # a state after every epoch
    epochs, features = (xr.DataArray(store.load(inputs / f"{k}.nc")) for k in ("epochs", "features"))
    decoder = NetworkDecoder(
        "nice", size="small", epochs=6, batch=32, validation=0.2, patience=6, checkpoint=out / "training"
    )
    decoder.fit(epochs, features)
    store.save(decoder.predict(epochs), out / "predicted.nc", overwrite=True)
    store.save(decoder.history_, out / "history.nc", overwrite=True)
    return 0


def _voxels(folder: Path) -> None:
    draw = np.random.default_rng(3)
    names = [f"picture-{i:03d}" for i in range(100)]
    features = draw.standard_normal((100, 20), np.float32)
    mixed = features @ draw.standard_normal((20, 150), np.float32) + 4 * draw.standard_normal(
        (100, 150), np.float32
    )
    store.save(nd.brain.fmri(mixed, sample=names, stimulus=names, subject="s1"), folder / "responses.nc")
    store.save(nd.brain.features(features, stimulus=names, layer=["c"] * 20), folder / "features.nc")


def _map(inputs: Path, out: Path) -> int:
    responses, features = (xr.DataArray(store.load(inputs / f"{k}.nc")) for k in ("responses", "features"))
    found = nd.spatial.map_permutation(
        nd.RidgeDecoder(alpha=10.0),
        responses,
        features,
        n_permutations=100,
        n_pilot=20,
        resume=out / "pieces",
    )
    store.save(found, out / "map.nc", overwrite=True)
    return 0


JOBS = (
    Job("sweep", _epochs, _sweep, alone=False),
    Job("prepare", _nsd, _prepare, alone=True),
    Job("features", _pictures, _features, alone=True),
    Job("train", _epochs, _train, alone=False),
    Job("reconstruct", _shown, _reconstruct, alone=False),
    Job("null of a sweep", _epochs, _null, alone=False),
    Job("permuted map", _voxels, _map, alone=False),
)
