"""The command's help teaches by example: every example parses; options are told alike; shells complete both."""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import subprocess
import sys

import pytest

from neurodecode import cli
from neurodecode.cli import completion

PARSER = cli._parser()
PLACES = dict(completion._walk(completion._place("", PARSER)))
COMMANDS = [words for words in PLACES if words]
# Options that are the same thing wherever they stand.
ALIKE = (
    "--overwrite",
    "--page",
    "--device",
    "--modality",
    "--alpha",
    "--train",
    "--score",
    "--normalise",
    "--folds",
)
CHOSEN = re.compile(r"\(default: (.*?)\)", re.DOTALL)


def help_of(words: tuple[str, ...], capsys, monkeypatch) -> str:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stop:
        cli.main([*words, "--help"])
    assert stop.value.code == 0
    return capsys.readouterr().out


def examples(text: str) -> list[str]:
    """Lines of a help that show a command, those that go on over several lines joined."""
    joined = text.replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.startswith("  neurodecode ")]


def test_python_runs_the_command_where_its_folder_is_not_on_the_path(capsys, monkeypatch):
    run = [sys.executable, "-m", "neurodecode", "decode", "--help"]
    done = subprocess.run(
        run, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80"}
    )
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        cli.main(["decode", "--help"])
    assert done.stdout == capsys.readouterr().out


@pytest.mark.parametrize("words", [(), *COMMANDS], ids=" ".join)
def test_every_help_shows_examples_that_parse(words, capsys, monkeypatch):
    text = help_of(words, capsys, monkeypatch)
    shown = examples(text)
    assert len(shown) >= 2
    assert any(line.startswith(" ".join(["neurodecode", *words])) for line in shown)
    for line in shown:
        typed = shlex.split(line.split(" > ")[0], comments=True)
        if "--help" not in typed:
            assert PARSER.parse_args(typed[1:]).command == typed[1]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_is_told_in_one_style(words, capsys, monkeypatch):
    place = PLACES[words]
    for one in place.arguments:
        assert one.help, f"{one.flags} says nothing"
        assert not re.search(r"[^.]\.$", one.help), one.help
        assert not re.match("[A-Z][a-z]+ ", one.help), one.help
    text = help_of(words, capsys, monkeypatch)
    assert "%(" not in text
    for default in CHOSEN.findall(text):
        assert not re.search(r"[\[\]']|None|False", default), default


def test_a_default_of_0_is_told(capsys, monkeypatch):
    assert "(default: 0)" in " ".join(help_of(("sweep",), capsys, monkeypatch).split("--seed N")[-1].split())


def test_the_same_option_has_the_same_words():
    said: dict[str, set[str]] = {}
    for place in PLACES.values():
        for one in place.arguments:
            for flag in one.flags:
                said.setdefault(flag, set()).add(one.help)
    assert {flag: len(said[flag]) for flag in ALIKE} == dict.fromkeys(ALIKE, 1)


def test_an_option_without_words_would_be_found():
    found = completion._place("", PARSER).below["decode"].arguments
    assert {f for one in found for f in one.flags} >= {"--responses", "--regions", "--page", "--help"}


# ----------------------------------------------------------------------------------------------------- completion
def script(shell: str, capsys) -> str:
    assert cli.main(["completion", shell]) == 0
    return capsys.readouterr().out


