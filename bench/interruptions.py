"""Long runs that are killed, starved of disk, begun twice and given a wrong clock end as if undisturbed.

    python bench/interruptions.py                       100 kills over seven commands: some 6 min of processor time
    python bench/interruptions.py --kills 20 sweep      fewer, of one
    python bench/interruptions.py --kills 5 "null of a sweep" "permuted map"

Each command of bench/small_jobs.py is run once undisturbed. Then it is begun in a new folder, struck one to three
times at random moments of its work, begun again after each, and let finish; every file of the folder must then have
the bytes of the undisturbed run's, and there must be no other file. Strokes are SIGKILL, SIGTERM and SIGINT, half of
them at a random share of the run's processor time, half just when a temporary file is there. In every third trial the
clock is off by up to ten years, another way in every run, and the files' times with it. Then, for each command: a disk
that somebody fills in the middle (and empties), a read-only folder, and two runs at once, of which one may be killed.

Processes are forked from one that has imported the libraries, and are really killed. SOURCE_DATE_EPOCH is set, so that
the dates in results are equal. Needs Linux or another system with fork, and the extras vision and scale. Disks are
mounted, which needs root; without it those columns stay empty, and it is said. Everything is simulated. Leaves
results/interruptions.csv, with what was said, and .md (see --out), and exits with 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from small_jobs import JOBS, Job, warm

from neurodecode.vision import _backends

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
ODDS = (0.5, 0.3, 0.2)
DECADE = 10 * 365 * 24 * 3600.0
DISK = 64  # MiB
# Trials without a kill, a kill asked for, from which on a command ends too fast to be struck.
PATIENCE = 10
Files = dict[str, str]


@dataclass
class Found:
    """What happened to one command."""

    job: str
    kills: int = 0
    signals: Counter[str] = field(default_factory=Counter)
    in_write: int = 0
    resumed: int = 0
    trials: int = 0
    equal: int = 0
    made_again: int = 0
    left_by_stop: int = 0
    leftovers: int = 0
    full_disk: str = ""
    read_only: str = ""
    two_at_once: str = ""
    wrong: list[str] = field(default_factory=list)

    @property
    def losses(self) -> int:
        """Ends that differ, and finished pieces that were made again."""
        return self.trials - self.equal + self.made_again


class Bench:
    """A command's inputs, its undisturbed end, and the processes that run it."""

    def __init__(self, job: Job, folder: Path, draw: random.Random) -> None:
        self.job, self.folder, self.draw = job, folder, draw
        self.inputs = folder / "inputs"
        self.inputs.mkdir(parents=True)
        self.log = folder / "log"
        self._must(lambda: job.make(self.inputs))
        whole = self.fresh()
        self.processor = self._must(lambda: job.run(self.inputs, whole))
        self.start_up = self._must(lambda: job.run(self.inputs, whole))
        self.whole = digests(whole)

    def fresh(self) -> Path:
        """Return a new folder to write into."""
        return Path(tempfile.mkdtemp(dir=self.folder, prefix="out-"))

    def _must(self, function: Callable[[], object]) -> float:
        pid = fork(function, self.log)
        _, status, used = os.wait4(pid, 0)
        if status:
            raise RuntimeError(f"{self.job.name}, undisturbed, ended with {status}: {self.words()}")
        return used.ru_utime + used.ru_stime

    def begin(self, out: Path, *, clock: float = 0.0) -> int:
        """Begin the command; its number as a process."""
        self.log.write_text("")
        return fork(lambda: self.job.run(self.inputs, out), self.log, clock=clock)

    def finish(self, out: Path, *, clock: float = 0.0) -> int:
        """Run the command to its end."""
        return ended(self.begin(out, clock=clock))

    def words(self) -> str:
        """Return what was said last."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else ""


# ---------------------------------------------------------------- processes


def fork(function: Callable[[], object], log: Path | None, *, clock: float = 0.0) -> int:
    """Call a function in a process of its own, whose clock is off by so many seconds; what it says goes to a file."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        if log is not None:
            stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(stream, 1)
            os.dup2(stream, 2)
            # Not before the fork: torch would make its pool of threads anew here, and two threads that ask for it at
            # once may then find none.
            _backends.torch().set_num_threads(1)
        right = time.time
        time.time = lambda: right() + clock
        status = int(function() or 0)
    except KeyboardInterrupt:
        status = 130
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def ended(pid: int) -> int:
    """Wait for a process; its exit status, or less than 0 for the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def used(pid: int) -> float | None:
    """Processor time of a process; None where it has ended."""
    try:
        process = psutil.Process(pid)
        times = process.cpu_times()
        return None if process.status() == psutil.STATUS_ZOMBIE else times.user + times.system
    except psutil.NoSuchProcess:
        return None


def reached(pid: int, moment: float) -> bool:
    """Wait until a process has used so much processor time; False if it ends before."""
    while (now := used(pid)) is not None:
        if now >= moment:
            return True
        time.sleep(0.002)
    return False


def is_writing(pid: int, out: Path, skip: int) -> bool:
    """Wait until a temporary file is there, after so many others; False if the process ends before."""
    seen: set[str] = set()
    turn = 0
    while len(seen) <= skip:
        seen.update(temporary(out))
        turn += 1
        if turn % 20 == 0 and used(pid) is None:
            return False
        time.sleep(0.0002)
    return True


# ---------------------------------------------------------------- files


def files(folder: Path) -> Iterator[Path]:
    """Every file below a folder; what vanishes meanwhile is passed over."""
    for here, _, names in os.walk(folder):
        yield from (Path(here) / name for name in names)


def temporary(folder: Path) -> list[str]:
    """Names of files that are there only until something is whole."""
    return [p.name for p in files(folder) if p.suffix in (".part", ".partial", ".tmp")]


def digests(folder: Path) -> Files:
    """SHA-256 of every file, and every folder that is empty."""
    found = {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files(folder)}
    empty = [p for p in folder.rglob("*") if p.is_dir() and not any(p.iterdir())]
    return found | {str(p.relative_to(folder)): "empty" for p in empty}


def finished(folder: Path) -> dict[str, int]:
    """Pieces that are whole, by the number of their file."""
    return {str(p): p.stat().st_ino for p in files(folder) if p.parent.name == "pieces" and p.suffix == ".nc"}


def shift_times(folder: Path, draw: random.Random) -> None:
    """Give every file some time of twenty years."""
    for path in files(folder):
        then = time.time() + draw.uniform(-DECADE, DECADE)
        os.utime(path, (then, then))


def differences(found: Files, whole: Files) -> list[str]:
    """Names that only one has, or that differ."""
    return sorted(k for k in found.keys() | whole.keys() if found.get(k) != whole.get(k))


# ---------------------------------------------------------------- kills


def trial(bench: Bench, found: Found, most: int) -> None:
    """Strike one run up to ``most`` times, let it finish, and look at its end."""
    draw = bench.draw
    jumps = draw.random() < 1 / 3
    out = bench.fresh()
    for _ in range(min(most, draw.randint(1, 3))):
        if not strike(bench, found, out, jumps):
            break
    clock = draw.uniform(-DECADE, DECADE) if jumps else 0.0
    before = finished(out)
    status = bench.finish(out, clock=clock)
    after = finished(out)
    differ = differences(digests(out), bench.whole)
    found.trials += 1
    found.made_again += sum(after.get(name) != number for name, number in before.items())
    found.leftovers += len(temporary(out)) + sum(name not in bench.whole for name in differ)
    if status or differ:
        found.wrong.append(f"status {status}, {len(differ)} files differ: {differ[:3]}; {bench.words()}")
    else:
        found.equal += 1
        shutil.rmtree(out)


def strike(bench: Bench, found: Found, out: Path, jumps: bool) -> bool:
    """Begin the run and send it a signal; False if it had ended before."""
    draw = bench.draw
    before = finished(out)
    pid = bench.begin(out, clock=draw.uniform(-DECADE, DECADE) if jumps else 0.0)
    in_write = draw.random() < 0.5
    if in_write:
        struck = is_writing(pid, out, draw.choice((0, 1, 2, 4, 8, 16)))
    else:
        struck = reached(pid, draw.uniform(0.7 * bench.start_up, bench.processor))
    (kind,) = draw.choices(SIGNALS, ODDS)
    if struck:
        os.kill(pid, kind)
    status = ended(pid)
    if not struck or status == 0:
        return False
    found.kills += 1
    found.signals[kind.name] += 1
    found.in_write += in_write
    after = finished(out)
    found.made_again += sum(after.get(name) != number for name, number in before.items())
    found.resumed += any(files(out))
    if kind != signal.SIGKILL and status > 0:  # it was told, and had time to tidy up
        found.left_by_stop += len(temporary(out))
    if status not in (-kind, 128 + kind):
        found.wrong.append(f"{kind.name} ended it with status {status}: {bench.words()}")
    if jumps:
        shift_times(out, draw)
    return True


# ---------------------------------------------------------------- disks and neighbours


@contextmanager
def disk(folder: Path, *options: str) -> Iterator[Path]:
    """Mount a small disk in memory."""
    folder.mkdir(exist_ok=True)
    size = f"size={DISK}m"
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", ",".join([size, *options]), "tmpfs", str(folder)],
        check=True,
        capture_output=True,
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def may_mount(folder: Path) -> bool:
    """Whether this user may mount a disk."""
    try:
        with disk(folder):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def fill(folder: Path) -> Path:
    """Take all room that is left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as stream:
        for size in (1 << 20, 1 << 12):
            try:
                while stream.write(bytes(size)):
                    pass
            except OSError:
                continue
    return filler


