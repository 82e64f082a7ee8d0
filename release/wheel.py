"""Build the source archive and the wheel, and look into both: what is in them, what must not be, and their sizes.

    python release/wheel.py                             # dist/: both, looked into; the archive builds the same wheel
    python release/wheel.py --alone .venv-wheel --demo  # and the wheel alone in a new environment: core, vision, demo

The rules are functions of names and sizes, which tests/test_release.py breaks one by one. Building needs the package
build, and the network for hatchling unless `--no-isolation` is given. `--alone` makes a virtual environment in the
folder, installs the wheel without extras, runs release/core_only.py there, installs the extra `vision` beside it and
runs the command from that folder, where the repository is not on the path. It takes about 3 GB where pip finds a torch
for the CPU (PIP_EXTRA_INDEX_URL); on Linux it takes one for CUDA otherwise, several GB more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

WHEEL_MB, SDIST_MB = 25, 30  # at most; the lab's weights are 22 MB of both
LARGE_KB = 600  # anything larger is one of the lab's weights
PACKAGE, SCRIPTS = "neurodecode", ("analyses", "figures")
WEIGHTS = "neurodecode/vision/lab/"
# what the package consists of; anything else is a result, a recording or a left-over
KINDS = {".py", ".css", ".json", ".txt", ".mplstyle", ".safetensors", ".typed"}
NEEDED = (
    "neurodecode/__init__.py",
    "neurodecode/analyses/reconstruct.py",
    "neurodecode/figures/reconstruct.py",
    "neurodecode/plot/neurodecode.mplstyle",
    "neurodecode/report/page.css",
    *(
        f"{WEIGHTS}{name}.safetensors"
        for name in (
            "clip/open_clip_model",
            "diffusion/text_encoder/model",
            "diffusion/unet/diffusion_pytorch_model",
            "diffusion/vae/diffusion_pytorch_model",
            "referee/model",
        )
    ),
)
NOTICES = ("LICENSE", "NOTICE.md")
# what a source archive has beside the package
BESIDE = {
    "analyses", "bench", "docs", "figures", "notebooks", "release", "tests", "training",
    ".gitignore", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "Makefile", "NOTICE.md", "PKG-INFO",
    "README.md", "SECURITY.md", "constraints.txt", "environment.yml", "hatch_build.py", "pyproject.toml",
}  # fmt: skip
LEFT_OVERS = (
    "__pycache__",
    ".pyc",
    ".nbi",
    ".nbc",
    "/_build/",
    "docs/api/",
    "docs/_gallery",
    "shared/",
    "results/",
)


def faults(sizes: Mapping[str, int]) -> list[str]:
    """What is wrong with both kinds alike, of files' names and their sizes in bytes."""
    found = [f"{n}: left over from a run" for n in sizes if any(part in f"/{n}" for part in LEFT_OVERS)]
    return found + [
        f"{n}: {size / 1e3:.0f} kB, at most {LARGE_KB} but for the lab's weights"
        for n, size in sizes.items()
        if size > LARGE_KB * 1e3 and not n.startswith(WEIGHTS)
    ]


def wheel_faults(sizes: Mapping[str, int], packed: int) -> list[str]:
    """What is wrong with a wheel whose files have these sizes, packed in so many bytes."""
    found = faults(sizes)
    about = {n for n in sizes if n.partition("/")[0].endswith(".dist-info")}
    for name in sizes.keys() - about:
        if not name.startswith(f"{PACKAGE}/"):
            found.append(f"{name}: not in {PACKAGE}/")
        if Path(name).suffix not in KINDS:
            found.append(f"{name}: a kind of file that is no part of the package ({sorted(KINDS)})")
    found += [f"{n} is missing" for n in NEEDED if n not in sizes]
    found += [
        f"licenses/{n} is missing" for n in NOTICES if not any(a.endswith(f"/licenses/{n}") for a in about)
    ]
    return found + _too_large(packed, WHEEL_MB)


def sdist_faults(sizes: Mapping[str, int], packed: int) -> list[str]:
    """What is wrong with a source archive: names are without its own top folder."""
    found = faults(sizes)
    tops = {n.partition("/")[0] for n in sizes}
    found += [f"{n}: not among what an archive has" for n in sorted(tops - BESIDE - {PACKAGE})]
    found += [f"{n} is missing" for n in sorted((BESIDE | {PACKAGE}) - tops)]
    return found + _too_large(packed, SDIST_MB)


def missing(sizes: Mapping[str, int], *, wheel: bool) -> list[str]:
    """Files that git tracks and that the archive, or the wheel's package, lacks."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = {n for n in listed.stdout.split("\0") if n and (ROOT / n).is_file()}
    if wheel:
        tracked = {n for n in tracked if n.partition("/")[0] in (PACKAGE, *SCRIPTS)}
        tracked = {n if n.startswith(f"{PACKAGE}/") else f"{PACKAGE}/{n}" for n in tracked}
    return [f"{n} is missing" for n in sorted(tracked - set(sizes)) if not n.startswith(".ci/")]


def wheel_sizes(path: Path) -> dict[str, int]:
    """Names and sizes of a wheel's files."""
    with zipfile.ZipFile(path) as archive:
        return {i.filename: i.file_size for i in archive.infolist() if not i.is_dir()}