def runner(shell: str, bare: str, tmp_path, capsys):
    """What runs code in a shell started ``bare``, in a folder with two files and a folder; the script is ../script."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(script(shell, capsys))
    here = tmp_path / "here"
    (here / "folder one").mkdir(parents=True)
    for name in ("sub-01.nc", "sub-02.nc"):
        (here / name).touch()

    def run(code: str) -> list[str]:
        done = subprocess.run(
            [shell, bare, "-c", code], cwd=here, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return [line for line in done.stdout.splitlines() if line]

    return run


@pytest.fixture
def complete(tmp_path, capsys):
    """Let bash complete words."""
    run = runner("bash", "--norc", tmp_path, capsys)

    def asked(*typed: str) -> list[str]:
        words = " ".join(map(shlex.quote, ["neurodecode", *typed]))
        code = f"source ../script; COMP_WORDS=({words}); COMP_CWORD={len(typed)}; _neurodecode\n"
        return run(code + 'printf "%s\\n" "${COMPREPLY[@]}"')

    return asked


def test_bash_completes_commands_options_choices_and_files(complete):
    assert complete("sw") == ["sweep"]
    assert complete("") == list(PLACES[()].below)
    assert complete("sweep", "--st") == ["--step"]
    assert complete("--ver") == ["--version"]
    assert complete("sweep", "--modality", "") == ["fmri", "eeg", "meg"]
    assert complete("prepare", "nsd", "--space", "fs") == ["fsaverage"]
    assert complete("prepare", "thi") == [
        "things-eeg",
        "things-eeg-published",
        "things-meg",
        "things-meg-raw",
    ]
    assert complete("completion", "") == ["bash", "zsh", "fish"]
    files = ["sub-01.nc", "sub-02.nc"]
    assert complete("decode", "--responses", "sub") == files
    assert complete("decode", "--responses", "sub-01.nc", "sub") == files
    assert complete("figure", "sub") == files
    assert complete("decode", "--resume", "") == ["folder one"]
    assert complete("decode", "--subjects", "") == []


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_bash_offers_every_option_of_every_command(complete, words):
    every = {flag for one in PLACES[words].arguments for flag in one.flags}
    assert set(complete(*words, "-")) == every


def test_a_value_is_no_command_and_an_option_ends_after_its_value(complete):
    assert complete("decode", "--out", "sweep", "--wid") == []
    assert "--regions" in complete("decode", "--modality", "eeg", "")
    assert complete("decode", "--overwrite", "--reg") == ["--regions"]


def test_zsh_runs_what_bash_runs(capsys):
    bash, zsh = script("bash", capsys), script("zsh", capsys)
    assert zsh.endswith(bash)
    assert "bashcompinit" in zsh.removesuffix(bash)


@pytest.fixture(params=["bare", "compinit"])
def complete_in_zsh(tmp_path, capsys, request):
    """Let zsh, at a terminal of its own, complete a line with Tab; return what it lists and the line."""
    pty = pytest.importorskip("pty")
    runner("zsh", "-f", tmp_path, capsys)
    # In a shell that has loaded its completion, and in one that has not; ^X prints the line as it is then.
    loaded = "autoload -Uz compinit && compinit -i; " if request.param == "compinit" else ""
    begin = (
        f"stty -echo; PS1= PROMPT_EOL_MARK= LISTMAX=0; {loaded}source ../script; "
        "said() { print -r -- $'\\n'\"[[$BUFFER]]\"; BUFFER=; }; zle -N said; bindkey '^X' said; print 'rea''dy'"
    )
    terminal, its = pty.openpty()
    home = {"HOME": str(tmp_path), "ZDOTDIR": str(tmp_path), "TERM": "dumb", "COLUMNS": "200"}
    shell = subprocess.Popen(
        ["zsh", "-f", "-i"],
        cwd=tmp_path / "here",
        env=os.environ | home,
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)

    def until(end: bytes) -> str:
        found = b""
        while end not in found:
            assert select.select([terminal], [], [], 60)[0], found
            found += os.read(terminal, 65536)
        return found.decode()

    def asked(line: str) -> tuple[str, str]:
        os.write(terminal, line.encode() + b"\t\x18")
        listed, _, typed = until(b"]]").rpartition("[[")
        return listed, typed.partition("]]")[0]

    os.write(terminal, begin.encode() + b"\n")
    until(b"ready")
    yield asked
    shell.kill()
    shell.wait()
    os.close(terminal)


def test_zsh_completes_commands_options_choices_and_files(complete_in_zsh):
    for typed, whole in (
        ("neurodecode sw", "neurodecode sweep "),
        ("neurodecode sweep --st", "neurodecode sweep --step "),
        ("neurodecode prepare nsd --space fs", "neurodecode prepare nsd --space fsaverage "),
        ("neurodecode decode --responses s", "neurodecode decode --responses sub-0"),
        ("neurodecode decode --resume f", r"neurodecode decode --resume folder\ one"),
    ):
        assert complete_in_zsh(typed)[1].rstrip("/ ") == whole.rstrip()
    listed, _ = complete_in_zsh("neurodecode sweep --modality ")
    assert re.search(r"eeg +fmri +meg", listed)


def test_fish_has_a_line_for_every_command_and_option(capsys):
    lines = script("fish", capsys).splitlines()[2:]
    count = sum(len(p.arguments) + len(p.below) for p in PLACES.values())
    assert len(lines) == count
    for line in lines:
        assert shlex.split(line.replace("\\'", ""))[:4:3] == ["complete", "-n"] or line.startswith(
            "complete -c neurodecode -n '"
        )
    assert any("-a sweep -d 'decoding accuracy over time (Fig. 9e-f)'" in line for line in lines)
    assert any("-l modality -x -a 'fmri eeg meg'" in line for line in lines)


@pytest.fixture
def complete_in_fish(tmp_path, capsys):
    """Let fish complete a line."""
    run = runner("fish", "--no-config", tmp_path, capsys)

    def asked(line: str) -> list[str]:
        offered = run(f"source ../script; complete -C {shlex.quote(line)}")
        return [one.split("\t")[0] for one in offered]

    return asked


def test_fish_completes_commands_options_choices_and_files(complete_in_fish):
    assert sorted(complete_in_fish("neurodecode ")) == sorted(PLACES[()].below)
    assert complete_in_fish("neurodecode sw") == ["sweep"]
    assert complete_in_fish("neurodecode sweep --st") == ["--step"]
    assert sorted(complete_in_fish("neurodecode sweep --modality ")) == ["eeg", "fmri", "meg"]
    assert complete_in_fish("neurodecode prepare nsd --space fs") == ["fsaverage"]
    assert complete_in_fish("neurodecode decode --responses sub") == ["sub-01.nc", "sub-02.nc"]
    assert "--step" not in complete_in_fish("neurodecode decode --")
