"""What the subcommands share: how they are described, and scripts run in processes of their own."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

# The same option is told in the same words everywhere.
OVERWRITE = "replace what --out names if it exists"
PAGE = "leave a page beside the result too, in HTML: all about the run, for any browser"
DEVICE = "where networks run: cpu, cuda, mps"
LAB_SIZE = "how much the lab simulates"


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Texts as they are written, and the default of every option that has one, said alike."""

    def _get_help_string(self, action: argparse.Action) -> str:
        words = action.help or ""
        default = action.default
        # Not "in": 0 is a default to tell, and equals False.
        silent = default is None or default is False or default in (argparse.SUPPRESS, [])
        silent = silent or "(default" in words
        if silent or action.required or not action.option_strings:
            return words
        shown = " ".join(map(str, default)) if isinstance(default, list | tuple) else str(default)
        return f"{words} (default: {shown.replace('%', '%%')})"


def add(commands: argparse._SubParsersAction, name: str, summary: str, text: str) -> argparse.ArgumentParser:
    """Add a subcommand with a one-line summary, and a text that shows examples."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.\n\n{text}",
        formatter_class=Formatter,
    )
    return parser


def script_folder() -> Path:
    """Folder that holds analyses/ and figures/: the package in a wheel, the repository in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package, package.parent):
        if (folder / "analyses").is_dir() and (folder / "figures").is_dir():
            return folder
    raise FileNotFoundError(
        "this installation lacks the scripts of the demo (analyses/ and figures/); install again"
    )


def run_script(path: Path, *options: str) -> str:
    """Run a script of ours in a process of its own; return the command as a user would type it."""
    done = subprocess.run([sys.executable, str(path), *options], check=False)
    if done.returncode:
        raise OSError(f"{path.name} ended with status {done.returncode}; its message stands above")
    return " ".join(["python", f"{path.parent.name}/{path.name}", *options])
