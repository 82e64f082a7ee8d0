"""The referee: a small network that reads concept, place, size, angle and colour from a picture.

It judges reconstructions and is used for nothing else: no feature of the lab and no generator has seen it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

from .icons import concepts
from .pictures import COLOURS

if TYPE_CHECKING:
    import torch
    import xarray as xr

WIDTHS = (32, 64, 96, 128, 192)


def network(n_concepts: int = 200, n_colours: int = 10) -> torch.nn.Module:
    """Build the network, untrained: (n, 3, 64, 64) in 0-1 to (n, concepts + colours + 5).

    The last five numbers are x, y (-1 to 1), size (share of the width), and sine and cosine of the angle.
    """
    from torch import nn

    layers: list[nn.Module] = []
    before = 3
    for i, width in enumerate(WIDTHS):
        stride = 1 if i == 3 else 2
        kernel = 5 if i == 0 else 3
        layers += [
            nn.Conv2d(before, width, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        before = width
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(before * 16, 384),
        nn.ReLU(),
        nn.Linear(384, n_concepts + n_colours + 5),
    )


def load() -> torch.nn.Module:
    """Load the trained referee, in evaluation mode.

    Raises
    ------
    FileNotFoundError
        If the package came without its weights.
    """
    from importlib import resources

    from safetensors.torch import load_file

    path = resources.files("neurodecode.vision").joinpath("lab/referee/model.safetensors")
    if not path.is_file():
        raise FileNotFoundError(f"the referee's weights are missing at {path}; install the package again")
    model = network()
    model.load_state_dict(
        {k: v.float() if v.is_floating_point() else v for k, v in load_file(str(path)).items()}
    )
    return model.eval()


def judge(images: np.ndarray, *, batch: int = 256) -> xr.Dataset:
    """Read what pictures (n, row, column, colour), 64 x 64, 0 to 1, show.

    Returns
    -------
    Dataset (image)
        ``concept`` and ``colour`` (names of the likeliest), ``p_concept`` (its probability), ``x``, ``y`` (-1 to 1,
        rightwards and upwards from the middle; half the picture's width is 1), ``size`` (share of the width), ``angle``
        (degrees anticlockwise).

    Raises
    ------
    ValueError
        For another shape, or values outside 0 to 1.
    """
    import xarray as xr

    found = outputs(images, batch=batch)
    concept, colour = found.pop("concept"), found.pop("colour")
    columns = {
        "concept": np.array(concepts())[concept.argmax(axis=1)],
        "p_concept": softmax(concept, axis=1).max(axis=1),
        "colour": np.array(list(COLOURS))[colour.argmax(axis=1)],
        **found,
    }
    return xr.Dataset({k: ("image", v) for k, v in columns.items()})


def errors(images: xr.DataArray, truth: xr.Dataset) -> xr.Dataset:
    """Judge reconstructions against what was shown.

    Parameters
    ----------
    images : (sample or stimulus, row, column, colour), 64 x 64, 0 to 1
        With the coordinate ``stimulus``.
    truth : Dataset (stimulus)
        ``concept`` and ``object_colour``, ``object_x`` ..., as in the ``truth`` of a recording.

    Returns
    -------
    Dataset over the first dimension of ``images``
        ``concept``, ``colour`` (is the likeliest the right one); ``centre`` and ``size`` (absolute errors, % of the
        picture's width); ``angle`` (absolute error, degrees). Attrs of each: units, better, and chance where a network
        that guesses has one.

    Raises
    ------
    ValueError
        As :func:`judge`; pictures of stimuli that ``truth`` does not have.
    """
    import xarray as xr

    from ...labels import STIMULUS, listed, require_coord

    names = require_coord(images, STIMULUS, who="images").values
    rows = truth.indexes[STIMULUS].get_indexer(names)
    if (rows < 0).any():
        raise ValueError(
            f"truth lacks {int((rows < 0).sum())} of {rows.size} stimuli: {listed(names[rows < 0])}; give "
            "the truth of the same lab"
        )
    shown = truth.isel({STIMULUS: rows})
    dim = str(images.dims[0])
    found = judge(images.values)
    away = np.hypot(
        found["x"].values - shown["object_x"].values, found["y"].values - shown["object_y"].values
    )
    turn = np.abs((found["angle"].values - shown["object_angle"].values + 180) % 360 - 180)
    columns = {
        "concept": found["concept"].values == shown["concept"].values,
        "colour": found["colour"].values == shown["object_colour"].values,
        "centre": 50 * away,
        "size": 100 * np.abs(found["size"].values - shown["object_size"].values),
        "angle": turn,
    }
    said = {
        "concept": {"units": "share", "better": "higher", "chance": 1 / len(concepts())},
        "colour": {"units": "share", "better": "higher", "chance": 1 / len(COLOURS)},
        "centre": {"units": "% of the width", "better": "lower"},
        "size": {"units": "% of the width", "better": "lower"},
        "angle": {"units": "degrees", "better": "lower"},
    }
    return xr.Dataset({k: (dim, v, said[k]) for k, v in columns.items()}, {STIMULUS: (dim, names)})


def outputs(images: np.ndarray, *, batch: int = 256) -> dict[str, np.ndarray]:
    """Run the network on pictures as :func:`judge` takes them.

    Returns
    -------
    dict
        Logits ``concept`` (n, concepts) and ``colour`` (n, colours); ``x``, ``y``, ``size`` and ``angle`` (n) as in
        :func:`judge`.

    Raises
    ------
    ValueError
        As :func:`judge`.
    """
    import torch

    values = np.ascontiguousarray(images, dtype=np.float32)
    if values.ndim != 4 or values.shape[1:] != (64, 64, 3):
        raise ValueError(f"the referee reads pictures (n, 64, 64, 3), got {values.shape}; resize them first")
    if values.size and (not np.isfinite(values).all() or values.min() < -1e-3 or values.max() > 1 + 1e-3):
        raise ValueError(
            f"pictures must lie in 0 to 1, got {values.min():.3g} to {values.max():.3g}; scale or clip"
        )
    model = load()
    with torch.no_grad():
        parts = torch.from_numpy(values).permute(0, 3, 1, 2).split(batch)
        out = torch.cat([model(part) for part in parts]).numpy()
    concept, colour, where = np.split(out, np.cumsum([len(concepts()), len(COLOURS)]), axis=1)
    x, y, size, sine, cosine = where.T
    angle = np.rad2deg(np.arctan2(sine, cosine))
    return {"concept": concept, "colour": colour, "x": x, "y": y, "size": size, "angle": angle}
