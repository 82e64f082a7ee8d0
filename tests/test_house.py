"""bench/house.py against small packages with planted imports, circles and sizes, and against this one."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = """
[tool.importlinter]
[[tool.importlinter.contracts]]
type = "layers"
layers = ["(top)", "(left) | (right)", "base"]
"""


@pytest.fixture(scope="module")
def house() -> dict:
    return runpy.run_path(str(ROOT / "bench" / "house.py"))


def package(folder: Path, files: dict[str, str]) -> Path:
    (folder / "pyproject.toml").write_text(LAYERS)
    for name, text in {"__init__": "", **files}.items():
        path = folder / "neurodecode" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def graph(house: dict, root: Path, *, inside: bool = True) -> dict[str, set[str]]:
    files = house["modules"](root)
    return {name: house["imported"](name, path, set(files), inside=inside) for name, path in files.items()}


def test_planted_imports_are_found_and_no_others(house, tmp_path):
    root = package(
        tmp_path,
        {
            "base": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import top\n",
            "left/__init__": "from .inner import x\nfrom ..base import y\n",
            "left/inner": "import neurodecode.right\nx = 1\n",
            "right": "def late():\n    from .top import z\n",
            "top": "from . import left, right\nfrom .left.inner import x\nz = 1\n",
        },
    )
    wrong = house["against_the_house"](graph(house, root), house["floors"](root))
    assert wrong == [
        "neurodecode.left.inner -> neurodecode.right",
        "neurodecode.right -> neurodecode.top",
    ]


def test_planted_circles_are_found(house, tmp_path):
    root = package(
        tmp_path,
        {"base": "from .left import b\na = 1\n", "left": "from .right import c\nb = 1\n",
         "right": "from .base import a\nc = 1\n", "top": "def late():\n    from . import top2\n",
         "top2": "from . import top\n"},
    )  # fmt: skip
    assert house["circles"](graph(house, root, inside=False)) == [
        ["neurodecode.base", "neurodecode.left", "neurodecode.right"]
    ]


def test_lines_are_counted_as_a_reader_would(house, tmp_path):
    docstring, comment = '"""One.\n\nThree.\n"""\n', "# no code\n"
    function = f'def f():\n    """Say."""\n    {comment}    return X  {comment}'
    text = f"{docstring}\n{comment}X = [\n    1,\n]\n\n\n{function}"
    path = tmp_path / "some.py"
    path.write_text(text)
    whole, (inner,) = house["sizes"](path, "some")
    assert (whole.whole, whole.bare) == (10, 5)
    assert (inner.name, inner.whole, inner.bare) == ("some.f", 3, 2)
    sizes = [house["Size"](str(i), i, i // 2) for i in range(1, 12)]
    assert house["summary"](sizes) == {"median": (6, 3), "90th percentile": (10, 5), "largest": (11, 5)}


def test_this_house_stands(house):
    found = graph(house, ROOT)
    assert len(found) > 200
    assert any("neurodecode.solve.fit" in others for others in found.values())
    assert house["against_the_house"](found, house["floors"](ROOT)) == []
    assert house["circles"](graph(house, ROOT, inside=False)) == []
