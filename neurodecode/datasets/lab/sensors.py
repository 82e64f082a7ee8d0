"""Sensors of the embedded lab and what they pick up from cortical currents (a sphere model; nothing is downloaded).

EEG: the 64 electrodes of mne's biosemi64 montage. MEG: 271 axial gradiometers of a CTF system, rebuilt approximately
from mne's two-dimensional CTF275 layout and the helmet surface that mne ships; the true positions of one such system
lie 15 mm off on average. MNE counts CTF's axial gradiometers as "mag" with the unit T, and so do we.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

KINDS = ("eeg", "meg")
# m, head coordinates: a sphere fitted by eye to the inner skull of fsaverage, best at the back of the head.
CENTRE = np.array([0.0, 0.008, 0.045])
HEAD_RADIUS = 0.095
_INNER_SKULL = 0.90
# Sources nearer to the inner skull than this share of its radius are drawn inwards; mne would drop them silently.
_DEEPEST_SHELL = 0.96
# Real systems have a few dead channels too; which ones is arbitrary.
_ABSENT = ("MLF25", "MLT41", "MRF43", "MRO13")
# Layout to helmet: centre of the flat layout, and polar angle (radians) = scale * radius ** power, fitted to the
# real system whose positions mne-python's test data hold.
_LAYOUT_CENTRE = np.array([0.50, 0.41])
_LAYOUT_SCALE, _LAYOUT_POWER = 4.57, 0.85
# Coils sit behind the helmet's inner surface.
_DEWAR_GAP = 0.015
_DEVICE_TO_HEAD = (0.0, 0.0, 0.060)


@dataclass(frozen=True)
class Sensors:
    """A sensor array.

    Attributes
    ----------
    channel : (n) names
    kind : (n) "eeg" or "mag"
    xyz : (n, 3) m, head coordinates
    units : "V" or "T"
    info : mne.Info
    """

    channel: np.ndarray
    kind: np.ndarray
    xyz: np.ndarray
    units: str
    info: Any


def sensors(kind: str) -> Sensors:
    """Return the 64 electrodes ("eeg") or the 271 gradiometers ("meg").

    Raises
    ------
    ValueError
        For another kind, naming the two.
    """
    if kind == "eeg":
        return _electrodes()
    if kind == "meg":
        return _gradiometers()
    raise ValueError(f"unknown kind of sensor {kind!r}; choose one of {', '.join(map(repr, KINDS))}")


def to_head(xyz: np.ndarray) -> np.ndarray:
    """Move points (n, 3) from fsaverage's surface coordinates, mm, to head coordinates, m."""
    import mne

    trans = mne.read_trans(Path(mne.__file__).parent / "data" / "fsaverage" / "fsaverage-trans.fif")
    return mne.transforms.apply_trans(np.linalg.inv(trans["trans"]), np.asarray(xyz, float) / 1000)


