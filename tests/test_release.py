"""What is released: the rules see what must not be in a wheel, and a wheel made here keeps them."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from release import wheel
from release.lowest import floors

ROOT = Path(__file__).resolve().parents[1]
ABOUT = "neurodecode_toolkit-0.1.0.dist-info"


def good_wheel() -> dict[str, int]:
    return {
        **dict.fromkeys(wheel.NEEDED, 1000),
        f"{ABOUT}/METADATA": 10,
        f"{ABOUT}/RECORD": 10,
        **{f"{ABOUT}/licenses/{name}": 10 for name in wheel.NOTICES},
    }


def good_archive() -> dict[str, int]:
    return {
        **{n if "." in n.strip(".") or n.isupper() or n == "Makefile" else f"{n}/file.py": 10 for n in wheel.BESIDE},
        "neurodecode/__init__.py": 10,
    }  # fmt: skip


def test_a_good_wheel_has_no_faults() -> None:
    assert wheel.wheel_faults(good_wheel(), 10) == []


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("tests/test_spatial.py", 10, "not in neurodecode/"),
        ("neurodecode/results/weight_map.nc", 10, "left over"),
        ("neurodecode/weight_map.nc", 10, "a kind of file"),
        ("neurodecode/vision/lab/clip/weights.pt", 10, "a kind of file"),
        ("neurodecode/shared/data/eeg.json", 10, "left over"),
        ("neurodecode/__pycache__/score.cpython-311.pyc", 10, "left over"),
        ("neurodecode/datasets/table.json", 700_000, "700 kB"),
    ],
)
def test_what_must_not_be_in_a_wheel_is_named(name: str, size: int, words: str) -> None:
    found = wheel.wheel_faults({**good_wheel(), name: size}, 10)
    assert any(f.startswith(f"{name}: ") and words in f for f in found), found


@pytest.mark.parametrize("name", [*wheel.NEEDED, *(f"{ABOUT}/licenses/{n}" for n in wheel.NOTICES)])
def test_what_is_missing_is_named(name: str) -> None:
    sizes = good_wheel()
    del sizes[name]
    (fault,) = wheel.wheel_faults(sizes, 10)
    assert fault.endswith(f"{name.removeprefix(f'{ABOUT}/')} is missing")


def test_a_source_archive_has_its_folders_and_no_others() -> None:
    assert wheel.sdist_faults(good_archive(), 10) == []
    (fault,) = wheel.sdist_faults({**good_archive(), ".ci/run": 10}, 10)
    assert fault == ".ci: not among what an archive has"
    for beside in sorted(wheel.BESIDE):
        sizes = {n: s for n, s in good_archive().items() if n.partition("/")[0] != beside}
        assert wheel.sdist_faults(sizes, 10) == [f"{beside} is missing"]


def test_sizes_have_a_limit() -> None:
    assert wheel.wheel_faults(good_wheel(), 25_000_001) == ["25.0 MB packed, at most 25"]
    assert wheel.sdist_faults(good_archive(), 30_000_001) == ["30.0 MB packed, at most 30"]
    weights = {**good_wheel(), wheel.NEEDED[-1]: 9_000_000}
    assert wheel.wheel_faults(weights, 10) == []


def test_wheels_are_compared_byte_for_byte(tmp_path: Path) -> None:
    for name, files in {"a": {"x": "1", "y": "2"}, "b": {"x": "1", "y": "3", "z": "4"}}.items():
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for member, text in files.items():
                archive.writestr(member, text)
    assert wheel.differences(tmp_path / "a", tmp_path / "a") == []
    assert wheel.differences(tmp_path / "a", tmp_path / "b") == ["y", "z"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", "full"], "full is not empty.*delete it, or name another by --out"),
        (["--out", "new", "--demo"], "--demo runs in the environment that --alone FOLDER makes"),
        (["--out", "new", "--alone", "old"], "old has an environment already; delete it"),
        (["--out", "new"], "the package build is not installed here; .* -m pip install build"),
    ],
)
def test_what_would_stop_it_later_is_said_before_anything_is_built(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    (tmp_path / "full" / "inside").mkdir(parents=True)
    (tmp_path / "old" / "env").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["wheel.py", *options])
    monkeypatch.setattr(wheel, "find_spec", lambda name: None)
    monkeypatch.setattr(wheel, "build", lambda *given, **options: pytest.fail("it was built"))
    with pytest.raises(SystemExit):
        wheel.main()
    assert re.search(words, capsys.readouterr().err)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a source archive and the wheel made from it."""
    if find_spec("hatchling") is None or find_spec("build") is None:
        pytest.skip("hatchling or build is not installed (the extra dev)")
    folder = tmp_path_factory.mktemp("dist")
    wheel.build(ROOT, folder, isolated=False)
    return folder


def test_the_wheel_made_here_keeps_the_rules(built: Path) -> None:
    path = wheel.only(built, "*.whl")
    sizes = wheel.wheel_sizes(path)
    assert wheel.wheel_faults(sizes, path.stat().st_size) == []
    if (ROOT / ".git").exists():
        assert wheel.missing(sizes, wheel=True) == []
    with zipfile.ZipFile(path) as archive:
        about = archive.read(next(n for n in sizes if n.endswith("METADATA"))).decode()
    assert "\nLicense-Expression: BSD-3-Clause\n" in about
    assert "\nLicense-File: NOTICE.md\n" in about


def test_the_archive_made_here_keeps_the_rules(built: Path) -> None:
    path = wheel.only(built, "*.tar.gz")
    sizes = wheel.sdist_sizes(path)
    assert wheel.sdist_faults(sizes, path.stat().st_size) == []
    if (ROOT / ".git").exists():
        assert wheel.missing(sizes, wheel=False) == []
    with tarfile.open(path) as archive:
        assert not [m.name for m in archive.getmembers() if not (m.isfile() or m.isdir())]


@pytest.mark.slow
def test_the_core_works_alone_and_every_door_names_its_extra(tmp_path: Path) -> None:
    """As where no extra is installed: their packages are hidden from a process of its own."""
    command = [sys.executable, str(ROOT / "release" / "core_only.py"), "--hide"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the core works" in done.stdout


def test_floors_are_the_lowest_that_pyproject_allows() -> None:
    project = {
        "name": "thing",
        "dependencies": ["numpy>=2.1", "h5py>=3.11,<4"],
        "optional-dependencies": {"a": ["torch>=2.4"], "dev": ["pytest>=8.3"], "all": ["thing[a,dev]"]},
    }
    assert floors(project) == ["numpy==2.1", "h5py==3.11", "torch==2.4", "pytest==8.3"]
    assert floors(project, leave_out=("a",)) == ["numpy==2.1", "h5py==3.11", "pytest==8.3"]
    with pytest.raises(ValueError, match=r"scipy has no lowest version \(>=\)"):
        floors({**project, "dependencies": ["scipy"]})