def full_disk(bench: Bench) -> tuple[str, bool]:
    """Somebody fills the disk in the middle; room is made, and the run goes on."""
    # A machine that is less busy than it was needs less processor time: each try may come earlier than the last.
    latest = bench.processor
    for _ in range(8):
        latest = max(0.85 * latest, bench.start_up)
        with disk(bench.folder / "disk") as here:
            out = here / "out"
            out.mkdir()
            pid = bench.begin(out)
            reached(pid, bench.draw.uniform(0.9 * bench.start_up, latest))
            filler = fill(here)
            status = ended(pid)
            words, left = bench.words(), temporary(out)
            filler.unlink()
            if status == 0:
                continue  # it had nothing to write any more
            wrong = [*left, *([] if "Make free space" in words else ["words"])]
            wrong += [bench.words()] if bench.finish(out) else differences(digests(out), bench.whole)
            return said(words, bench, wrong), not wrong
    return "never in time", False


def read_only(bench: Bench) -> tuple[str, bool]:
    """A folder that cannot be written to is refused before the work."""
    with disk(bench.folder / "disk", "ro") as here:
        pid = bench.begin(here)
        _, status, spent = os.wait4(pid, 0)
    share = (spent.ru_utime + spent.ru_stime) / bench.start_up
    right = os.waitstatus_to_exitcode(status) in (1, 2) and "read-only" in bench.words() and share < 1
    return said(bench.words(), bench, [] if right else [f"status {status}, {share:.0%} of a start"]), right


