"""The project's own files agree with each other: one version, one set of requirements, the promised commands."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import neurodecode

ROOT = Path(__file__).resolve().parents[1]

# conda-forge's names where they differ from the package index's
CONDA_NAMES = {
    "build": "python-build",
    "dask": "dask-core",
    "matplotlib": "matplotlib-base",
    "mne": "mne-base",
    "open-clip-torch": "open-clip-torch",
    "torch": "pytorch",
}
CONDA_ONLY = {"python", "pip", "c-compiler"}  # the interpreter, pip, and what compiles pycortex
# Conda-forge's himalaya is an e-mail program: these come from pip inside the conda environment.
FROM_PIP = {"brainspace", "himalaya", "justmyresource-mdi", "pycortex", "rsatoolbox"}


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wanted(project: dict) -> dict[str, Requirement]:
    """Every requirement of the project and its extras, by canonical name."""
    lines = list(project["dependencies"])
    for extra, requirements in project["optional-dependencies"].items():
        lines += [] if extra == "all" else requirements
    found = [Requirement(line) for line in lines]
    by_name = {canonicalize_name(r.name): r for r in found}
    assert len(by_name) == len(found), "a requirement is listed twice"
    return by_name


@pytest.fixture(scope="module")
def pins() -> dict[str, Version]:
    lines = [line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    pairs = [line.split("==") for line in lines if line]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def conda_requirements() -> tuple[dict[str, Requirement], dict[str, Requirement]]:
    """What environment.yml asks of conda and, inside it, of pip; by canonical name."""
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    from_conda = [Requirement(e) for e in entries if isinstance(e, str)]
    nested = [e["pip"] for e in entries if isinstance(e, dict)]
    assert len(nested) == 1
    from_pip = [Requirement(e) for e in nested[0] if e != "-e ."]
    assert "-e ." in nested[0]
    return tuple({canonicalize_name(r.name): r for r in found} for found in (from_conda, from_pip))


def test_conda_environment_asks_for_the_same_as_pyproject(wanted: dict, project: dict) -> None:
    from_conda, from_pip = conda_requirements()
    expected_conda = {
        canonicalize_name(CONDA_NAMES.get(name, name)): r.specifier
        for name, r in wanted.items()
        if name not in FROM_PIP
    }
    assert {n: r.specifier for n, r in from_conda.items() if n not in CONDA_ONLY} == expected_conda
    assert {n: r.specifier for n, r in from_pip.items()} == {n: wanted[n].specifier for n in FROM_PIP}
    assert str(from_conda["python"].specifier) == project["requires-python"]
    assert set(from_conda) >= CONDA_ONLY


def test_all_extra_holds_every_other_extra(project: dict) -> None:
    (line,) = project["optional-dependencies"]["all"]
    everything = Requirement(line)
    assert everything.name == project["name"]
    assert everything.extras == set(project["optional-dependencies"]) - {"all"}


def test_every_requirement_is_pinned_inside_its_range(wanted: dict, pins: dict) -> None:
    assert [name for name in wanted if name not in pins] == []
    assert [f"{r} has {pins[n]}" for n, r in wanted.items() if pins[n] not in r.specifier] == []


def test_constraints_hold_exact_public_versions_only() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line), line


def test_the_tested_versions_are_the_pinned_ones(wanted: dict, pins: dict) -> None:
    """Where a requirement is installed here at all it is the pinned version; the environment is made from the pins."""
    differ = []
    for name in wanted:
        try:
            here = Version(metadata.version(name))
        except metadata.PackageNotFoundError:
            continue  # the extra `vision` is not installed everywhere
        if here.public != pins[name].public:
            differ.append(f"{name}: {here} installed, {pins[name]} pinned")
    if differ and not (ROOT / ".venv" / ".installed").exists():
        pytest.skip(f"this environment was not made by the Makefile: {'; '.join(differ)}")
    assert differ == []


def test_the_version_is_one(project: dict) -> None:
    version = neurodecode.__version__
    assert "version" in project["dynamic"]
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]
    assert (ROOT / hatch["version"]["path"]).resolve() == Path(neurodecode.__file__).resolve()
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    assert re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == version
    assert metadata.version(project["name"]) == version
    assert "version = release = neurodecode.__version__" in (ROOT / "docs" / "conf.py").read_text()


def test_the_changelog_dates_its_versions() -> None:
    """Every version has one date, or is unreleased; newest first, and only the newest is unreleased."""
    heads = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    parts = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (unreleased|\d{4}-\d\d-\d\d)", head) for head in heads]
    assert all(parts), heads
    versions = [Version(part[1]) for part in parts if part]
    assert versions == sorted(set(versions), reverse=True)
    assert all(part[2] != "unreleased" for part in parts[1:] if part)


def test_the_citation_has_what_the_format_requires(project: dict) -> None:
    """CFF 1.2.0: required keys, known kinds, and nothing that the format does not know."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["cff-version"] == "1.2.0"
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert set(cited) <= {
        "abstract", "authors", "cff-version", "contact", "date-released", "doi", "identifiers", "keywords", "license",
        "license-url", "message", "preferred-citation", "references", "repository", "repository-code", "title", "type",
        "url", "version",
    }  # fmt: skip
    assert cited["type"] == "software"
    assert [author["name"] for author in cited["authors"]] == [a["name"] for a in project["authors"]]
    assert len(set(cited["keywords"])) == len(cited["keywords"])


