"""Every kind of file that enters: how a whole one is made, and what a user gets from it."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import neurodecode as nd
from neurodecode import store

Reader = Callable[[Path], Any]


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    name : as the table shows it
    guard : what tells altered numbers: "SHA-256", "CRC-32" ... or "" where the format carries nothing
    make : writes whole files into an empty folder; returns those that are damaged, one at a time
    read : from that folder, what a user gets
    """

    name: str
    guard: str
    make: Callable[[Path], list[Path]]
    read: Reader


def digest(found: Any) -> str:
    """Hash of everything that a user gets: values, labels, attributes."""
    return hashlib.sha256(repr(_parts(found)).encode("utf-8", "surrogateescape")).hexdigest()


def _parts(found: Any) -> Any:
    if isinstance(found, xr.Dataset | xr.DataArray):
        variables = found.variables if isinstance(found, xr.Dataset) else found.coords
        inside = {str(k): (store.data_hash(v), repr(v.attrs)) for k, v in variables.items()}
        return store.data_hash(found), found.dims, sorted(inside.items()), repr(found.attrs)
    if isinstance(found, np.ndarray):
        return store.data_hash(found)
    if isinstance(found, Mapping):
        return [(str(k), _parts(v)) for k, v in found.items()]
    if isinstance(found, list | tuple):
        return [_parts(v) for v in found]
    if hasattr(found, "detach"):
        return store.data_hash(found.detach().cpu().numpy())
    return repr(found)


def _result() -> xr.DataArray:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 30)).astype(np.float32)
    array = xr.DataArray(
        values,
        dims=("region", "window"),
        coords={"region": ["V1", "V2", "MT", "é\x1b"], "window": np.arange(30) / 40},
        attrs={"units": "correlation", "simulated": True},
    )
    return store.stamp(array, what="spatial.decode", parameters={"alpha": 1.0}, seed=0, data=values)


def _netcdf(folder: Path) -> list[Path]:
    return [store.save(_result(), folder / "result.nc")]


def _foreign(folder: Path) -> list[Path]:
    plain = _result().rename("score").drop_attrs()
    plain.to_dataset().to_netcdf(folder / "result.nc", engine="h5netcdf")
    return [folder / "result.nc"]


def _foreign_3(folder: Path) -> list[Path]:
    plain = _result().rename("score").drop_attrs().assign_coords(region=np.arange(4))
    plain.to_dataset().to_netcdf(folder / "result.nc", engine="scipy", format="NETCDF3_64BIT")
    return [folder / "result.nc"]


def _zarr(folder: Path) -> list[Path]:
    from neurodecode.datasets import prepared
    from neurodecode.prepare import ZScore

    rng = np.random.default_rng(0)
    names = [f"img_{i:02d}" for i in range(40)]
    values = rng.normal(size=(40, 6)).astype(np.float32)
    split = np.repeat(["train", "test"], 20)
    responses = nd.brain.fmri(values, sample=names, stimulus=names, split=split, roi=["V1"] * 6)
    prepared.write(responses, folder / "sub.zarr", normalise=ZScore(), progress=False)
    return _files(folder / "sub.zarr")


def _pieces(folder: Path) -> list[Path]:
    pieces = store.Pieces(folder / "pieces", key={"alpha": 1.0, "seed": 3})
    pieces.save("one", _result())
    return _files(folder / "pieces")


def _read_pieces(folder: Path) -> Any:
    pieces = store.Pieces(folder / "pieces", key={"alpha": 1.0, "seed": 3})
    return pieces.load("one")


def _checkpoint(folder: Path) -> list[Path]:
    import torch

    from neurodecode.networks.checkpoints import Checkpoint

    torch.manual_seed(0)
    state = {"weight": torch.randn(40, 6), "moment": torch.randn(40, 6)}
    Checkpoint(folder / "fit", key={"epochs": 3}).save(state, {"epoch": 2, "loss": 0.25})
    return [folder / "fit" / "state.safetensors", folder / "fit" / "key.json"]


def _read_checkpoint(folder: Path) -> Any:
    from neurodecode.networks.checkpoints import Checkpoint

    return Checkpoint(folder / "fit", key={"epochs": 3}).load()


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size)


