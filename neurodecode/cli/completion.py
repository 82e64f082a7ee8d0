"""``neurodecode completion``: what a shell needs to complete commands, options, choices and files.

The script is made of the command's own parser, once; completing itself starts no Python. bash is written in full;
zsh runs the same through its own bashcompinit; fish has a line for each command and option.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ._common import add

# What stands for a path in the help.
FOLDERS = ("FOLDER", "FOLDER.zarr")
PATHS = ("FILE", "FILE.nc", "FILE.html", "RESULT.nc", "PATH", "IMAGE")


@dataclass(frozen=True)
class Argument:
    """An option, or a positional argument without flags.

    ``values`` are its choices, or "@file" or "@folder", or nothing that could be guessed.
    """

    flags: tuple[str, ...]
    help: str
    values: tuple[str, ...]
    takes: bool
    many: bool


@dataclass(frozen=True)
class Place:
    """A command: what it does, its arguments and the commands below it."""

    summary: str
    arguments: list[Argument]
    below: Mapping[str, Place] = field(default_factory=dict)


def add_completion(commands: argparse._SubParsersAction, whole: argparse.ArgumentParser) -> None:
    """Add ``completion`` for all that ``whole`` parses."""
    parser = add(
        commands,
        "completion",
        "a script by which a shell completes this command",
        "Put its line into the file that your shell reads when it starts. Examples:\n\n"
        "  neurodecode completion bash > ~/.neurodecode-completion   # then, in ~/.bashrc: source that file\n"
        "  neurodecode completion zsh > ~/.neurodecode-completion    # then, in ~/.zshrc, after compinit: source it\n"
        "  neurodecode completion fish > ~/.config/fish/completions/neurodecode.fish",
    )
    parser.add_argument("shell", choices=tuple(SHELLS), help="which one")
    parser.set_defaults(run=lambda args: print(SHELLS[args.shell](_place("", whole)), end=""))


def _place(summary: str, parser: argparse.ArgumentParser) -> Place:
    arguments, below = [], {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            said = {a.dest: a.help or "" for a in action._choices_actions}
            below = {name: _place(said[name], one) for name, one in action.choices.items()}
        else:
            arguments.append(_argument(action))
    return Place(summary, arguments, below)


def _argument(action: argparse.Action) -> Argument:
    names = (action.metavar,) if isinstance(action.metavar, str) else action.metavar or ()
    if action.choices is not None:
        values = tuple(map(str, action.choices))
    elif any(name in FOLDERS for name in names):
        values = ("@folder",)
    elif action.type is Path or any(name in PATHS for name in names):
        values = ("@file",)
    else:
        values = ()
    return Argument(
        tuple(action.option_strings),
        action.help or "",
        values,
        action.nargs != 0,
        action.nargs in ("+", "*", 2),
    )


def _walk(place: Place, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Place]]:
    yield words, place
    for name, one in place.below.items():
        yield from _walk(one, (*words, name))


# ------------------------------------------------------------------------------------------------------------ bash
BASH = """\
# Completion of neurodecode for bash, made by: neurodecode completion bash
_neurodecode() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} place="" option="" given=0 values="" many="" word i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${{COMP_WORDS[i]}}
        case "$place/$word" in
            {places}) place=${{place:+$place/}}$word option="" given=0 ;;
            */-*) option=$word given=0 ;;
            *) given=$((given + 1)) ;;
        esac
    done
    case "$place $option" in
{options}
        *) option="" ;;
    esac
    if [[ $option && $cur != -* && ( $given -eq 0 || $many ) ]]; then
        _neurodecode_values "$values"
        return
    fi
    case "$place" in
{commands}
    esac
    [[ $cur == -* ]] && values=$many
    _neurodecode_values "$values"
}}
_neurodecode_values() {{
    local IFS=$' \\t\\n'
    case "$1" in
        @file) IFS=$'\\n'; compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")) ;;
        @folder) IFS=$'\\n'; compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")) ;;
        *) COMPREPLY=($(compgen -W "$1" -- "$cur")) ;;
    esac
}}
complete -F _neurodecode neurodecode
"""


def _bash(root: Place) -> str:
    """Write a function that finds the command and the option before the cursor, and offers what may follow."""
    places, options, commands = [], [], []
    for words, place in _walk(root):
        name = "/".join(words)
        places += [f"{name}/{below}" for below in place.below]
        for one in place.arguments:
            if one.flags and one.takes:
                said = "|".join(f'"{name} {flag}"' for flag in one.flags)
                many = " many=yes" if one.many else ""
                options.append(f"        {said}) values={shlex.quote(' '.join(one.values))}{many} ;;")
        commands.append(f'        "{name}") values={_offered(place)} many={_flags(place)} ;;')
    return BASH.format(
        places="|".join(f'"{p}"' for p in places), options="\n".join(options), commands="\n".join(commands)
    )


def _offered(place: Place) -> str:
    """What may stand where no option is begun: commands below, else values of positional arguments, else options."""
    positional = [v for one in place.arguments if not one.flags for v in one.values]
    found = [*place.below] or positional
    return shlex.quote(" ".join(found)) if found else _flags(place)


def _flags(place: Place) -> str:
    return shlex.quote(" ".join(flag for one in place.arguments for flag in one.flags))


ZSH = """\
# zsh runs bash's completion. Without its own, which most ~/.zshrc load before this line, there is nothing to run it.
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
autoload -Uz +X bashcompinit && bashcompinit
"""


def _zsh(root: Place) -> str:
    """Write what lets zsh run the function for bash, and that function."""
    return ZSH + _bash(root)


# ------------------------------------------------------------------------------------------------------------ fish
def _fish(root: Place) -> str:
    """Write a line for each command and option, with its help."""
    lines = [
        "# Completion of neurodecode for fish, made by: neurodecode completion fish",
        "complete -c neurodecode -f",
    ]
    for words, place in _walk(root):
        here = _fish_condition(words, place)
        for name, one in place.below.items():
            lines.append(f"complete -c neurodecode -n {here} -a {name} -d {_fish_text(one.summary)}")
        lines += [f"complete -c neurodecode -n {here} {_fish_argument(one)}" for one in place.arguments]
    return "\n".join([*lines, ""])


def _fish_condition(words: tuple[str, ...], place: Place) -> str:
    seen = [f"__fish_seen_subcommand_from {word}" for word in words]
    below = [f"not __fish_seen_subcommand_from {' '.join(place.below)}"] if place.below else []
    return _fish_text("; and ".join(seen + below))


def _fish_argument(one: Argument) -> str:
    names = " ".join(f"-l {f[2:]}" if f.startswith("--") else f"-s {f[1:]}" for f in one.flags)
    if one.values in (("@file",), ("@folder",)):
        takes = "-r -F" if one.flags else "-F"
    elif one.values:
        takes = f"{'-x ' if one.flags else ''}-a {_fish_text(' '.join(one.values))}"
    else:
        takes = "-x" if one.flags and one.takes else ""
    return " ".join(part for part in (names, takes, f"-d {_fish_text(one.help)}") if part)


def _fish_text(text: str) -> str:
    """Quote for fish, in which only a backslash and a quote are special between quotes."""
    plain = text.replace("%%", "%").replace("\\", "\\\\").replace("'", "\\'")
    return f"'{plain}'"


SHELLS: dict[str, Callable[[Place], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
