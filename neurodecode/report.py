"""Top: one self-contained HTML page of a run: every figure, and how each result was made."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable
from pathlib import Path

import xarray as xr

from . import __version__, store

STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.5rem; border-top: 1px solid #8886; padding-top: 1rem }
img { max-width: 100%; background: #fff; border-radius: 4px }
details { margin: .5rem 0 } summary { cursor: pointer; color: #06c }
table { border-collapse: collapse; font-size: .85rem }
th, td { text-align: left; vertical-align: top; padding: .15rem .8rem .15rem 0 }
td { overflow-wrap: anywhere } th { white-space: nowrap; font-weight: 600 } .note { color: #b45309 }
"""


def write(folder: str | Path, *, title: str, steps: Iterable[str] = ()) -> Path:
    """Write ``index.html`` for the results (*.nc) and figures (*.png) of a folder, over an older one; return its path.

    Parameters
    ----------
    folder : path
        A figure belongs to the result whose name its own begins with.
    title : str
    steps : commands that were run, for the foot of the page

    Raises
    ------
    FileNotFoundError
        If the folder holds no result.
    """
    folder = Path(folder)
    results = sorted(folder.glob("*.nc"))
    if not results:
        raise FileNotFoundError(f"there is no result (*.nc) in {str(folder)!r}; run an analysis first")
    sections = [_section(path, _figures(path, results)) for path in results]
    commands = "".join(f"<li><code>{html.escape(s)}</code></li>" for s in steps)
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{html.escape(title)}</h1><p>neurodecode {__version__}</p>{''.join(sections)}"
        + (f"<h2>Commands</h2><ol>{commands}</ol>" if commands else "")
        + "</body></html>"
    )
    out = folder / "index.html"
    store.write_text(out, page, overwrite=True)  # a demo that is run again makes its page again
    return out


def _figures(result: Path, results: list[Path]) -> list[Path]:
    """Figures of a result: those named after it and after no longer-named one."""
    longer = [r.stem for r in results if r.stem.startswith(result.stem) and r != result]
    found = sorted(result.parent.glob(f"{result.stem}*.png"))
    return [f for f in found if not any(f.stem.startswith(other) for other in longer)]


def _section(path: Path, figures: list[Path]) -> str:
    result = store.load(path)
    note = '<p class="note">Simulated data.</p>' if result.attrs.get("simulated") else ""
    images = "".join(_image(f) for f in figures) or "<p>No figure.</p>"
    rows = _rows(result)
    table = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in rows)
    name = html.escape(path.stem.replace("_", " "))
    made = f"<details><summary>How it was made</summary><table>{table}</table></details>"
    return f"<h2>{name}</h2>{note}{images}{made}"


def _image(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    name = html.escape(path.stem.replace("_", " "))
    return f'<p><img alt="{name}" src="data:image/png;base64,{data}"></p>'


def _rows(result: xr.DataArray | xr.Dataset) -> list[tuple[str, str]]:
    """File contents and provenance as plain text pairs."""
    sizes = ", ".join(f"{k} {v}" for k, v in result.sizes.items())
    rows = [("dimensions", sizes)]
    if "provenance" in result.attrs:
        made = store.provenance(result)
        rows += [(k, v if isinstance(v, str) else json.dumps(v)) for k, v in made.items()]
    skip = {"provenance", "simulated"}
    return rows + [(str(k), str(v)) for k, v in result.attrs.items() if k not in skip]
