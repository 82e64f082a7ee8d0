"""Every command line and name of the documentation exists; what does not is found; so are faults of a built site."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))

import check_site  # noqa: E402
import make_gallery  # noqa: E402
import run_blocks  # noqa: E402
from pages import blocks, pages  # noqa: E402


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_what_a_page_names_exists(page: Path) -> None:
    assert run_blocks.check(page) == []


def page_of(folder: Path, text: str) -> Path:
    page = folder / "page.md"
    page.write_text(f"# A page\n\n{text}\n")
    return page


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("neurodecode decode --out a.nc --alphas 3", "--alphas"),
        ("neurodecode decode --alpha 3", "--out"),
        ("neurodecode prepare nsb --root NSD", "nsb"),
        ("neurodecode decode --alpha 3 \\\n    --modality fmr --out a.nc", "fmr"),
        ("neurodecode undo", "undo"),
        ("for s in one two; do neurodecode prepare nsd --root NSD --subject $s --out a.zarr; done", "one"),
        ("OMP_NUM_THREADS=1 python analyses/region_ablations.py", "analyses/region_ablations.py"),
        ("python analyses/region_ablation.py --outt results", "--outt"),
        ("python figures/region_ablation.py", "result"),
        ("python -m tests.trees.planted nsb somewhere", "nsb"),
        ("python -m tests.trees.sown nsd somewhere", "tests.trees.sown"),
        ("make demo && make demos", "demos"),
        ("pytest tests/test_nothing.py", "tests/test_nothing.py"),
        ("pytest tests/test_docs.py -k nowhere", "nowhere"),
        ('pip install "neurodecode-toolkit[visions]"', "visions"),
        ("neurodecod demo", "unknown program"),
    ],
)
def test_a_wrong_command_line_is_found(tmp_path: Path, line: str, said: str) -> None:
    (fault,) = run_blocks.check(page_of(tmp_path, f"```bash\nmake demo  # as it should be\n{line}\n```"))
    assert fault.startswith("line 5: ")
    assert said in fault


def test_commands_within_lines_and_indented_ones_are_found(tmp_path: Path) -> None:
    faults = run_blocks.check(
        page_of(tmp_path, "Take `make dem`, or\n\n    neurodecode dem\n\nand `neurodecode sweep --score r2`.")
    )
    assert len(faults) == 2


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("from neurodecode.datasets import nsb", "nsb"),
        ("from neurodecode.datasets import nsd\nnsd.load('NSD', subject=1, session=3)", "session"),
        ("nd.spatial.decoded", "decoded"),
        ("nd.RidgeDecoder(alpha=1", "was never closed"),
    ],
)
def test_a_block_that_is_not_run_is_held_against_the_library(tmp_path: Path, code: str, said: str) -> None:
    page = page_of(tmp_path, f"<!-- not run: needs NSD -->\n```python\n{code}\n```")
    (fault,) = run_blocks.check(page)
    assert said in fault
    assert not blocks(page)[0].runs


def test_a_name_within_a_line_is_found(tmp_path: Path) -> None:
    (fault,) = run_blocks.check(page_of(tmp_path, "`nd.temporal.sweep(...)` and `nd.temporal.swept`"))
    assert "swept" in fault


def test_blocks_share_names_and_a_folder_and_failures_name_the_line(tmp_path: Path) -> None:
    text = (
        "```python\nopen('here', 'w').close()\nx = 1\n```\n\n"
        "<!-- run -->\n```bash\ntest -f here && touch there  # neither is ours to hold\n```\n\n"
        "```bash\nmake demo\n```\n\n"
        "```python\nassert x == 1 and __import__('os').path.exists('there')\n```\n"
    )
    assert run_blocks.run(page_of(tmp_path, text)) is None
    assert "line 22" in str(run_blocks.run(page_of(tmp_path, f"{text}\n```python\n1 / 0\n```")))
    assert "line 23: the bash block" in str(
        run_blocks.run(page_of(tmp_path, f"{text}\n<!-- run -->\n```bash\nfalse\n```"))
    )


def test_the_gallery_has_every_analysis_its_commands_and_its_figures(tmp_path: Path) -> None:
    for folder in ("analyses", "figures"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    docs, demo = tmp_path / "docs", tmp_path / "results" / "demo"
    docs.mkdir()
    (docs / "images").symlink_to(ROOT / "docs" / "images")
    demo.mkdir(parents=True)
    (demo / "reconstruction_choices_keep.png").write_bytes(b"")
    assert [path.name for path in make_gallery.write(docs)] == ["reconstruction_choices_keep.png"]
    sections = (docs / "gallery.md").read_text().split("\n## ")[1:]
    scripts = sorted((ROOT / "analyses").glob("*.py"))
    assert len(sections) == len(scripts)
    shown = {}
    for script, section in zip(scripts, sections, strict=True):
        assert section.partition("?")[0] in script.read_text().replace("\n", " ")
        assert f"python analyses/{script.name}" in section
        for image in re.findall(r"!\[.*?\]\((.*?)\)", section):
            shown[image] = script.stem
            assert (docs / image).exists()
    assert shown["_gallery/reconstruction_choices_keep.png"] == "reconstruction_choices"
    assert shown["images/reconstruction.png"] == "reconstruct"
    assert shown["images/table_7.png"] == "fitters"
    assert run_blocks.check(docs / "gallery.md") == []


BROKEN = {
    '<a href="#nowhere">x</a>': "leads to no anchor",
    '<a href="other.html#nowhere">x</a>': "leads to no anchor",
    '<a href="gone.html">x</a>': "leads to no file",
    '<img src="gone.png">': "leads to no file",
    '<script src="https://example.org/x.js"></script>': "from outside",
    '<link rel="stylesheet" href="//example.org/x.css">': "from outside",
    "<style>@import url('https://example.org/font.css');</style>": "from outside",
}


@pytest.mark.parametrize("fault", [None, *BROKEN])
def test_the_site_check_finds_what_is_broken(tmp_path: Path, fault: str | None) -> None:
    (tmp_path / "other.html").write_text('<h1 id="here">x</h1>')
    fine = '<h1 id="top">x</h1><a href="other.html#here">x</a><a href="#top">x</a><a href="https://example.org">x</a>'
    (tmp_path / "index.html").write_text(fine + (fault or ""))
    faults, count = check_site.link_faults(tmp_path)
    assert count == 3 + bool(fault and "<style>" not in fault)
    assert [BROKEN[fault] in f for f in faults] == [True] if fault else faults == []


@pytest.mark.skipif(check_site.browser() is None, reason="no Chromium here")
def test_a_browser_finds_messages_and_overflow(tmp_path: Path) -> None:
    (tmp_path / "wide.html").write_text(
        "<div style='width:900px'>x</div><script>console.error('oh no')</script>"
    )
    faults, views = check_site.browser_faults(check_site.browser(), tmp_path)
    assert views == 2
    assert any("oh no" in f for f in faults)
    assert [f for f in faults if "px wide" in f] == ["wide.html at 390 px: 908 px wide"]
