"""Run every Python block of README.md and docs/*.md as it stands, page by page, in an empty folder.

The blocks of a page share their names, as a reader would type them one after another. A block that needs a file of
the reader's own is marked as text, not as Python. Exits with 1 at the first page that fails, and names the line.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[int, str]]:
    """Line number and code of every Python block of a page."""
    text = page.read_text(encoding="utf-8")
    return [(text.count("\n", 0, m.start(1)) + 1, m.group(1)) for m in BLOCK.finditer(text)]


def run(page: Path) -> str | None:
    """Run a page's blocks in a temporary folder; return the error, with the page's own line numbers, or None."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for line, code in blocks(page):
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)
            except Exception:
                return traceback.format_exc()
    return None


def main() -> int:
    os.environ.setdefault("MPLBACKEND", "Agg")
    failed = 0
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        if not page.exists() or not blocks(page):
            continue
        start = time.perf_counter()
        error = run(page)
        state = "failed" if error else f"ran in {time.perf_counter() - start:.1f} s"
        print(f"{page.relative_to(ROOT)}: {len(blocks(page))} blocks, {state}")
        if error:
            print(error, file=sys.stderr)
            failed += 1
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
