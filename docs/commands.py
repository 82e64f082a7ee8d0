"""Hold every command line of a page against the program that it names, without running it.

``neurodecode ...``, ``python script.py ...`` and ``python -m module ...`` are started up to the point where they have
parsed their options: an option that does not exist, a value that is none of the choices, a required one that is
missing, and a script that is not there are faults. Targets of ``make``, files of ``pytest`` and extras of
``pip install`` must exist.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import runpy
import shlex
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

from pages import ROOT, Block

KEYWORDS = {"do", "else", "if", "nohup", "srun", "then", "time", "while"}
# programs of others, which are not ours to hold
OTHERS = set(
    shlex.split(
        "[ cat cd cp done echo eval export fi git gunzip head jupyter kill lint-imports ls mkdir mv rm ruff scancel "
        "sbatch scontrol seq sleep source tail tar test touch ulimit unzip wait"
    )
)


class _Parsed(BaseException):
    """Options were parsed: enough."""


def problems(block: Block) -> list[str]:
    """One line for each fault of a block."""
    variables: dict[str, str] = {}
    faults = []
    for line, words in _commands(block):
        fault = _fault(words, variables)
        excerpt = block.language == "inline" and "are required" in (
            fault or ""
        )  # a sentence need not say all
        if fault and not excerpt:
            faults.append(f"line {line}: {shlex.join(words)}: {fault}")
    return faults


def _commands(block: Block) -> Iterator[tuple[int, list[str]]]:
    """Line and words of every simple command."""
    joined = block.code.replace("\\\n", " \0")  # \0 keeps count of the lines
    for i, text in enumerate(joined.split("\n")):
        line = block.line + i + joined[: sum(len(x) + 1 for x in joined.split("\n")[:i])].count("\0")
        lexer = shlex.shlex(text.replace("\0", ""), posix=True, punctuation_chars="&|;<>")
        lexer.whitespace_split, words = True, []
        for word in [*lexer, ";"]:
            if set(word) <= set("&|;"):
                if words:
                    yield line, words
                words = []
            else:
                words.append(word)


def _fault(words: list[str], variables: dict[str, str]) -> str | None:
    if words[0] == "for":  # the first value stands for all
        variables[words[1]] = words[3]
        return None
    while words and (words[0] in KEYWORDS or re.match(r"[A-Z_]+=", words[0])):
        words = words[1:]
    if not words or words[0].startswith("#"):
        return None
    words = [_filled(word, variables) for word in words]
    if ">" in words:
        words = words[: words.index(">")]
    program, rest = Path(words[0]).name, words[1:]
    if program in OTHERS:
        return None
    return PROGRAMS[program](rest) if program in PROGRAMS else "unknown program"


def _filled(word: str, variables: dict[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda m: variables.get(m[1], "1"), word)


def _neurodecode(words: list[str]) -> str | None:
    from neurodecode import cli

    if len(words) == 1 and not words[0].startswith("-"):
        words = [*words, "--help"]  # a command that is named, not used
    return _parse(lambda: cli.main(words), ["neurodecode", *words])


def _python(words: list[str]) -> str | None:
    if words[:1] == ["-m"]:
        return _python_module(words[1], words[2:])
    script = ROOT / words[0]
    if not script.is_file():
        return f"there is no {words[0]}"
    source = script.read_text(encoding="utf-8")
    if not re.search(r"argparse|inputs\.(figure_)?arguments\(", source):
        return "takes no options" if words[1:] and "sys.argv" not in source else None
    sys.path.insert(0, str(script.parent))
    try:
        return _parse(lambda: runpy.run_path(str(script), run_name="__main__"), [str(script), *words[1:]])
    finally:
        sys.path.remove(str(script.parent))


def _python_module(module: str, words: list[str]) -> str | None:
    if module in PROGRAMS:
        return PROGRAMS[module](words)
    if module in OTHERS:
        return None
    if not (ROOT / module.replace(".", "/")).with_suffix(".py").is_file():
        return f"there is no module {module}"
    return _parse(lambda: runpy.run_module(module, run_name="__main__"), [module, *words])


def _parse(start: Callable[[], object], argv: list[str]) -> str | None:
    """Start a program, stop it when its options are parsed, and return what its parser said against them."""
    parse_known_args = argparse.ArgumentParser.parse_known_args

    def stop(self, args=None, namespace=None):
        known, unknown = parse_known_args(self, args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        raise _Parsed

    said = io.StringIO()
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(said),
        mock.patch.object(sys, "argv", argv),
        mock.patch.object(argparse.ArgumentParser, "parse_args", stop),
    ):
        try:
            start()
        except _Parsed:
            return None
        except SystemExit as end:
            return said.getvalue().strip().split("\n")[-1] if end.code else None
    return "parses no options"


def _make(words: list[str]) -> str | None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    unknown = [w for w in words if "=" not in w and not w.startswith("-") and w not in targets]
    return f"no target {', '.join(unknown)}" if unknown else None


def _pytest(words: list[str]) -> str | None:
    files = [ROOT / w.partition("::")[0] for w in words if w.startswith("tests/")]
    missing = [str(f.relative_to(ROOT)) for f in files if not f.exists()]
    if missing:
        return f"there is no {', '.join(missing)}"
    if "-k" in words and files:
        wanted = words[words.index("-k") + 1]
        if not any(re.search(rf"def test\w*{wanted}", f.read_text()) for f in files):
            return f"no test there has {wanted!r} in its name"
    return None


def _pip(words: list[str]) -> str | None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = re.findall(r"(?:^\.|neurodecode-toolkit)\[([\w,]+)\]", "\n".join(words), re.MULTILINE)
    unknown = {e for group in extras for e in group.split(",")} - set(project["optional-dependencies"])
    missing = [
        f for f, flag in zip(words[1:], words, strict=False) if flag == "-c" and not (ROOT / f).is_file()
    ]
    if unknown:
        return f"no extra {', '.join(sorted(unknown))}"
    return f"there is no {', '.join(missing)}" if missing else None


PROGRAMS: dict[str, Callable[[list[str]], str | None]] = {
    "make": _make,
    "neurodecode": _neurodecode,
    "pip": _pip,
    "pytest": _pytest,
    "python": _python,
}
