"""The catalogue of errors and warnings: every place that raises or warns, its words, and the test that reaches it.

    python tests/catalogue.py                         how many there are, and those that no test reaches, with why not
    python tests/catalogue.py all                     every one, with its words and its test
    python tests/catalogue.py note tests/test_*.py    run these tests and note in catalogue.tsv what they reach

A place is known by its words (f-strings' values cut out), so code may move; new words have to be noted once.
As a pytest plugin (``-p tests.catalogue``) the file marks every ``raise`` and ``warn`` of the package while it is
imported and writes what was reached, by which test and with which message, into the folder $NEURODECODE_REACHED.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOTED = Path(__file__).with_name("catalogue.tsv")
NOT = "not reached: "
LONGEST = 100  # so many characters of the words tell one place from another


@dataclass(frozen=True)
class Site:
    """One ``raise`` or ``warn``: where it stands, of which class, and its words with {} for values."""

    file: str
    line: int
    column: int
    function: str
    kind: str
    words: str
    values: int
    node: ast.expr

    @property
    def key(self) -> tuple[str, str]:
        """What a place is known by when code moves."""
        return self.kind, self.words[:LONGEST].rstrip()


def sites(folder: Path = ROOT / "neurodecode") -> list[Site]:
    """All places of the package, file by file."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        found += sites_of(ast.parse(path.read_text(encoding="utf-8")), path.relative_to(ROOT).as_posix())
    return found


def sites_of(tree: ast.AST, file: str) -> list[Site]:
    """All places of one file in the order of its lines; a bare ``raise`` hands on what another place said."""
    return sorted(_walk(tree, file, ""), key=lambda s: (s.line, s.column))


def _walk(node: ast.AST, file: str, within: str) -> Iterator[Site]:
    for child in ast.iter_child_nodes(node):
        inside = within
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = f"{within}.{child.name}" if within else child.name
        call = thrown(child)
        if call is not None:
            text, values = words_of(call)
            yield Site(
                file, child.lineno, child.col_offset, within, ast.unparse(call.func), text, values, call
            )
        yield from _walk(child, file, inside)


def thrown(node: ast.AST) -> ast.Call | None:
    """The call that makes the error of a ``raise``, or the call of ``warn`` itself; None for anything else."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        return node.exc
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "warnings.warn":
        return node
    return None


def words_of(call: ast.Call) -> tuple[str, int]:
    """A message as it stands in the code, {} for each value, and how many values it tells."""
    if not call.args:
        return "", 0
    text = "".join(_words(call.args[0]))
    return text, text.count("{")


def _words(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant):
        yield str(node.value).replace("\n", " ").replace("\t", " ").replace("{", "(").replace("}", ")")
    elif isinstance(node, ast.JoinedStr):
        for part in node.values:
            yield from _words(part)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _words(node.left)
        yield from _words(node.right)
    elif isinstance(node, ast.Call):
        yield "{" + ast.unparse(node.func) + "}"
    else:
        yield "{}"


# ------------------------------------------------------------------------------------- which are reached
REACHED: dict[str, dict[str, str]] = {}  # "file:line" -> the test and the message, the first time


def reached(place: str, said: Any) -> Any:
    """Note that ``place`` was reached and give back what it was about to say."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0].split("[")[0]
    if test and place not in REACHED:
        REACHED[place] = {"test": test.rsplit("/", 1)[-1], "message": str(said)}
    return said


class _Marks(ast.NodeTransformer):
    """Wrap what is raised, and what a warning says, in :func:`reached`."""

    def __init__(self, file: str) -> None:
        self.file = file

    def _wrapped(self, node: ast.expr, line: int) -> ast.expr:
        call = ast.parse(
            f"__import__('sys').modules['{__name__}'].reached('{self.file}:{line}', None)", mode="eval"
        ).body
        assert isinstance(call, ast.Call)
        call.args[1] = node
        return ast.copy_location(call, node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        self.generic_visit(node)
        if thrown(node) is not None and node.exc is not None:
            node.exc = self._wrapped(node.exc, node.lineno)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if thrown(node) is not None and node.args:
            node.args[0] = self._wrapped(node.args[0], node.lineno)
        return node


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        path = Path(self.get_filename(fullname))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        tree = ast.fix_missing_locations(_Marks(path.relative_to(ROOT).as_posix()).visit(tree))
        return compile(tree, str(path), "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.split(".")[0] != "neurodecode":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def pytest_configure() -> None:
    """Mark the package while it is imported, if this file is loaded as a plugin (-p tests.catalogue)."""
    sys.meta_path.insert(0, _Finder())


def pytest_runtest_logfinish() -> None:
    """Write what this process has reached so far, so that a run that is cut short is not lost."""
    to = os.environ.get("NEURODECODE_REACHED")
    if to:
        Path(to, f"{os.getpid()}.json").write_text(json.dumps(REACHED), encoding="utf-8")


# ---------------------------------------------------------------------------------------- what is noted
def noted() -> dict[tuple[str, str], str]:
    """By class and words: the test that reaches a place, or "not reached: " and why not."""
    rows = [line.split("\t") for line in NOTED.read_text(encoding="utf-8").splitlines() if line]
    return {(kind, words): how for kind, words, how in rows}


def note(found: dict[tuple[str, str], str]) -> None:
    """Write the places that stand in the code, and how they are reached; the rest is forgotten."""
    there = sorted({s.key for s in sites()})
    rows = [f"{kind}\t{words}\t{found.get((kind, words), NOT + 'by no test yet')}" for kind, words in there]
    NOTED.write_text("\n".join(rows) + "\n", encoding="utf-8")


def run(tests: Sequence[str]) -> dict[tuple[str, str], str]:
    """Run tests and return what they reach."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "tests.catalogue", *tests],
            cwd=ROOT,
            env={**os.environ, "NEURODECODE_REACHED": folder, "PYTHONPATH": path},
            check=False,
        )
        found = [json.loads(one.read_text(encoding="utf-8")) for one in sorted(Path(folder).glob("*.json"))]
    keys = {f"{s.file}:{s.line}": s.key for s in sites()}
    return {keys[place]: what["test"] for reached_here in found for place, what in reached_here.items()}


def main(arguments: Sequence[str]) -> None:
    """Print the catalogue, or run tests and note what they reach."""
    found = noted() if NOTED.exists() else {}
    if arguments[:1] == ["note"]:
        note({**found, **run(arguments[1:])})
        found = noted()
    every = sites()
    absent = [s for s in every if found.get(s.key, NOT).startswith(NOT)]
    for site in every if arguments[:1] == ["all"] else absent:
        print(
            f"{site.file}:{site.line} {site.kind}: {site.words}\n    {found.get(site.key, NOT + 'not noted')}"
        )
    print(
        f"{len(every)} places raise or warn: {len(every) - len(absent)} are reached by a test, {len(absent)} by none"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