def two_at_once(bench: Bench) -> tuple[str, bool]:
    """Two runs in one folder; then two of which one is killed, and a third."""
    told, wrong = [], []
    for kill in (False, True):
        out = bench.fresh()
        first = bench.begin(out)
        time.sleep(bench.draw.uniform(0, 0.05))
        second = bench.begin(out)
        if kill and reached(first, bench.draw.uniform(0.7 * bench.start_up, 0.9 * bench.processor)):
            os.kill(first, signal.SIGKILL)
        statuses = sorted((ended(first), ended(second)))
        refused = "another process is making" in bench.log.read_text(errors="replace")
        if kill:
            bench.finish(out)  # what the killed one left is removed by the next
        wrong += differences(digests(out), bench.whole)
        wrong += [
            f"status {s}" for s in statuses if s not in (0, -signal.SIGKILL) and not (s == 2 and refused)
        ]
        told.append(f"{statuses}{', the second refused' if refused else ''}")
    return said("; ".join(told), bench, wrong), not wrong


def said(words: str, bench: Bench, wrong: list[str]) -> str:
    """Words without the folder's name, and what was wrong."""
    return words.replace(str(bench.folder), "...") + (f" WRONG: {wrong[:4]}" if wrong else "")


# ---------------------------------------------------------------- the campaign