def _dataset(
    build: Callable[[Any, Path], Any], *suffixes: str, most: int = 12
) -> Callable[[Path], list[Path]]:
    """Make a dataset's folder, of which the files of some endings are damaged: ``most`` of them, spread over all."""

    def make(folder: Path) -> list[Path]:
        from tests import trees

        build(trees, folder)
        found = [p for p in _files(folder) if p.name.endswith(suffixes)]
        return found[:: max(1, -(-len(found) // most))]

    return make


def _datasets() -> list[Kind]:
    from neurodecode import datasets as d

    return [
        Kind(
            "NSD betas, HDF5", "", _dataset(lambda t, f: t.nsd(f, sessions=1), "betas_session01.hdf5"),
            lambda f: d.nsd.load(f, subject=1),
        ),
        Kind(
            "NSD betas and regions, NIfTI", "CRC-32 of gzip",
            _dataset(lambda t, f: t.nsd(f, sessions=1, ending="nii.gz"), ".nii.gz"),
            lambda f: d.nsd.load(f, subject=1),
        ),
        Kind(
            "NSD design, MATLAB", "", _dataset(lambda t, f: t.nsd(f, sessions=1), ".mat"),
            lambda f: d.nsd.load(f, subject=1),
        ),
        Kind(
            "NSD surface, MGH", "", _dataset(lambda t, f: t.nsd_surfaces(f, sessions=1), ".mgh", ".mgz"),
            lambda f: d.nsd.surface(f, subject=1, space="fsaverage"),
        ),
        Kind(
            "THINGS-EEG, pickled .npy", "", _dataset(lambda t, f: t.things_eeg(f), ".npy"),
            lambda f: d.things_eeg.load(f, subject=1),
        ),
        Kind(
            "THINGS-EEG, plain .npy", "", _dataset(lambda t, f: t.things_eeg_plain(f), ".npy", ".json"),
            lambda f: d.things_eeg.load(f, subject=1, part="train"),
        ),
        Kind(
            "THINGS-MEG epochs, FIF", "", _dataset(lambda t, f: t.things_meg(f, parts=2), ".fif"),
            lambda f: d.things_meg.load(f, subject=1),
        ),
        Kind(
            "THINGS-MEG raw, CTF folder", "",
            _dataset(lambda t, f: t.things_meg_raw(f, runs=1), ".meg4", ".res4", ".tsv"),
            lambda f: d.things_meg.raw(f, subject=1, sessions=[1], runs=[1], band=None, rate=None),
        ),
        Kind(
            "Kamitani BData, HDF5", "", _dataset(lambda t, f: t.god(f), ".h5"),
            lambda f: d.kamitani.load(f / "Subject1.h5"),
        ),
        Kind(
            "Haxby, NIfTI and text", "CRC-32 of gzip", _dataset(lambda t, f: t.haxby_nilearn(f), ".nii.gz"),
            lambda f: d.haxby.load(f, subject=2),
        ),
        Kind(
            "BIDS fMRI", "CRC-32 of gzip",
            _dataset(lambda t, f: t.bids_fmri(f, sessions=("a",)), ".nii.gz", ".json"),
            lambda f: d.bids.fmri(f, subject="01", task="pictures", stimulus="stim_file"),
        ),
        Kind(
            "BIDS EEG, BrainVision", "", _dataset(lambda t, f: t.bids_meeg(f), ".vhdr", ".eeg", ".vmrk", ".json"),
            lambda f: d.bids.meeg(f, subject="01", task="pictures", stimulus="stim_id", window=(-0.2, 0.6)),
        ),
        Kind("own epochs, FIF", "", _epochs, lambda f: d.own.epochs(f / "sub-epo.fif")),
        Kind("pictures, PNG", "CRC-32", _pictures, lambda f: d.stimuli.images(f)),
    ]  # fmt: skip


def _epochs(folder: Path) -> list[Path]:
    import mne

    rng = np.random.default_rng(0)
    info = mne.create_info(["Oz", "O1"], 100.0, "eeg")
    events = np.column_stack([np.arange(12), np.zeros(12, int), np.arange(12) % 3 + 1])
    names = {"cat": 1, "dog": 2, "axe": 3}
    found = mne.EpochsArray(1e-6 * rng.normal(size=(12, 2, 30)), info, events, 0, names, verbose="error")
    found.save(folder / "sub-epo.fif", verbose="error")
    return [folder / "sub-epo.fif"]


def _pictures(folder: Path) -> list[Path]:
    from PIL import Image

    for i in range(3):
        values = np.random.default_rng(i).integers(0, 255, (12, 10, 3)).astype(np.uint8)
        Image.fromarray(values).save(folder / f"{i}.png")
    return _files(folder)


def _clip(folder: Path) -> list[Path]:
    from tests.small_models import write_clip

    write_clip(folder)
    return _files(folder)


def _read_clip(folder: Path) -> Any:
    return nd.vision.load(folder).weights


def _diffusion(folder: Path) -> list[Path]:
    from tests.small_models import write_diffusion

    write_diffusion(folder)
    return _files(folder / "model")


def _read_diffusion(folder: Path) -> Any:
    from neurodecode.reconstruction.generators import load_diffusion
    from neurodecode.vision._files import weights_hash

    found = load_diffusion(folder / "model")
    config = json.dumps(dict(found.unet.config), default=str, sort_keys=True)
    return weights_hash(found.unet), found.autoencoder.weights, found.text.weights, config


def kinds() -> list[Kind]:
    """Every kind whose libraries are installed."""
    found = [
        Kind("results, netCDF", "SHA-256", _netcdf, lambda f: nd.load(f / "result.nc")),
        Kind("prepared data, zarr", "CRC-32", _zarr, lambda f: nd.load(f / "sub.zarr")),
        Kind("pieces of long work", "SHA-256", _pieces, _read_pieces),
        Kind("netCDF-4 of others", "", _foreign, lambda f: nd.load(f / "result.nc")),
        Kind("netCDF-3 of others", "", _foreign_3, lambda f: nd.load(f / "result.nc")),
        *_datasets(),
    ]
    if find_spec("torch") is None:
        return found
    return [
        *found,
        Kind("training state, safetensors", "SHA-256", _checkpoint, _read_checkpoint),
        Kind("image encoder, folder", "", _clip, _read_clip),
        Kind("diffusion model, folder", "", _diffusion, _read_diffusion),
    ]


def quietly(kind: Kind, folder: Path) -> str:
    """Digest of what a kind reads from a folder."""
    import dask

    # Threads of a pool do not live on in a child process.
    with warnings.catch_warnings(), dask.config.set(scheduler="synchronous"):
        warnings.simplefilter("ignore")
        found = kind.read(folder)
        if hasattr(found, "compute"):
            found = found.compute()
        return digest(found)
