"""Peak memory of ``neurodecode prepare`` on a dataset's folder and on one ten times its size.

    python bench/prepare.py                  NSD betas, raw THINGS-EEG2, THINGS-MEG epochs
    python bench/prepare.py things-meg --small 200

The folders are simulated in the published layouts (tests/trees); every preparation runs in a process of its own. Below
some 0.3 GB of trials the peak still grows: with them, up to the blocks that are held at a time.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONCEPTS = 30
# Pages of mapped files are not counted: the system takes them back when it needs them.
CHILD = """
import re, sys, threading, time
from neurodecode import cli
most, done = [0], threading.Event()
def watch():
    while not done.is_set():
        most[0] = max(most[0], int(re.search("RssAnon:[^0-9]*([0-9]+)", open("/proc/self/status").read())[1]))
        time.sleep(0.003)
thread = threading.Thread(target=watch)
thread.start()
status = cli.main(sys.argv[1:])
done.set()
thread.join()
assert status == 0
print(most[0])
"""


def main() -> None:
    args = arguments()
    sys.path.insert(0, str(ROOT))
    for name in args.datasets or list(DATASETS):
        build, options, small = DATASETS[name]
        peaks = []
        for times in (1, 10):
            with tempfile.TemporaryDirectory() as folder:
                root = Path(folder) / "tree"
                build(root, times * (args.small or small))
                size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
                begun = time.perf_counter()
                peaks.append(peak(name, root, Path(folder) / "out.zarr", options))
                seconds = time.perf_counter() - begun
                disk = f"{size / 2**20:7.0f} MiB on disk"
                print(f"{name}: {disk}, {seconds:6.1f} s, peak {peaks[-1]:6.0f} MiB", flush=True)
        print(f"{name}: peak of ten times as much over that of once: {peaks[1] / peaks[0]:.2f}")


def peak(name: str, root: Path, out: Path, options: tuple[str, ...]) -> float:
    """MiB that a preparation held at most, with all that is imported."""
    words = ["prepare", name, "--root", str(root), "--subject", "1", "--out", str(out), *options]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *words], cwd=ROOT, check=True, capture_output=True, text=True
    )
    shutil.rmtree(out)
    return int(done.stdout.split()[-1]) / 1024


def nsd(root: Path, sessions: int) -> None:
    """Sessions of 750 trials."""
    from tests.trees import _nsd

    _nsd.NSD_GRID = (24, 25, 20)
    _nsd.nsd(root, sessions=sessions)


def things_eeg(root: Path, pictures: int) -> None:
    """Two sessions whose length grows with the pictures."""
    from tests import trees

    each = max(1, pictures // CONCEPTS)
    trees.things_eeg_raw(root, concepts=(CONCEPTS, CONCEPTS), each=each, showings=(2, each))


def things_meg(root: Path, concepts: int) -> None:
    """Three sessions, one picture of every concept in each."""
    from tests import trees

    trees.things_meg(root, concepts=concepts, tests=10, sessions=3)


DATASETS: dict[str, tuple[Callable[[Path, int], None], tuple[str, ...], int]] = {
    "nsd": (nsd, (), 2),
    "things-eeg": (things_eeg, (), 900),
    "things-meg": (things_meg, ("--window", "-0.1", "1.3"), 150),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="*", choices=[*DATASETS, []], help="some of them; all by default")
    parser.add_argument("--small", type=int, help="sessions, pictures or concepts of the smaller folder")
    return parser.parse_args()


if __name__ == "__main__":
    main()
