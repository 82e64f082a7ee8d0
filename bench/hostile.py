"""Say of broken files of every kind whether they are refused, read whole, or read wrong.

    python bench/hostile.py                      # about 200 flips and 40 cuts a kind
    python bench/hostile.py --flips 1000 --only netCDF --seed 1

Every case runs in a process of its own, so that a crash, a hang or a bomb is seen and counted. Of what is read, values,
labels and attributes are compared with those of the whole file. Small files in the published layouts, simulated.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.hostile_kinds import Kind, kinds, quietly

OUTCOMES = ("refused", "equal", "altered", "bare", "crashed", "hung")
PACKAGE = str(Path(__file__).resolve().parents[1] / "neurodecode")
# What a child may take beyond what it had: a header that promises more must not get it.
MEMORY = 3 * 2**30
SECONDS = 30.0


@dataclass(frozen=True)
class Outcome:
    """What became of one case; ``said`` is the error, or the signal."""

    what: str
    said: str = ""


@dataclass(frozen=True)
class Damage:
    """What is done to a file: ``how`` is cut, flip, zeros or replaced; ``at`` a byte; ``by`` a bit or a length."""

    how: str
    at: int = 0
    by: int = 0
    content: bytes = b""

    def __str__(self) -> str:
        return f"{self.how} {self.content[:8]!r}" if self.content else f"{self.how} at {self.at} ({self.by})"

    def __call__(self, whole: bytes) -> bytes:
        """The damaged copy."""
        if self.how == "cut":
            return whole[: self.at]
        if self.how == "zeros":
            return whole[: self.at] + bytes(min(self.by, len(whole) - self.at)) + whole[self.at + self.by :]
        if self.how == "flip":
            copy = bytearray(whole)
            copy[self.at] ^= 1 << self.by
            return bytes(copy)
        return self.content


# Whatever reads it as code would end the process with a status that a table shows.
PICKLE = b"\x80\x04\x8c\x05posix\x8c\x05_exit\x93K\x2a\x85R."


def damages(size: int, *, flips: int, cuts: int, rng: np.random.Generator) -> Iterator[Damage]:
    """Cuts, flipped bits (half of them within 4 KiB of either end, where formats keep their structure), others."""
    for at in sorted({0, 1, size - 1, *np.linspace(2, max(2, size - 1), cuts).astype(int).tolist()}):
        yield Damage("cut", at)
    for i in range(flips):
        at = int(rng.integers(size))
        if i % 2:
            at = int(rng.integers(min(size, 4096)))
            at = at if rng.random() < 0.7 else size - 1 - at
        yield Damage("flip", at, int(rng.integers(8)))
    for _ in range(cuts // 4):
        yield Damage("zeros", int(rng.integers(size)), 1 + int(rng.integers(256)))
    for content in (b"not what it should be\n", rng.bytes(max(16, min(size, 5000))), PICKLE):
        yield Damage("replaced", content=content)


def attempts(
    kind: Kind, folder: Path, path: Path, whole: str, cases: list[Damage], *, seconds: float = SECONDS
) -> list[Outcome]:
    """Damage a file in each way and read, in child processes; one that dies is followed by another."""
    found: list[Outcome] = []
    content = path.read_bytes()
    while len(found) < len(cases):
        path.write_bytes(content)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _child(kind, folder, path, whole, cases[len(found) :], writer)
        os.close(writer)
        with os.fdopen(reader, "rb", buffering=0) as lines:
            while (said := _line(lines, seconds)) and len(found) < len(cases):
                found.append(Outcome(*json.loads(said)))
        if len(found) < len(cases):
            found.append(_death(child, hung=said is None))
        else:
            os.waitpid(child, 0)
    return found


def _line(stream: io.FileIO, seconds: float) -> bytes | None:
    """Next line of a child; nothing if it ended, None if it does not come."""
    said, deadline = b"", time.monotonic() + seconds
    while not said.endswith(b"\n"):
        ready, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return None
        part = os.read(stream.fileno(), 1)
        if not part:
            return b""
        said += part
    return said


def _death(child: int, *, hung: bool) -> Outcome:
    if hung:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return Outcome("hung")
    _, status = os.waitpid(child, 0)
    name = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"status {status}"
    return Outcome("crashed", name)


def _child(kind: Kind, folder: Path, path: Path, whole: str, cases: list[Damage], writer: int) -> None:
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.disable()  # a test runner's would tell of a crash that is counted
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    names = sorted({folder.name, *(p.name for p in folder.rglob("*"))})
    content = path.read_bytes()
    for case in cases:
        path.unlink()  # a library that left the last one open must not see this one in it
        path.write_bytes(case(content))
        try:
            found = ("equal", "") if quietly(kind, folder) == whole else ("altered", "")
        except BaseException as error:  # all that can come is what is asked
            found = _refusal(error, names)
        os.write(writer, json.dumps(found).encode() + b"\n")
    os._exit(0)


def _refusal(error: BaseException, names: list[str]) -> tuple[str, str]:
    """Whether an error is one of ours: raised in the package, of the agreed kinds, and naming the file."""
    *_, (frame, number) = traceback.walk_tb(error.__traceback__)
    where = frame.f_code.co_filename
    ours = where.startswith(PACKAGE)
    agreed = isinstance(error, ValueError | OSError | MemoryError)
    named = any(name in str(error) for name in names)
    said = f"{type(error).__name__} at {where}:{number}: {str(error)[:300]}"
    return ("refused" if ours and agreed and named else "bare"), said


def campaign(kind: Kind, folder: Path, *, flips: int, cuts: int, seed: int) -> list[tuple[str, str, Outcome]]:
    """Damage the files of one kind in turn; returns (file, damage, outcome) of every case."""
    files = kind.make(folder)
    whole = quietly(kind, folder)
    found = []
    share = max(1, flips // len(files)), max(4, cuts // len(files))
    for number, path in enumerate(files):
        rng = np.random.default_rng([seed, number])
        content = path.read_bytes()
        every = damages(len(content), flips=share[0], cuts=share[1], rng=rng)
        cases = [case for case in every if case(content) != content]
        try:
            outcomes = attempts(kind, folder, path, whole, cases)
        finally:
            path.write_bytes(content)
        found += [(path.name, str(case), outcome) for case, outcome in zip(cases, outcomes, strict=True)]
    if quietly(kind, folder) != whole:
        raise RuntimeError(f"reading damaged files of {kind.name} changed something in the folder")
    return found


def line(kind: Kind, found: list[tuple[str, str, Outcome]]) -> str:
    """One row of the table."""
    counts = Counter(outcome.what for _, _, outcome in found)
    cells = [kind.name, kind.guard or "none", str(len(found)), *(str(counts[what]) for what in OUTCOMES)]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--flips", type=int, default=200, help="flipped bits a kind")
    parser.add_argument("--cuts", type=int, default=40, help="truncations a kind")
    parser.add_argument("--only", default="", help="kinds whose name holds this")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--show", action="store_true", help="print every case that was not refused and not equal"
    )
    args = parser.parse_args()
    print(
        f"| kind | checksum | tried | {' | '.join(OUTCOMES)} |\n|{'---|' * (3 + len(OUTCOMES))}", flush=True
    )
    for kind in kinds():
        if args.only.lower() not in kind.name.lower():
            continue
        folder = Path(tempfile.mkdtemp(prefix="hostile"))
        try:
            found = campaign(kind, folder, flips=args.flips, cuts=args.cuts, seed=args.seed)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(line(kind, found), flush=True)
        if args.show:
            seen: Counter[str] = Counter()
            for name, damage, outcome in found:
                key = outcome.what + outcome.said.split(": ")[0]
                seen[key] += 1
                if outcome.what not in ("refused", "equal") and seen[key] <= 3:
                    print(f"    {name}, {damage}: {outcome.what} {outcome.said}", file=sys.stderr)


if __name__ == "__main__":
    main()
