"""Maps to turn with the mouse: pycortex's quickflat and WebGL viewer, and nilearn's single HTML page."""

from __future__ import annotations

import configparser
import contextlib
import os
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..store.places import cache_folder
from .mesh import N_VERTICES, SIDES, hemisphere, on_vertices

if TYPE_CHECKING:
    from .surface import Sheet

SUBJECT = "neurodecode_fsaverage5"
_INSTALL = "install it with: pip install 'neurodecode-toolkit[cortex]'"


def cortex_viewer(
    values: xr.DataArray, folder: str | Path, *, label: str | None = None, vmax: float | None = None
) -> Path:
    """Write pycortex's interactive WebGL viewer of a map on fsaverage5 as a static site.

    Parameters
    ----------
    values : (voxel)
        As for :func:`cortex`.
    folder
        Where the site is written; made if absent. Browsers show it over http only: ``python -m http.server`` in it.
    label, vmax : optional
        As for :func:`cortex`.

    Returns
    -------
    The path of index.html.

    Raises
    ------
    ValueError
        As for :func:`cortex`; a map of names (attrs["levels"]).
    ImportError
        Without pycortex.
    """
    from .surface import label_of, scale_of

    fields = on_vertices(values)
    scale = scale_of(values, vmax)
    target = Path(folder)
    with _pycortex() as cortex:
        data = cortex.Vertex(
            np.concatenate([fields[side] for side in SIDES]), SUBJECT, vmin=scale.low, vmax=scale.high,
            cmap="RdBu_r" if scale.low < 0 else "YlOrRd", description=label or label_of(values),
        )  # fmt: skip
        cortex.webgl.make_static(
            str(target), {label or label_of(values): data}, overlays_available=(), overlays_visible=(),
            labels_visible=(), title=label or label_of(values),
        )  # fmt: skip
    return target / "index.html"


def cortex_html(
    values: xr.DataArray, path: str | Path, *, label: str | None = None, vmax: float | None = None
) -> Path:
    """Write a map on the inflated fsaverage5 as one HTML page that needs nothing else (nilearn's view_surf).

    Parameters
    ----------
    values : (voxel)
        As for :func:`cortex`.
    path
        Of the page; folders are made.
    label, vmax : optional
        As for :func:`cortex`.

    Returns
    -------
    The path.

    Raises
    ------
    ValueError
        As for :func:`cortex`; a map of names (attrs["levels"]).
    ImportError
        Without plotly.
    """
    from .surface import label_of, scale_of

    fields = on_vertices(values)
    scale = scale_of(values, vmax)
    try:
        import plotly  # noqa: F401
    except ImportError as error:
        raise ImportError(f"cortex_html needs plotly; {_INSTALL}") from error
    from nilearn.datasets import load_fsaverage, load_fsaverage_data
    from nilearn.plotting import view_surf
    from nilearn.surface import SurfaceImage

    mesh = load_fsaverage("fsaverage5")["inflated"]
    # The page knows no missing values: they become 0, below the threshold, and show curvature.
    shown = SurfaceImage(mesh, {side: np.nan_to_num(fields[side]).astype(np.float32) for side in SIDES})
    page = view_surf(
        surf_map=shown, hemi="both", bg_map=load_fsaverage_data(mesh_type="inflated", data_type="curvature"),
        cmap="RdBu_r" if scale.low < 0 else "YlOrRd", symmetric_cmap=scale.low < 0, threshold=1e-3 * scale.high,
        vmin=None if scale.low < 0 else 0.0, vmax=scale.high, title=label or label_of(values), colorbar=True,
    )  # fmt: skip
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    page.save_as_html(str(target))
    return target


def flat_pictures(rgb: dict[str, np.ndarray]) -> dict[str, Sheet]:
    """Pictures of both flatmaps by quickflat, from colours (vertex, 3) of each side."""
    from .surface import Sheet

    colours = (np.concatenate([rgb[side] for side in SIDES]) * 255).round().astype(np.uint8)
    with _pycortex() as cortex:
        data = cortex.VertexRGB(*colours.T, SUBJECT)
        picture, (left, right, bottom, top) = cortex.quickflat.make_flatmap_image(data, height=1400)
    # quickflat lays the sheets side by side with their meeting point at 0; each goes back to its own millimetres.
    moved = {"left": _flat_points("left")[:, 0].max(), "right": _flat_points("right")[:, 0].min()}
    x = np.linspace(left, right, picture.shape[1])
    sheets = {}
    for side in SIDES:
        own = picture.copy()
        own[:, x > 0 if side == "left" else x <= 0] = 0
        sheets[side] = Sheet(own, (left + moved[side], right + moved[side], bottom, top))
    return sheets


