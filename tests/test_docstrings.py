"""What `help` says of every public name: a summary, every parameter, the result, the errors; and an example."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

NumpyDocString = pytest.importorskip("numpydoc.docscrape").NumpyDocString

PACKAGE = Path(__file__).parents[1] / "neurodecode"


@dataclass(frozen=True)
class Public:
    """A public function or class: where a user finds it, its docstring, its parameters, and what it does."""

    name: str
    text: str
    parameters: tuple[str, ...]
    node: ast.FunctionDef | ast.ClassDef


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module(path: Path, level: int, name: str | None) -> Path | None:
    """File of a module of the package, as an import in ``path`` names it."""
    if level == 0:
        if not (name or "").startswith("neurodecode"):
            return None
        base, parts = PACKAGE.parent, name.split(".")
    else:
        base, parts = path.parent, (name or "").split(".")
        for _ in range(level - 1):
            base = base.parent
    found = base.joinpath(*[p for p in parts if p])
    return found / "__init__.py" if found.is_dir() else found.with_suffix(".py")


def definition(path: Path, name: str) -> ast.FunctionDef | ast.ClassDef | None:
    """Where a name of a module is defined, followed through imports; None for constants and modules."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    source = module(path, node.level, node.module)
                    known = source is not None and source.exists() and source != path
                    return definition(source, alias.name) if known else None
    return None


def listed(path: Path) -> list[str]:
    """Names in a module's __all__."""
    for node in tree(path).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "__all__":
            return [ast.literal_eval(e) for e in node.value.elts if isinstance(e, ast.Constant)]
    return []


def rooms() -> Iterator[tuple[str, Path, list[str]]]:
    """Public modules and their public names: __all__, and of modules of one file what has no underscore."""
    yield "", PACKAGE / "__init__.py", listed(PACKAGE / "__init__.py")
    for path in sorted(PACKAGE.rglob("__init__.py")):
        parts = path.parent.relative_to(PACKAGE).parts
        if parts and parts[0] not in ("solve", "cli") and not any(p.startswith("_") for p in parts):
            yield ".".join(parts), path, listed(path)
    for room in ("ceilings", "folds", "labels", "retrieval", "rsa", "score", "selection"):
        path = PACKAGE / f"{room}.py"
        own = [n.name for n in tree(path).body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        yield room, path, [n for n in own if not n.startswith("_")]


def arguments(node: ast.FunctionDef) -> tuple[str, ...]:
    given = node.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return tuple(a.arg for a in every if a is not None and a.arg not in ("self", "cls"))


def public() -> list[Public]:
    """Every public callable once, with the public methods of classes."""
    found: dict[int, Public] = {}
    seen: set[tuple[str, int]] = set()

    def add(name: str, node: ast.FunctionDef | ast.ClassDef, parameters: tuple[str, ...]) -> None:
        key = (node.name, node.lineno)
        if key not in seen:
            seen.add(key)
            found[len(found)] = Public(name, ast.get_docstring(node) or "", parameters, node)

    for room, path, names in rooms():
        for name in names:
            node = definition(path, name)
            full = f"{room}.{name}" if room else name
            if isinstance(node, ast.FunctionDef):
                add(full, node, arguments(node))
            elif isinstance(node, ast.ClassDef):
                methods = {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}
                own = methods.get("__init__")
                add(full, node, arguments(own) if own else ())
                for method, inner in methods.items():
                    if not method.startswith("_"):
                        add(f"{full}.{method}", inner, arguments(inner))
    return list(found.values())


PUBLIC = public()
# Rooms of helpers for those who extend the package, whose parameters their names and one line say.
HELPERS = ("labels", "pipeline", "store")


def told(one: Public) -> set[str]:
    """Parameters that a docstring lists."""
    doc = NumpyDocString(one.text)
    entries = doc["Parameters"] + doc["Other Parameters"]
    return {name.strip().lstrip("*") for entry in entries for name in entry.name.split(",")}


def refuses(node: ast.AST) -> bool:
    """Whether a function raises an error by itself, or calls a check of labels."""
    return any(
        isinstance(n, ast.Raise)
        or (isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id.startswith("require"))
        for n in ast.walk(node)
    )


def needs_parameters(one: Public) -> bool:
    """All but helpers, methods of what is plugged in (their protocol is documented once), and what others make."""
    room, *rest = one.name.split(".")
    method = len(rest) > 1
    plugged = method and room in ("reconstruction", "vision", "temporal")
    return room not in HELPERS and not plugged and "made by :func:" not in one.text


def needs_example(one: Public) -> bool:
    """Functions and classes of analyses; data sets need files, models weights, and methods are shown by their class."""
    room, *rest = one.name.split(".") if "." in one.name else ("", one.name)
    analyses = ("", "brain", "ceilings", "encoding", "inference", "prepare", "score", "spatial", "temporal")
    return room in (*analyses, "metrics", "retrieval", "selection") and len(rest) == 1 and one.name[0] != "_"


def test_every_public_name_is_found_and_has_a_summary_of_one_line() -> None:
    names = {one.name for one in PUBLIC}
    assert {"RidgeDecoder", "brain.fmri", "temporal.sweep", "inference.clusters", "plot.cortex"} <= names
    wrong = [
        one.name
        for one in PUBLIC
        if not one.text or not one.text.splitlines()[0].rstrip().endswith((".", "?", ":", ")"))
    ]
    assert not wrong, f"no summary that ends on its first line: {wrong}"


def test_every_parameter_is_documented_and_none_that_is_not_there() -> None:
    lacking, invented = set(), {}
    for one in PUBLIC:
        if needs_parameters(one) and set(one.parameters) - told(one):
            lacking.add(one.name)
        if isinstance(one.node, ast.FunctionDef) and told(one) - set(one.parameters):
            invented[one.name] = told(one) - set(one.parameters)
    assert not invented, f"documented but not there: {invented}"
    assert not lacking, f"parameters without a word: {sorted(lacking)}"


def test_what_refuses_says_so() -> None:
    lacking = {
        one.name
        for one in PUBLIC
        if needs_parameters(one)
        and isinstance(one.node, ast.FunctionDef)
        and refuses(one.node)
        and not NumpyDocString(one.text)["Raises"]
        and "Refuse" not in one.text
    }
    assert not lacking, f"errors without a word: {sorted(lacking)}"


def test_analyses_are_shown_by_an_example() -> None:
    lacking = {one.name for one in PUBLIC if needs_example(one) and ">>>" not in one.text}
    assert not lacking, f"no example: {sorted(lacking)}"