def campaign(job: Job, kills: int, folder: Path, draw: random.Random, *, more: bool = True) -> Found:
    """Kills of one command and, if asked for, disks and neighbours."""
    found = Found(job.name)
    bench = Bench(job, folder, draw)
    while found.kills < kills and len(found.wrong) < 5:
        if found.trials - found.kills >= PATIENCE * kills:
            found.wrong.append(f"only {found.kills} of {kills} strokes came before the end of a run")
            break
        trial(bench, found, kills - found.kills)
        print(
            f"{job.name}: {found.kills} of {kills} kills, {found.equal} of {found.trials} ends equal",
            flush=True,
        )
    tests: dict[str, Callable[[Bench], tuple[str, bool]]] = {"two_at_once": two_at_once} if more else {}
    if more and may_mount(folder / "disk"):
        tests |= {"full_disk": full_disk, "read_only": read_only}
    elif more:
        print(f"{job.name}: no full and no read-only disk, which only root may mount", flush=True)
    for name, test in tests.items():
        words, right = test(bench)
        setattr(found, name, words)
        if not right:
            found.wrong.append(f"{name}: {words}")
    return found


HEAD = ("command", "kills", *(s.name for s in SIGNALS), "in a write", "resumed", "trials", "byte-equal ends", "losses",
        "left by a stop", "left at the end", "full disk", "read-only", "two at once")  # fmt: skip


def row(found: Found) -> list[object]:
    """One line of the table."""
    counts = (found.kills, *(found.signals[s.name] for s in SIGNALS), found.in_write, found.resumed)
    ends = (found.trials, found.equal, found.losses, found.left_by_stop, found.leftovers)
    return [found.job, *counts, *ends, found.full_disk, found.read_only, found.two_at_once]


def written(rows: list[list[object]], stem: Path) -> str:
    """Write the table as CSV and Markdown; the latter without what was said."""
    total = ["all", *(sum(int(str(r[i])) for r in rows) for i in range(1, 12)), "", "", ""]
    stem.parent.mkdir(parents=True, exist_ok=True)
    with stem.with_suffix(".csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([HEAD, *rows, total])
    lines = [HEAD[:12], ["---"] * 12, *(r[:12] for r in [*rows, total])]
    text = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"
    stem.with_suffix(".md").write_text(text)
    return text


def in_turn(
    jobs: list[Job], args: argparse.Namespace, base: Path
) -> Iterator[tuple[list[object], list[str]]]:
    """Go through commands, each in a process of its own; yield its line of the table and what was wrong."""
    running: dict[int, Path] = {}
    for i, job in enumerate(jobs):
        some = args.kills // len(jobs) + (i < args.kills % len(jobs))
        result = base / f"{i}.json"

        def one(job: Job = job, some: int = some, i: int = i, result: Path = result) -> None:
            draw = random.Random(f"{args.seed} {job.name}")
            found = campaign(job, some, base / f"job-{i}", draw, more=not args.kills_only)
            result.write_text(json.dumps([row(found), [f"{job.name}: {words}" for words in found.wrong]]))

        running[fork(one, None)] = result
        while len(running) >= args.at_once or (running and i == len(jobs) - 1):
            pid, _ = os.wait()
            done = running.pop(pid)
            broke: tuple[list[object], list[str]] = ([], ["the process of a command broke: see above"])
            yield json.loads(done.read_text()) if done.exists() else broke


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("jobs", nargs="*", help=f"of {', '.join(repr(j.name) for j in JOBS)}; all")
    parser.add_argument("--kills", type=int, default=100, help="in all")
    parser.add_argument("--kills-only", action="store_true", help="no full disks, and no two runs at once")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=1, help="commands that are looked at in parallel")
    parser.add_argument("--out", type=Path, default=Path("results/interruptions"))
    args = parser.parse_args()
    unknown = [name for name in args.jobs if name not in (j.name for j in JOBS)]
    if unknown:
        parser.error(f"there is no command {unknown[0]!r}; there are {', '.join(repr(j.name) for j in JOBS)}")
    if args.kills < 0 or args.at_once < 1:
        parser.error(
            f"--kills must be 0 or more and --at-once 1 or more, got {args.kills} and {args.at_once}"
        )
    os.environ.setdefault("SOURCE_DATE_EPOCH", "1700000000")
    jobs = [j for j in JOBS if not args.jobs or j.name in args.jobs]
    warm()
    rows, wrong = [], []
    with tempfile.TemporaryDirectory(prefix="interruptions-") as base:
        for one, bad in in_turn(jobs, args, Path(base)):
            rows += [one] if one else []
            wrong += bad
            print(*(f"{k}: {v}" for k, v in zip(HEAD, one, strict=False)), *bad, sep="\n  ", flush=True)
    order = [j.name for j in jobs]
    print(written(sorted(rows, key=lambda r: order.index(str(r[0]))), args.out))
    print(f"wrong: {len(wrong)}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