# --------------------------------------------------------------------------------------- pycortex's store
@contextlib.contextmanager
def _pycortex() -> Iterator[Any]:
    """Give pycortex with our fsaverage5 subject in its store; its own store is put back afterwards."""
    cortex = _import_pycortex()
    before = cortex.db.filestore
    store = _store()
    try:
        if not (store / SUBJECT).is_dir():
            _build(cortex, store)
        _use(cortex, store)
        with contextlib.redirect_stdout(None):  # it prints what it caches
            yield cortex
    finally:
        _use(cortex, Path(before))


def _import_pycortex() -> Any:
    """Import it without letting it write this environment's paths into the user's configuration."""
    before = os.environ.get("XDG_CONFIG_HOME")
    with tempfile.TemporaryDirectory() as own:
        _configure(Path(own) / "pycortex")
        os.environ["XDG_CONFIG_HOME"] = own
        try:
            import cortex
            import cortex.quickflat
            import cortex.webgl
        except ImportError as error:
            raise ImportError(f"engine 'pycortex' and cortex_viewer need pycortex; {_INSTALL}") from error
        finally:
            if before is None:
                del os.environ["XDG_CONFIG_HOME"]
            else:
                os.environ["XDG_CONFIG_HOME"] = before
    return cortex


def _configure(folder: Path) -> None:
    """Name the files of this environment: pip may have kept a wheel which names those of one that is gone."""
    try:
        files = metadata.files("pycortex") or []
    except metadata.PackageNotFoundError:
        return
    colormaps = {Path(f.locate()).resolve().parent for f in files if f.match("pycortex/colormaps/*.png")}
    if not colormaps:
        return
    share = colormaps.pop().parent
    config = configparser.ConfigParser(interpolation=None)
    config["basic"] = {"filestore": str(share / "db").replace("%", "%%")}
    config["webgl"] = {"colormaps": str(share / "colormaps").replace("%", "%%")}
    folder.mkdir()
    with open(folder / "options.cfg", "w", encoding="utf-8") as file:
        config.write(file)


def _store() -> Path:
    """Our folder for pycortex's files, in the user's cache."""
    store = cache_folder() / "pycortex"
    store.mkdir(parents=True, exist_ok=True)
    return store


def _use(cortex: Any, store: Path) -> None:
    cortex.db.filestore = str(store)
    cortex.db.reload_subjects()


def _build(cortex: Any, store: Path) -> None:
    """Make the subject from nilearn's meshes in an empty folder, then move it in whole."""
    from nilearn.datasets import load_fsaverage

    meshes = load_fsaverage("fsaverage5")
    with tempfile.TemporaryDirectory(dir=store, prefix=".building-") as empty:
        _use(cortex, Path(empty))
        cortex.db.make_subj(SUBJECT)
        subject = Path(empty) / SUBJECT
        for name, ours in (
            ("wm", "white_matter"),
            ("pia", "pial"),
            ("inflated", "inflated"),
            ("flat", "flat"),
        ):
            for side, short in zip(SIDES, ("lh", "rh"), strict=True):
                part = meshes[ours].parts[side]
                points = _flat_points(side) if ours == "flat" else np.asarray(part.coordinates)
                file = subject / "surfaces" / f"{name}_{short}.gii"
                cortex.formats.write_gii(
                    str(file), points.astype(np.float32), np.asarray(part.faces, np.int32)
                )
        # pycortex counts curvature the other way round: positive on gyri.
        left, right = (-hemisphere(side).curvature.astype(np.float32) for side in SIDES)
        np.savez(subject / "surface-info" / "curvature.npz", left=left, right=right)
        with contextlib.suppress(OSError):  # another process was first: its subject is the same
            subject.rename(store / SUBJECT)


def _flat_points(side: str) -> np.ndarray:
    """Flat coordinates (vertex, 3) with z = 0, and at 0 the vertices of the medial wall that no flat face uses."""
    mesh = hemisphere(side)
    points = np.zeros((N_VERTICES, 3))
    used = np.unique(mesh.flat_faces)
    points[used, :2] = mesh.flat[used]
    return points