def gains(array: Sensors, xyz: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Compute the field of unit dipoles at the sensors with mne's three-shell (EEG) or one-sphere (MEG) model.

    Parameters
    ----------
    array
        From :func:`sensors`.
    xyz : (source, 3) mm, fsaverage surface coordinates
    normal : (source, 3) unit vectors

    Returns
    -------
    (channel, source), V or T per A m; EEG against the average of all electrodes.

    Raises
    ------
    RuntimeError
        If mne left sources out.
    """
    import mne

    space = mne.setup_volume_source_space(
        pos={"rr": _inside(to_head(xyz)), "nn": normal}, sphere_units="m", verbose="error"
    )
    sphere = mne.make_sphere_model(CENTRE, HEAD_RADIUS, verbose="error")
    forward = mne.make_forward_solution(
        array.info,
        None,
        space,
        sphere,
        meg=array.units == "T",
        eeg=array.units == "V",
        mindist=0.0,
        verbose="error",
    )
    forward = mne.convert_forward_solution(forward, surf_ori=False, force_fixed=False, verbose="error")
    kept = forward["src"][0]["vertno"]
    if not np.array_equal(kept, np.arange(len(xyz))):
        raise RuntimeError(
            f"the forward model kept {len(kept)} of {len(xyz)} sources; the rest lie outside "
            "the sphere; take sources nearer to its centre"
        )
    free = forward["sol"]["data"].reshape(len(array.channel), len(xyz), 3)
    fixed = np.einsum("csk,sk->cs", free, normal)
    return fixed - fixed.mean(axis=0) if array.units == "V" else fixed


def _inside(xyz: np.ndarray) -> np.ndarray:
    """Draw points beyond the model's inner skull inwards along the radius."""
    offset = xyz - CENTRE
    radius = np.linalg.norm(offset, axis=1, keepdims=True)
    most = _DEEPEST_SHELL * _INNER_SKULL * HEAD_RADIUS
    return CENTRE + offset * np.minimum(1, most / radius)


def _electrodes() -> Sensors:
    import mne

    montage = mne.channels.make_standard_montage("biosemi64")
    info = mne.create_info(montage.ch_names, 100.0, "eeg", verbose="error").set_montage(
        montage, verbose="error"
    )
    place = np.array([ch["loc"][:3] for ch in info["chs"]])
    # The montage lies on a sphere of its own; keep the directions, take the model's sphere.
    direction = place - mne.bem.fit_sphere_to_headshape(info, verbose="error")[1]
    xyz = CENTRE + HEAD_RADIUS * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    positions = dict(zip(info.ch_names, xyz, strict=True))
    info.set_montage(mne.channels.make_dig_montage(positions, coord_frame="head"), verbose="error")
    return Sensors(np.array(info.ch_names), np.full(len(xyz), "eeg"), xyz, "V", info)


def _gradiometers() -> Sensors:
    import mne
    from mne.io.constants import FIFF

    layout = mne.channels.read_layout("CTF275")
    keep = [i for i, name in enumerate(layout.names) if name not in _ABSENT]
    names = [layout.names[i] for i in keep]
    xyz, outward = _on_helmet(layout.pos[keep, :2] + layout.pos[keep, 2:] / 2)
    info = mne.create_info(names, 100.0, "mag", verbose="error")
    for ch, place, normal in zip(info["chs"], xyz, outward, strict=True):
        ch["loc"] = np.concatenate([place, _frame(normal).ravel()])
        ch["coil_type"] = FIFF.FIFFV_COIL_CTF_GRAD
        ch["coord_frame"] = FIFF.FIFFV_COORD_DEVICE
    with info._unlock():
        info["dev_head_t"] = mne.transforms.Transform(
            "meg", "head", mne.transforms.translation(*_DEVICE_TO_HEAD)
        )
    return Sensors(np.array(names), np.full(len(names), "mag"), xyz + np.array(_DEVICE_TO_HEAD), "T", info)


def _on_helmet(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fold a flat layout (n, 2) onto the CTF helmet: positions (n, 3) in device coordinates, m, and outward normals."""
    import mne

    folder = Path(mne.__file__).parent / "data" / "helmets"
    helmet = mne.read_bem_surfaces(folder / "CTF_275.fif.gz", verbose="error")[0]
    offset = flat - _LAYOUT_CENTRE
    polar = _LAYOUT_SCALE * np.linalg.norm(offset, axis=1) ** _LAYOUT_POWER
    around = np.arctan2(offset[:, 1], offset[:, 0])
    ray = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=1)
    distance = _first_hit(helmet["rr"][helmet["tris"]], ray)
    return (distance + _DEWAR_GAP)[:, None] * ray, ray


def _first_hit(triangles: np.ndarray, ray: np.ndarray) -> np.ndarray:
    """Distance from the origin to a surface along each ray; Moeller & Trumbore 1997."""
    first = triangles[:, 0]
    one, two = triangles[:, 1] - first, triangles[:, 2] - first
    across = np.cross(ray[:, None, :], two[None])
    determinant = np.einsum("rtk,tk->rt", across, one)
    scale = np.divide(1, determinant, out=np.zeros_like(determinant), where=np.abs(determinant) > 1e-12)
    u = scale * np.einsum("rtk,tk->rt", across, -first)
    turned = np.cross(-first, one)
    v = scale * (ray @ turned.T)
    distance = scale * np.einsum("tk,tk->t", turned, two)
    hit = (determinant != 0) & (u >= -1e-9) & (v >= -1e-9) & (u + v <= 1 + 1e-9) & (distance > 0)
    nearest = np.where(hit, distance, np.inf).min(axis=1)
    if not np.isfinite(nearest).all():
        raise RuntimeError(
            f"{np.isinf(nearest).sum()} of {len(ray)} sensors do not meet the helmet; make it larger"
        )
    return nearest


def _frame(normal: np.ndarray) -> np.ndarray:
    """Return three orthogonal unit vectors (rows), the last along ``normal``."""
    helper = np.array([0.0, 1.0, 0.0]) if abs(normal[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
    first = np.cross(helper, normal)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(normal, first), normal])
