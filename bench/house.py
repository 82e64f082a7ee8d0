"""The house as it stands: its floors, imports that go up or in a circle, and how large files and functions are.

python bench/house.py                     # of this checkout
python bench/house.py --root OTHER

Floors are those that pyproject.toml states for import-linter; every import in every file is read (those inside
functions too, those for type checkers not) with Python's own parser, and nothing is imported. Lines of code are lines
that hold a token other than a comment; without docstrings is what is left when these are taken off.
"""

import argparse
import ast
import io
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "neurodecode"
# A screen of code, and a file of a few hundred lines.
SCREEN, FILE = 60, 400
LAYOUT = (
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
)


@dataclass(frozen=True)
class Size:
    """Lines of code of a file or function, with and without docstrings."""

    name: str
    whole: int
    bare: int


def floors(root: Path) -> list[list[str]]:
    """Rooms of every floor, the highest first, from the layers in pyproject.toml."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    layers = next(c for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "layers")["layers"]
    return [[name.strip(" ()") for name in layer.split("|")] for layer in layers]


def modules(root: Path) -> dict[str, Path]:
    """Files of the package by the name under which they are imported."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(name: str, path: Path, known: set[str], *, inside: bool = True) -> set[str]:
    """Modules of the package that a module imports; without ``inside`` only what it does when it is itself imported."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in statements(ast.parse(path.read_text(encoding="utf-8")), inside):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            whole = ".".join(part for part in (base, node.module) if part)
            names = [f"{whole}.{alias.name}" for alias in node.names]
        for one in names:
            # A name that is no module is of the module before it.
            target = one if one in known else one.rpartition(".")[0]
            found |= {target} & known
    return found - {name}


def statements(node: ast.AST, inside: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements below a node, but those for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        elif inside or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from statements(child, inside)


def against_the_house(graph: dict[str, set[str]], levels: list[list[str]]) -> list[str]:
    """Imports that go up, or to another room of the same floor."""
    floor = {room: len(levels) - i for i, rooms in enumerate(levels) for room in rooms}
    wrong = []
    for name, others in graph.items():
        for other in sorted(others):
            here, there = room(name), room(other)
            if here in floor and there in floor and here != there and floor[there] >= floor[here]:
                wrong.append(f"{name} -> {other}")
    return wrong


def room(name: str) -> str:
    """Return the first part of a module's name below the package."""
    return name.split(".")[1] if "." in name else ""


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Modules that import each other in a circle: strongly connected components of more than one (Tarjan 1972)."""
    found: list[list[str]] = []
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(name: str) -> None:
        number[name] = low[name] = len(number)
        stack.append(name)
        for other in graph[name]:
            if other not in number:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], number[other])
        if low[name] == number[name]:
            members = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(members) > 1:
                found.append(sorted(members))

    for name in graph:
        if name not in number:
            visit(name)
    return found


def coded(text: str) -> set[int]:
    """Numbers of the lines that hold code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in LAYOUT:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines


def sizes(path: Path, name: str) -> tuple[Size, list[Size]]:
    """Size of a file, and of every function in it; a function inside another counts in both."""
    text = path.read_text(encoding="utf-8")
    tree, lines, documented = ast.parse(text), coded(text), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            documented.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    bare = lines - documented
    functions = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            own = set(range(node.lineno, node.end_lineno + 1))
            functions.append(Size(f"{name}.{node.name}", len(own & lines), len(own & bare)))
    return Size(name, len(lines), len(bare)), functions


def summary(found: list[Size]) -> dict[str, tuple[int, int]]:
    """Median, 90th percentile and largest of sizes, with and without docstrings."""

    def at(share: float) -> tuple[int, int]:
        both = (sorted(s.whole for s in found), sorted(s.bare for s in found))
        with_, without = (values[min(round(share * (len(values) - 1)), len(values) - 1)] for values in both)
        return with_, without

    return {"median": at(0.5), "90th percentile": at(0.9), "largest": at(1.0)}


def drawn(levels: list[list[str]], graph: dict[str, set[str]]) -> list[str]:
    """Every floor on a line: its number from below, its rooms with how many files each has."""
    count: dict[str, int] = {}
    for name in graph:
        count[room(name)] = count.get(room(name), 0) + 1
    lines = []
    for i, rooms in enumerate(levels):
        there = [f"{r} ({count[r]})" if count[r] > 1 else r for r in rooms if r in count]
        lines.append(f"{len(levels) - 1 - i}  {' | '.join(there)}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1], help="the checkout")
    parser.add_argument("--most", type=int, default=12, metavar="N", help="how many large ones are listed")
    args = parser.parse_args()
    files = modules(args.root)
    if not files:
        parser.error(f"{args.root} holds no folder {PACKAGE} with Python files")
    levels, known = floors(args.root), set(files)
    graph = {name: imported(name, path, known) for name, path in files.items()}
    at_import = {name: imported(name, path, known, inside=False) for name, path in files.items()}
    print("floors (files in the room):", *drawn(levels, graph), sep="\n  ")
    for words, wrong in (
        ("imports that go up or across a floor", against_the_house(graph, levels)),
        ("circles of modules, when they are imported", [" <-> ".join(c) for c in circles(at_import)]),
    ):
        print(f"{words}: {len(wrong)}", *wrong, sep="\n  ")
    measured = [sizes(path, name) for name, path in files.items()]
    of_files = [size for size, _ in measured]
    of_functions = [size for _, several in measured for size in several]
    for what, found, most in (("files", of_files, FILE), ("functions", of_functions, SCREEN)):
        print(f"{len(found)} {what}, lines of code (without docstrings):")
        for words, (whole, bare) in summary(found).items():
            print(f"  {words:<16} {whole:>4} ({bare})")
        large = sorted((s for s in found if s.bare > most), key=lambda s: -s.bare)
        print(f"  past {most} without docstrings: {len(large)}")
        for s in sorted(found, key=lambda s: -s.bare)[: max(args.most, 0)]:
            print(f"    {s.name:<60} {s.whole:>4} ({s.bare})")


if __name__ == "__main__":
    main()
