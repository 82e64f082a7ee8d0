"""Hold a Python block that cannot be run here (it needs a dataset, or a cluster) against the library.

It must compile; what it takes from neurodecode must exist; and every call of it must fit the signature.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from typing import Any

from pages import Block

OURS = "neurodecode"


def bind_imports(code: str, names: dict[str, Any]) -> list[str]:
    """Add what a block imports from neurodecode to ``names``; return what is not there."""
    faults = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == OURS and alias.asname:
                    names[alias.asname] = importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == OURS:
            for alias in node.names:
                try:
                    names[alias.asname or alias.name] = _member(node.module or "", alias.name)
                except (AttributeError, ImportError) as error:
                    faults.append(f"line {node.lineno}: {error}")
    return faults


def problems(block: Block, names: dict[str, Any]) -> list[str]:
    """One line for each fault of a block; ``names`` are those of the blocks before it."""
    try:
        tree = ast.parse("\n" * (block.line - 1) + block.code)
    except SyntaxError as error:
        return [f"line {error.lineno}: {error.msg}"]
    faults = bind_imports("\n" * (block.line - 1) + block.code, names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            faults += _missing(node, names)
        if isinstance(node, ast.Call):
            faults += _misfit(node, names)
    return sorted(set(faults))


def resolve(name: str, names: dict[str, Any]) -> Any:
    """Object of a dotted name whose root is in ``names``; AttributeError says what is not there."""
    root, *parts = name.split(".")
    found = names[root]
    for part in parts:
        try:
            found = getattr(found, part)
        except AttributeError:
            if not inspect.ismodule(found):
                raise
            found = _member(found.__name__, part)
    return found


def _member(module: str, name: str) -> Any:
    found = importlib.import_module(module)
    if hasattr(found, name):
        return getattr(found, name)
    try:
        return importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError:
        raise AttributeError(f"{module} has no {name}") from None


def _dotted(node: ast.expr, names: dict[str, Any]) -> str | None:
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in names:
        return None
    return ".".join([node.id, *reversed(parts)])


def _missing(node: ast.Attribute, names: dict[str, Any]) -> list[str]:
    name = _dotted(node, names)
    try:
        if name:
            resolve(name, names)
    except AttributeError as error:
        return [f"line {node.lineno}: {name}: {error}"]
    return []


def _misfit(node: ast.Call, names: dict[str, Any]) -> list[str]:
    name = _dotted(node.func, names)
    starred = any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords)
    if name is None or starred:
        return []
    try:
        signature = inspect.signature(resolve(name, names))
        signature.bind(*[None] * len(node.args), **{str(k.arg): None for k in node.keywords})
    except AttributeError:
        return []  # said by _missing
    except TypeError as error:
        return [f"line {node.lineno}: {name}(): {error}"]
    return []
