"""``neurodecode report``, and the page that other commands leave beside a result."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ._common import OVERWRITE, add
from .figures import draw, script_for

if TYPE_CHECKING:
    import xarray as xr


def add_report(commands: argparse._SubParsersAction) -> None:
    """Add ``report``."""
    parser = add(
        commands,
        "report",
        "one HTML page of a run, that needs no other file",
        "Figures, numbers, the methods paragraph, settings, provenance, and the warnings that were raised: to read in\n"
        "any browser, to send, to print. Examples:\n\n"
        "  neurodecode report sweep.nc --out run.html\n"
        "  neurodecode report decode.nc map.nc --title 'Pilot 3' --out run.html --overwrite\n"
        "  neurodecode report decode.nc --figures mine.png --out run.html\n\n"
        "decode, sweep, weight-map and reconstruct leave such a page themselves if --page is given.",
    )
    parser.add_argument(
        "results",
        nargs="+",
        type=Path,
        metavar="RESULT.nc",
        help="files written by decode, sweep, weight-map, reconstruct or neurodecode.save",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.html", help="page to write")
    parser.add_argument(
        "--figures",
        nargs="+",
        default=[],
        type=Path,
        metavar="FILE",
        help="PNG or SVG to show in place of those that neurodecode figure draws; of several results each shows "
        "those whose names begin with its own, of results of one name those in its folder",
    )
    parser.add_argument("--title", metavar="TEXT", help="of the page; by default the name of --out")
    parser.add_argument("--overwrite", action="store_true", help=OVERWRITE)
    parser.set_defaults(run=_report)


def _report(args: argparse.Namespace) -> None:
    require_page_target(args.out, overwrite=args.overwrite)
    write_page(
        args.results,
        args.out,
        figures=args.figures,
        title=args.title or args.out.stem.replace("_", " "),
        overwrite=args.overwrite,
    )


def require_page_target(path: Path, *, overwrite: bool) -> None:
    """Refuse, before any work, a page that could not be written after it; its folder is made.

    Raises
    ------
    ValueError
        Another ending than .html.
    OSError
        As :func:`neurodecode.inputs.require_target`.
    """
    from ..store.atomic import writable_target

    if path.suffix != ".html":
        raise ValueError(
            f"a page's name must end in .html, got {str(path)!r}; e.g. {path.with_suffix('.html')}"
        )
    if path.exists() and not path.is_dir() and not overwrite:
        raise FileExistsError(
            f"the page {path} exists already; give --overwrite to replace it, or another name"
        )
    if not any(p.exists() and not p.is_dir() for p in path.parents):
        path.parent.mkdir(parents=True, exist_ok=True)
    writable_target(path, overwrite=overwrite)


def write_page(
    results: Sequence[Path],
    out: Path,
    *,
    title: str,
    figures: Sequence[Path] = (),
    steps: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Write a page of results, with given figures or those that ``neurodecode figure`` draws of them."""
    from .. import report, store
    from ..inputs import names_apart

    loaded = [store.load(path) for path in results]
    with tempfile.TemporaryDirectory() as folder:
        shown: list[tuple[list[Path], str]] = (
            [(found, "") for found in report.figures_of(figures, results)]
            if figures
            else [
                _drawn(one, path, Path(folder) / str(i))
                for i, (one, path) in enumerate(zip(loaded, results, strict=True))
            ]
        )
        parts = [
            report.Part(one, name.replace("_", " "), pictures, remark)
            for one, name, (pictures, remark) in zip(loaded, names_apart(results), shown, strict=True)
        ]
        report.join(parts, out, title=title, steps=steps, overwrite=overwrite)
    print(f"wrote {out}")


def _drawn(result: xr.DataArray | xr.Dataset, path: Path, folder: Path) -> tuple[list[Path], str]:
    """Draw a result; or say why not, since the numbers can be read without."""
    dims = set(map(str, result.dims))
    if script_for(dims) is None:
        return [], f"There is no figure for results over {' × '.join(sorted(dims)) or 'no dimension'}."
    try:
        draw(path, dims, folder)
    except OSError as error:
        print(f"no figure of {path}: {error}", file=sys.stderr)
        return [], "The figure could not be drawn."
    return sorted(folder.glob("*.png")), ""
