"""Run the code of README.md and docs/*.md as it stands, page by page, in an empty folder.

The Python blocks of a page share their names, and its bash blocks that are marked ``run`` their folder, as a reader
would type them one after another. What cannot be run here (it takes hours, or a dataset) is held against the programs
and the library that it names. Exits with 1 if a page fails, and names the line.

    python docs/run_blocks.py                 all pages
    python docs/run_blocks.py docs/start.md   some of them
    python docs/run_blocks.py --check         run nothing, hold everything against what it names
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import commands
import unrun
from pages import ROOT, Block, blocks, command_lines, names, pages

LENT = ("analyses", "figures", "tests")  # folders that commands name, copied: a page may write into its own


def check(page: Path) -> list[str]:
    """Faults of a page's command lines, of its names, and of the Python blocks that are not run."""
    import neurodecode

    known: dict[str, Any] = {"nd": neurodecode}
    faults = [fault for block in command_lines(page) for fault in commands.problems(block)]
    for block in blocks(page):
        if block.language == "python":
            faults += unrun.bind_imports(block.code, known) if block.runs else unrun.problems(block, known)
    for line, name in names(page):
        try:
            unrun.resolve(name, known)
        except AttributeError as error:
            faults.append(f"line {line}: {name}: {error}")
    return faults


def run(page: Path) -> str | None:
    """Run a page's blocks in a temporary folder; return the error, with the page's own line numbers, or None."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for lent in LENT:
            shutil.copytree(ROOT / lent, lent, ignore=shutil.ignore_patterns("__pycache__"))
        for block in (block for block in blocks(page) if block.runs):
            error = _bash(block) if block.language == "bash" else _python(page, block, namespace)
            if error:
                return error
    return None


def _python(page: Path, block: Block, namespace: dict[str, object]) -> str | None:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), namespace)
    except Exception:
        return traceback.format_exc()
    return None


def _bash(block: Block) -> str | None:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    here = {
        "PYTHONPATH": os.pathsep.join(paths),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }
    command = ["bash", "-euo", "pipefail", "-c", block.code]
    done = subprocess.run(command, env=os.environ | here, capture_output=True, text=True, check=False)
    if not done.returncode:
        return None
    return f"line {block.line}: the bash block ended with status {done.returncode}\n{done.stderr}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", nargs="*", type=Path, default=pages())
    parser.add_argument("--check", action="store_true", help="run nothing")
    args = parser.parse_args()
    os.environ.setdefault("MPLBACKEND", "Agg")
    failed = 0
    for page in map(Path.resolve, args.pages):
        start = time.perf_counter()
        faults = check(page)
        counts = f"{sum(b.runs for b in blocks(page))} blocks, {len(command_lines(page))} pieces of shell"
        if not faults and not args.check:
            faults = [error for error in [run(page)] if error]
        state = "failed" if faults else f"fine in {time.perf_counter() - start:.1f} s"
        print(f"{page.relative_to(ROOT)}: {counts}, {state}", flush=True)
        print(*faults, sep="\n", end="\n" if faults else "", file=sys.stderr)
        failed += bool(faults)
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
