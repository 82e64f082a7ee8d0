"""What README.md and docs/*.md hold in code: fenced blocks with their marks, indented commands, and code within lines.

A mark is a comment on the line before a fence, which no reader sees:

    <!-- run -->              a bash block that is run with the page's Python blocks
    <!-- not run: REASON -->  a Python block that is only held against the library (unrun.py)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^(?:<!-- ([^\n]*?) -->\n)?```([\w{}-]*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?<=\n\n)((?: {4}\S[^\n]*\n)+)")
INLINE = re.compile(r"(?<![`\w])`([^`]+)`(?!`)")
NOT_RUN = "not run"
COMMANDS = re.compile(r"(?:\.venv/bin/)?(?:neurodecode|python|make|pytest) \S")


@dataclass(frozen=True)
class Block:
    """Code of a page: its first line's number, its language, and the mark before it."""

    line: int
    language: str
    mark: str
    code: str

    @property
    def runs(self) -> bool:
        """Whether a reader can run it as it stands, in an empty folder."""
        return self.mark == "run" if self.language == "bash" else not self.mark.startswith(NOT_RUN)


def pages(root: Path = ROOT) -> list[Path]:
    """README.md, CONTRIBUTING.md and the written pages of docs/."""
    return [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").glob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """Python and bash blocks in their order."""
    text = page.read_text(encoding="utf-8")
    found = FENCE.finditer(text)
    return [
        Block(_line(text, m.start(3)), m[2], m[1] or "", m[3]) for m in found if m[2] in ("python", "bash")
    ]


def command_lines(page: Path) -> list[Block]:
    """Whatever of a page is typed into a shell: bash blocks, indented commands, and commands within lines."""
    text = page.read_text(encoding="utf-8")
    without = FENCE.sub(lambda m: "\n" * m[0].count("\n"), text)
    shell = [block for block in blocks(page) if block.language == "bash"]
    for m in INDENTED.finditer(without):
        if COMMANDS.match(m[1].strip()):
            shell.append(Block(_line(without, m.start(1)), "bash", "", m[1]))
    for m in INLINE.finditer(without):
        if COMMANDS.match(m[1]):
            shell.append(Block(_line(without, m.start(1)), "inline", "", " ".join(m[1].split())))
    return shell


def names(page: Path) -> list[tuple[int, str]]:
    """Line and text of all names within lines that begin with nd., such as nd.temporal.sweep(...)."""
    text = FENCE.sub(lambda m: "\n" * m[0].count("\n"), page.read_text(encoding="utf-8"))
    return [
        (_line(text, m.start(1)), name[0])
        for m in INLINE.finditer(text)
        if (name := re.match(r"nd(?:\.\w+)+", m[1]))
    ]


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
