"""A command that is told to stop leaves in order: what is half made is removed, and it says what was kept."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# What clusters, terminals that close and limits of processor time send; Ctrl-C (SIGINT) is Python's own.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGXCPU") if hasattr(signal, name))
KEEPING = ("prepare", "features", "reconstruct")


class Stopped(KeyboardInterrupt):
    """The process was told to stop; libraries take it as they take Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise :class:`Stopped` when told to stop, once; told again, the process ends at once.

    Signals that are ignored (nohup) or that somebody else handles stay as they are.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [s for s in SIGNALS if signal.getsignal(s) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise Stopped(number)


def said(stop: KeyboardInterrupt, args: argparse.Namespace) -> tuple[str, int]:
    """Return what is told of a stop, and the exit status that shells use for it."""
    number = stop.number if isinstance(stop, Stopped) else int(signal.SIGINT)
    name = "Ctrl-C (SIGINT)" if number == signal.SIGINT else signal.Signals(number).name
    resume = vars(args).get("resume")
    if args.command in KEEPING or resume is not None:
        kept = "what was finished is kept, and the same command goes on from there"
    elif "resume" in vars(args):
        kept = "nothing was kept; with --resume FOLDER finished pieces are, and the same command goes on from them"
    else:
        kept = "nothing half-written was left; run it again"
    return f"stopped by {name}; {kept}", 128 + number
