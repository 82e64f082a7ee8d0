"""Figures inside a page: a file or a matplotlib figure as a data URI."""

from __future__ import annotations

import base64
import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Twice the width of the column of a page, so that lines stay sharp on fine screens.
WIDEST = 2000
DPI = 150
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """A figure as a page holds it: its name, a data URI, and for PNG its width and height in pixels."""

    name: str
    uri: str
    size: tuple[int, int] | None = None


def picture(source: Any, *, name: str = "figure") -> Picture:
    """Take in a figure.

    Parameters
    ----------
    source : path of a PNG or SVG, or a matplotlib figure
    name : of a figure that is no file

    Raises
    ------
    TypeError, ValueError, OSError
        If it is neither, holds something else, or cannot be read.
    """
    if hasattr(source, "savefig"):
        stream = io.BytesIO()
        source.savefig(stream, format="png", dpi=DPI)
        return _png(name, stream.getvalue())
    if not isinstance(source, str | Path):
        raise TypeError(
            f"give a figure as a path or a matplotlib figure (an Axes has it as .figure), not a {type(source).__name__}"
        )
    path = Path(source)
    content = path.read_bytes()
    if content.startswith(PNG):
        return _png(_titled(path), content)
    if b"<svg" in content[:4096]:
        return Picture(_titled(path), _uri(content, "svg+xml"))
    raise ValueError(f"{str(path)!r} ({len(content)} bytes) is no PNG and no SVG; a page holds these only")


def _titled(path: Path) -> str:
    return path.stem.replace("_", " ")


def _png(name: str, content: bytes) -> Picture:
    if len(content) < 24:
        raise ValueError(f"the picture {name!r} ({len(content)} bytes) is a truncated PNG; make it again")
    width, height = struct.unpack(">II", content[16:24])
    if width > WIDEST:
        content, (width, height) = _narrower(content)
    return Picture(name, _uri(content, "png"), (width, height))


def _narrower(content: bytes) -> tuple[bytes, tuple[int, int]]:
    from PIL import Image  # matplotlib brings it

    with Image.open(io.BytesIO(content)) as image:
        small = image.resize((WIDEST, round(image.height * WIDEST / image.width)), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.save(stream, format="PNG", optimize=True)
    return stream.getvalue(), small.size


def _uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
