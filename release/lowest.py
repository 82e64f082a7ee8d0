"""Run the tests on the lowest versions that pyproject.toml allows: every `>=x` becomes `==x`.

    python release/lowest.py                                # print the constraints
    python release/lowest.py --env .venv-lowest             # install them (about 7 GB with CUDA's torch), run all tests
    python release/lowest.py --env .venv-lowest tests/test_ridge.py

What the requirements need in turn is the newest that fits, as pip takes it. Where a floor cannot be installed, or a
test fails on it, the floor is wrong: raise it in pyproject.toml and environment.yml, and say why in the commit.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]


def floors(project: Mapping[str, Any], *, leave_out: Sequence[str] = ()) -> list[str]:
    """Lines ``name==lowest`` of a project's requirements and those of its extras but ``leave_out``.

    Raises
    ------
    ValueError
        If a requirement has no lowest version.
    """
    lines = list(project["dependencies"])
    for extra, requirements in project["optional-dependencies"].items():
        if extra not in ("all", *leave_out):
            lines += requirements
    found = []
    for requirement in map(Requirement, lines):
        lowest = [s.version for s in requirement.specifier if s.operator == ">="]
        if len(lowest) != 1:
            raise ValueError(f"{requirement.name} has no lowest version (>=) in pyproject.toml")
        found.append(f"{requirement.name}=={lowest[0]}")
    return found


def main() -> int:
    """Print the constraints, or install them and run tests; return pytest's status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", type=Path, metavar="FOLDER", help="a virtual environment, made if absent")
    parser.add_argument("--leave-out", nargs="*", default=(), metavar="EXTRA", help="extras not to install")
    parser.add_argument("tests", nargs="*", default=["tests"], help="for pytest; all by default")
    args = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = floors(project, leave_out=args.leave_out)
    if args.env is None:
        print("\n".join(lines))
        return 0
    python = args.env.resolve() / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(args.env)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, *lines], check=True)
    subprocess.run([*install, "--no-deps", "--editable", str(ROOT)], check=True)
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    environment = {**os.environ, **one_thread, "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
    # old versions warn of what newer ones mended
    command = [str(python), "-m", "pytest", "-q", "-n", "2", "-W", "default", *args.tests]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
