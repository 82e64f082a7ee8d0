"""How long `import neurodecode` takes, and which heavy libraries it (or any of its modules) loads.

Run it: prints the numbers and exits with 1 where a limit is broken. tests/test_import.py uses the same functions.
"""

from __future__ import annotations

import json
import subprocess
import sys

LIMIT_S = 0.5
TRIES = 5
# imported inside the functions that need them, never at import (cortex is pycortex's import name)
HEAVY = (
    "cortex",
    "diffusers",
    "himalaya",
    "matplotlib",
    "mne",
    "nilearn",
    "open_clip",
    "rsatoolbox",
    "torch",
    "torchvision",
    "transformers",
)

TIMED = """
import sys, time
start = time.perf_counter()
import neurodecode
print(time.perf_counter() - start)
"""

LOADED = """
import json, sys
import neurodecode
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""

EVERY_MODULE = """
import importlib, json, pkgutil, sys
import neurodecode
names = [m.name for m in pkgutil.walk_packages(neurodecode.__path__, "neurodecode.") if not m.name.endswith("__main__")]
scripts = ("neurodecode.analyses", "neurodecode.figures")  # in a wheel: scripts, not modules
heavy = set(json.loads(sys.argv[1]))
loaded = {}
for name in names:
    if name.startswith(scripts):
        continue
    importlib.import_module(name)
    new = heavy & set(sys.modules)
    if new:
        loaded[name] = sorted(new)
        heavy -= new
print(json.dumps(loaded))
"""


def fresh(code: str, *args: str) -> str:
    """Run ``code`` in a fresh interpreter, which knows nothing of what this one loaded, and return what it printed."""
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the fresh interpreter failed:\n{done.stderr}")
    return done.stdout


def best_time(tries: int = TRIES) -> float:
    """Shortest of several times (s) of ``import neurodecode``: the machine's other work only ever adds."""
    return min(float(fresh(TIMED)) for _ in range(tries))


def heavy_loaded() -> list[str]:
    """Heavy libraries that ``import neurodecode`` loads; should be none."""
    return sorted(set(HEAVY) & set(json.loads(fresh(LOADED))))


def heavy_loaded_by_modules() -> dict[str, list[str]]:
    """Import every module of the package, one after another, and say which was first to load what; should be empty."""
    return json.loads(fresh(EVERY_MODULE, json.dumps(HEAVY)))


def main() -> int:
    seconds, direct, by_module = best_time(), heavy_loaded(), heavy_loaded_by_modules()
    print(f"import neurodecode: {seconds:.3f} s, best of {TRIES} (limit {LIMIT_S} s)")
    print(f"heavy libraries loaded by it: {', '.join(direct) or 'none'}")
    for module, names in by_module.items():
        print(f"heavy libraries loaded by importing {module}: {', '.join(names)}")
    return int(seconds > LIMIT_S or bool(direct) or bool(by_module))


if __name__ == "__main__":
    raise SystemExit(main())
