"""The notebooks run from top to bottom, draw what they say, and are kept without outputs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
# Figures and files that each leaves.
NOTEBOOKS = {"fmri": (4, {"regions.nc", "regions.html"}), "meeg": (3, {"time_course.nc", "time_course.html"})}


def source(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))


def test_every_notebook_is_listed_here_and_in_the_docs():
    assert sorted(p.stem for p in FOLDER.glob("*.ipynb")) == sorted(NOTEBOOKS)
    page = (FOLDER.parent / "docs" / "notebooks.md").read_text(encoding="utf-8")
    assert all(f"notebooks/{name}.ipynb" in page for name in NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_kept_without_outputs(name):
    for cell in source(name)["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
    assert (FOLDER / f"{name}.ipynb").stat().st_size < 20_000


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_explains_and_says_simulated(name):
    cells = source(name)["cells"]
    kinds = [c["cell_type"] for c in cells]
    assert kinds.count("markdown") >= 6
    text = "".join("".join(c["source"]) for c in cells)
    assert "**simulated**" in text
    titles = re.findall(r'suptitle\(\s*"(.*?)"', text)
    assert len(titles) == NOTEBOOKS[name][0]
    assert all("(simulated)" in title for title in titles)


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs(name, tmp_path, monkeypatch):
    pytest.importorskip("ipykernel", reason="ipykernel (of the extra dev) is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient (of the extra dev) is not installed")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel's own shows figures in the notebook
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    here = tmp_path / "here"
    here.mkdir()
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(here)}}
    )
    client.execute()  # an error in a cell is raised with its traceback
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    drawn = [o for o in outputs if "image/png" in o.get("data", {})]
    figures, files = NOTEBOOKS[name]
    assert len(drawn) == figures
    assert {p.name for p in here.iterdir()} == files
    assert [o["text"] for o in outputs if o.get("name") == "stderr"] == []
    assert any("ridge regression (Hoerl & Kennard 1970)" in o.get("text", "") for o in outputs)
