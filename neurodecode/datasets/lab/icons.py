"""The lab's concepts: nameable icons in ten groups, as silhouettes. The icons come with the package justmyresource-mdi.

The first 20 concepts of a group are known to the lab's models; the last two are *novel*: no model has been trained on
them.
"""

from __future__ import annotations

import re
import zipfile
from functools import cache
from importlib import resources

import numpy as np

# Side of a silhouette in pixels; the icon's longer side fills all but a margin, so that it can be turned and resampled.
SIDE = 96
MARGIN = 4
_NOVEL_PER_GROUP = 2

# "concept" or "concept:icon" where the icon has another name.
_GROUPS = {
    "animal": "bat bee bird butterfly cat cow dog:dog-side dolphin duck elephant fish jellyfish kangaroo "
    "owl penguin pig rabbit sheep snail spider turtle shark",
    "vehicle": "airplane ufo bicycle bulldozer bus:bus-side car:car-side excavator ferry forklift helicopter "
    "motorbike rickshaw rocket sailboat:sail-boat scooter submarine tractor train truck caravan "
    "wheelchair tank",
    "food": "apple:food-apple baguette hamburger cake cherries:fruit-cherries cheese cookie corn "
    "croissant:food-croissant cupcake drumstick:food-drumstick grapes:fruit-grapes "
    "sundae:ice-cream carrot mushroom pear:fruit-pear pizza pretzel pumpkin "
    "melon:fruit-watermelon sausage chili:chili-mild",
    "tool": "anvil axe broom brush bucket flashlight hammer scissors:content-cut knife:knife-military "
    "ladder magnet pickaxe pitchfork rake saw:hand-saw screwdriver shovel sickle wrench toolbox "
    "gavel pliers",
    "furniture": "bathtub bed bench:bench-back bookshelf chair:chair-rolling chandelier cradle desk dresser "
    "fireplace fridge lamp:desk-lamp candle sofa stool stove:toaster-oven table:table-furniture "
    "toilet wardrobe blender candelabra shelf:coat-rack",
    "nature": "cactus clover cloud fire flower grass island leaf lightning:lightning-bolt "
    "crescent:moon-waning-crescent mountain:image-filter-hdr palm:palm-tree pine:pine-tree "
    "snowflake sprout star sun:white-balance-sunny tree tulip:flower-tulip volcano "
    "poppy:flower-poppy wave:waves",
    "instrument": "amplifier bell bugle cassette gramophone:record-player guitar:guitar-acoustic "
    "bass:guitar-electric headphones metronome microphone note:music piano radio saxophone "
    "speaker trumpet violin whistle earbuds bullhorn ocarina triangle:instrument-triangle",
    "clothing": "backpack:bag-personal bowtie:bow-tie briefcase crown fedora:hat-fedora glasses "
    "glove:boxing-glove hanger heel:shoe-heel helmet:football-helmet mask:domino-mask necklace "
    "mustache ring sneaker:shoe-sneaker suitcase:bag-suitcase shirt:tshirt-crew tie umbrella "
    "watch hat:wizard-hat lipstick",
    "building": "barn bridge castle church factory fence fountain garage house:home lighthouse mosque pyramid "
    "stadium store tower:eiffel-tower temple:temple-hindu tent warehouse windmill:wind-turbine "
    "yurt greenhouse synagogue",
    "toy": "basketball bowling bishop:chess-bishop knight:chess-knight rook:chess-rook die:dice-5 "
    "dumbbell football kite pinwheel puzzle robot rollerskate:roller-skate skateboard soccer "
    "teddy:teddy-bear trophy balloon boomerang gamepad shuriken medal",
}
GROUPS = tuple(_GROUPS)


def concepts() -> tuple[str, ...]:
    """Return the names of the known concepts, 20 a group, group after group."""
    return tuple(name for name, _, novel in _entries() if not novel)


def novel_concepts() -> tuple[str, ...]:
    """Return the names of the concepts that no model of the lab was trained on, two a group."""
    return tuple(name for name, _, novel in _entries() if novel)


