"""Top: the command ``neurodecode``. Every subcommand says what it takes and shows an example."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

from .. import __version__, store
from ..store.text import printable
from ._common import Formatter
from ._stop import said, stoppable
from .completion import add_completion
from .decoding import add_decode, add_map, add_sweep
from .demo import add_demo
from .features import add_features
from .figures import add_figure, add_info, add_methods
from .pages import add_report
from .prepare import add_prepare
from .reconstruct import add_reconstruct


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; errors a user can mend are one line on standard error and exit status 2.

    Told to stop (Ctrl-C, SIGTERM) it tidies up, says what was kept and exits with 128 and the signal's number.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    args = _parser().parse_args(words)
    args.typed = shlex.join(["neurodecode", *words])
    try:
        with stoppable(), store.noting():
            return int(args.run(args) or 0)
    except KeyboardInterrupt as stop:
        told, status = said(stop, args)
        print(f"neurodecode {args.command}: {told}", file=sys.stderr)
        return status
    except (ValueError, TypeError, OSError, MemoryError, ImportError) as error:
        print(printable(f"neurodecode {args.command}: {error}", lines=True), file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="neurodecode",
        description="Interpretable ridge decoding of fMRI, EEG and MEG: per region, per time window, on the cortex.",
        epilog="Begin with one of these; every command shows more with --help:\n\n"
        "  neurodecode demo --out demo\n"
        "  neurodecode decode --subjects 1 --regions LVC HVC --out decode.nc --page\n"
        "  neurodecode info sub-01.nc features.nc",
        formatter_class=Formatter,
    )
    parser.add_argument("--version", action="version", version=f"neurodecode {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    add_demo(commands)
    add_prepare(commands)
    add_features(commands)
    add_decode(commands)
    add_sweep(commands)
    add_map(commands)
    add_reconstruct(commands)
    add_figure(commands)
    add_report(commands)
    add_info(commands)
    add_methods(commands)
    add_completion(commands, parser)
    return parser