def sdist_sizes(path: Path) -> dict[str, int]:
    """Names, without the top folder, and sizes of a source archive's files."""
    with tarfile.open(path) as archive:
        return {m.name.partition("/")[2]: m.size for m in archive.getmembers() if m.isfile()}


def differences(one: Path, other: Path) -> list[str]:
    """Files that two wheels do not have alike, byte for byte."""
    with zipfile.ZipFile(one) as a, zipfile.ZipFile(other) as b:
        names = set(a.namelist()) | set(b.namelist())
        both = set(a.namelist()) & set(b.namelist())
        return sorted((names - both) | {n for n in both if a.read(n) != b.read(n)})


def build(source: Path, out: Path, *, what: tuple[str, ...] = (), isolated: bool = True) -> None:
    """Run `python -m build`: without ``what`` the archive, and the wheel from the archive."""
    options = [*what, *(() if isolated else ("--no-isolation",)), "--outdir", str(out)]
    subprocess.run(
        [sys.executable, "-m", "build", *options, str(source)], check=True, stdout=subprocess.DEVNULL
    )


def only(folder: Path, pattern: str) -> Path:
    """Return the one file of a folder that fits."""
    (found,) = folder.glob(pattern)
    return found


def alone(wheel: Path, folder: Path, *, demo: bool) -> None:
    """Install the wheel in a new environment without the repository, and run it there."""
    python, home = folder / "env" / "bin" / "python", folder / "elsewhere"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    # Nothing that an earlier run has left is used.
    environment |= {"XDG_CACHE_HOME": str(folder / "cache"), "NEURODECODE_CACHE": ""}

    def run(*command: str | Path) -> None:
        print("$", " ".join(map(str, command)), flush=True)
        subprocess.run(list(map(str, command)), cwd=home, env=environment, check=True)

    home.mkdir(parents=True)
    run(sys.executable, "-m", "venv", folder / "env")
    install = (python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt")
    run(*install, wheel)
    shutil.copy(ROOT / "release" / "core_only.py", home)
    run(python, "core_only.py", "--installed", folder / "env")
    run(*install, f"{wheel}[vision]")
    command = python.with_name("neurodecode")
    run(command, "--help")
    if demo:
        run(command, "demo", "--out", "demo")
        run(command, "info", "demo/weight_map.nc")
        run(command, "methods", "demo/weight_map.nc")


def main() -> int:
    """Build, look, and say sizes; exit with 1 where something is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="an empty or absent folder")
    parser.add_argument(
        "--no-isolation", action="store_true", help="with the hatchling that is installed here"
    )
    parser.add_argument("--alone", type=Path, metavar="FOLDER", help="install it in a new environment there")
    parser.add_argument(
        "--demo", action="store_true", help="with --alone: run the demo too (ten minutes and more)"
    )
    args = parser.parse_args()
    if args.out.is_dir() and any(args.out.iterdir()):
        parser.error(
            f"{args.out} is not empty; what lies in it may be of another version: delete it, or name another by --out"
        )
    if args.demo and not args.alone:
        parser.error("--demo runs in the environment that --alone FOLDER makes; give that too")
    if args.alone and any((args.alone / name).exists() for name in ("env", "elsewhere")):
        parser.error(f"{args.alone} has an environment already; delete it, or name another folder by --alone")
    if find_spec("build") is None:
        parser.error(f"the package build is not installed here; {sys.executable} -m pip install build")
    build(ROOT, args.out, isolated=not args.no_isolation)
    wheel, archive = only(args.out, "*.whl"), only(args.out, "*.tar.gz")
    found = wheel_faults(wheel_sizes(wheel), wheel.stat().st_size)
    found += sdist_faults(sdist_sizes(archive), archive.stat().st_size)
    if (ROOT / ".git").exists():
        found += missing(wheel_sizes(wheel), wheel=True) + missing(sdist_sizes(archive), wheel=False)
    with tempfile.TemporaryDirectory() as folder:
        build(ROOT, Path(folder), what=("--wheel",), isolated=not args.no_isolation)
        differ = differences(wheel, only(Path(folder), "*.whl"))
        found += [f"{n}: the wheel of the archive and that of the tree differ" for n in differ]
    for path, sizes in ((wheel, wheel_sizes(wheel)), (archive, sdist_sizes(archive))):
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, {len(sizes)} files")
    print("\n".join(found) or "nothing wrong", flush=True)
    if args.alone and found:
        print("not installed: mend these first")
    elif args.alone:
        alone(wheel.resolve(), args.alone.resolve(), demo=args.demo)
    return bool(found)


def _too_large(packed: int, limit: int) -> list[str]:
    return [f"{packed / 1e6:.1f} MB packed, at most {limit}"] if packed > limit * 1e6 else []


if __name__ == "__main__":
    sys.exit(main())