def group_of(concept: str) -> str:
    """Return a concept's superordinate group."""
    return next(g for g, members in _GROUPS.items() if concept in {m.split(":")[0] for m in members.split()})


@cache
def silhouettes() -> np.ndarray:
    """Draw all icons: (concept, row, column) uint8, 0 to 255, known concepts first, then the novel ones; read-only.

    Raises
    ------
    ModuleNotFoundError
        Without the icons, saying how to install them.
    """
    entries = sorted(_entries(), key=lambda e: e[2])  # stable: known first, in order
    out = _rasterise([_polygons(text) for text in _read([icon for _, icon, _ in entries])])
    out.setflags(write=False)
    return out


def _entries() -> list[tuple[str, str, bool]]:
    """Every concept with its icon and whether it is novel."""
    found = []
    for members in _GROUPS.values():
        words = members.split()
        for place, word in enumerate(words):
            name, _, icon = word.partition(":")
            found.append((name, icon or name, place >= len(words) - _NOVEL_PER_GROUP))
    return found


def _read(icons: list[str]) -> list[str]:
    """Return the path data of SVG icons."""
    try:
        pack = resources.files("justmyresource_mdi").joinpath("icons.zip")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the lab's pictures are drawn from icons of the package justmyresource-mdi, which is not installed; "
            "pip install 'neurodecode-toolkit[vision]'"
        ) from error
    with pack.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        texts = [archive.read(f"{icon}.svg").decode() for icon in icons]
    return [" ".join(re.findall(r'<path[^>]*\bd="([^"]+)"', text)) for text in texts]


def _polygons(data: str) -> tuple[list, list]:
    """Turn SVG path data into vertices and codes of a matplotlib path."""
    from fontTools.pens.recordingPen import RecordingPen
    from fontTools.svgLib.path import parse_path
    from matplotlib.path import Path

    pen = RecordingPen()
    parse_path(data, pen)
    vertices: list[tuple[float, float]] = []
    codes: list[np.uint8] = []
    kinds = {"moveTo": Path.MOVETO, "lineTo": Path.LINETO, "qCurveTo": Path.CURVE3, "curveTo": Path.CURVE4}
    for operation, points in pen.value:
        if operation in kinds:
            vertices += points
            codes += [kinds[operation]] * len(points)
    return vertices, codes


def _rasterise(outlines: list[tuple[list, list]]) -> np.ndarray:
    """Fill outlines side by side on one anti-aliased canvas and cut it up."""
    from matplotlib.backends.backend_agg import RendererAgg  # a figure would take twice as long to import
    from matplotlib.path import Path
    from matplotlib.transforms import Affine2D

    columns = int(np.ceil(np.sqrt(len(outlines))))
    rows = -(-len(outlines) // columns)
    renderer = RendererAgg(columns * SIDE, rows * SIDE, 100)
    pen = renderer.new_gc()
    pen.set_linewidth(0)
    whole = Affine2D().scale(columns * SIDE, rows * SIDE)
    renderer.draw_path(pen, Path.unit_rectangle(), whole, (0.0, 0.0, 0.0, 1.0))
    upright = Affine2D().scale(1, -1).translate(0, rows * SIDE)  # y goes up there, and down in icons
    for i, (vertices, codes) in enumerate(outlines):
        path = Path(vertices, codes)
        box = path.get_extents()
        scale = (SIDE - 2 * MARGIN) / max(box.width, box.height)
        corner = np.array([i % columns, i // columns]) * SIDE + SIDE / 2
        centred = (
            np.asarray(path.vertices) - [(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2]
        ) * scale + corner
        renderer.draw_path(pen, Path(centred, codes), upright, (1.0, 1.0, 1.0, 1.0))
    sheet = np.asarray(renderer.buffer_rgba())[..., 0]
    tiles = sheet.reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2).reshape(-1, SIDE, SIDE)
    return tiles[: len(outlines)].copy()