def test_only_versions_of_python_that_were_run_are_named(project: dict) -> None:
    """docs/releasing.md says what was run on which Python; the classifiers name no other."""
    page = (ROOT / "docs" / "releasing.md").read_text()
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert named[0] == project["requires-python"].removeprefix(">=")
    assert [v for v in named if not re.search(rf"^\| {re.escape(v)}\.\d+ \|", page, re.MULTILINE)] == []


def test_the_licence_is_one(project: dict) -> None:
    assert (ROOT / "LICENSE").read_text().startswith("BSD 3-Clause License")
    assert project["license"] == "BSD-3-Clause"
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["license"] == project["license"]


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("demo", "neurodecode demo --out results/demo"),
        ("test", "-m pytest"),
        ("check", "ruff check"),
        ("check", "ruff format --check"),
        ("check", "-m mypy"),
        ("check", "lint-imports"),
        ("check", "--doctest-modules neurodecode"),
        ("check", "sphinx -W"),
        ("check", "docs/run_blocks.py"),
        ("bench", "bench/run.py"),
        ("docs", "sphinx -W"),
        ("release", "release/wheel.py"),
        ("wheel-check", "--demo"),
        ("lowest", "release/lowest.py --env"),
    ],
)
def test_make_promises(target: str, command: str) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    plan = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert command in plan


def test_make_installs_once_with_the_constraints() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    run = ["make", "-n", "-W", "pyproject.toml", "env"]
    plan = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert plan.count("pip install") == 1
    assert "-m pip install -c constraints.txt -e " in plan


def test_the_gate_runs_the_readme_commands() -> None:
    gate = ROOT / ".ci" / "run"
    if not gate.exists():
        pytest.skip("a source archive has no .ci folder")
    assert gate.stat().st_mode & 0o111
    commands = [line for line in gate.read_text().splitlines() if line.startswith("make ")]
    assert commands == ["make test", "make check"]
    readme = (ROOT / "README.md").read_text()
    assert all(command in readme for command in commands)


def text_files() -> list[Path]:
    """Files that git tracks or would track, those that are text."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    return [p for p in paths if p.is_file() and b"\0" not in p.read_bytes()[:4096]]


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is each machine's own setting."""
    # written in two halves, or this file would be the first to fail
    halves = [
        ("py", "pi.org"),
        ("pythonhosted", ".org"),
        ("anaconda", ".org"),
        ("anaconda", ".com"),
        ("npmjs", ".org"),
    ]
    halves += [("download.py", "torch.org"), ("--index", "-url"), ("--extra-index", "-url")]
    names = [a + b for a, b in halves]
    files = text_files()
    assert len(files) > 20
    hits = [
        f"{p.relative_to(ROOT)}: {n}"
        for p in files
        for n in names
        if n in p.read_text(errors="replace").lower()
    ]
    assert hits == []
