"""Write the gallery: every script in analyses/, by the question it asks, its commands, and its figure if there is one.

Figures are those kept in docs/images, and those of a demo run (results/demo), which are results and no part of the
project.
"""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

HEAD = """# Gallery

One script a question: each calls the library, writes one result file, and has a script in `figures/` that draws it.
All take the embedded lab, which is **simulated**, or your own files (`--help` says how); those marked real read a
recording. On simulated data nothing is a finding about brains: it shows what the calls return when the truth is known.

```bash
make demo    # nine of them, with figures and one page: results/demo, 5 minutes
make docs    # then builds these pages anew, with the demo's figures in them
```
"""

# Where a kept figure bears another name than its analysis.
NAMED = {"reconstruction": "reconstruct", "table_7": "fitters"}
COMMAND = re.compile(r"^ {4}((?:python|neurodecode) .*)$", re.MULTILINE)


def write(docs: Path) -> list[Path]:
    """Copy the figures of results/demo to docs/_gallery, write docs/gallery.md, and return the copies."""
    scripts = sorted((docs.parent / "analyses").glob("*.py"))
    copies = _copied(docs)
    figures: dict[str, list[Path]] = {script.stem: [] for script in scripts}
    for path in [*sorted((docs / "images").glob("*.png")), *copies]:
        of = [name for name in figures if NAMED.get(path.stem, _plain(path)).startswith(name)]
        if of:
            figures[max(of, key=len)].append(path)
    entries = [
        _entry(script, [path.relative_to(docs) for path in figures[script.stem]]) for script in scripts
    ]
    (docs / "gallery.md").write_text(HEAD + "".join(entries), encoding="utf-8")
    return copies


def _copied(docs: Path) -> list[Path]:
    run, folder = docs.parent / "results" / "demo", docs / "_gallery"
    shutil.rmtree(folder, ignore_errors=True)
    made = []
    for figure in sorted(run.rglob("*.png")) if run.is_dir() else []:
        # results/demo/figures/fig7.png -> _gallery/figures-fig7.png: names stay unique in one folder
        made.append(folder / "-".join(figure.relative_to(run).parts))
        folder.mkdir(exist_ok=True)
        shutil.copyfile(figure, made[-1])
    return made


def _plain(path: Path) -> str:
    return path.stem.removeprefix("figures-")


def _entry(script: Path, figures: list[Path]) -> str:
    text = _docstring(script)
    question, _, rest = text.partition("\n\n")
    title, _, note = question.replace("\n", " ").partition("? ")
    said = [p for p in rest.split("\n\n") if p and not p.startswith("    ")]
    said = [re.sub(r":$", ".", paragraph) for paragraph in said[:1]]  # what follows it stays in the script
    commands = COMMAND.findall(text) or [f"python analyses/{script.name}"]
    drawn = script.parent.parent / "figures" / script.name
    last = f"Drawn by `figures/{drawn.name}`." if drawn.exists() else ""
    parts = [f"## {title.rstrip('?')}?", note, *said, *_images(figures), _shell(commands), last]
    return "\n" + "\n\n".join(part for part in parts if part) + "\n"


def _docstring(script: Path) -> str:
    return ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""


def _images(figures: list[Path]) -> list[str]:
    return [f"![{_plain(path).replace('_', ' ')} (simulated data)]({path.as_posix()})" for path in figures]


def _shell(commands: list[str]) -> str:
    lines = [re.sub(r" {2,}\((.*?)\)?$", r"    # \1", command) for command in commands]
    return "```bash\n" + "\n".join(lines) + "\n```" if lines else ""


if __name__ == "__main__":
    for path in write(Path(__file__).resolve().parent):
        print(path)
