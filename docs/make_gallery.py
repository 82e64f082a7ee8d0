"""Write the gallery: the figures of a demo run if there is one, or how to make them.

The figures themselves are not kept in the project: they are results, made by `make demo`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

HEAD = """# Gallery

The figures of one run of `make demo`: every analysis of the toolkit on the embedded recordings, which are
**simulated**. Nothing here is a finding about brains; it shows what the calls return when the truth is known.

"""

EMPTY = """There are no figures here yet. They are results, so they are not kept in the project; make them first,
then build these pages again:

```bash
make demo    # a few minutes; writes results/demo
make docs
```
"""


def write(docs: Path) -> list[Path]:
    """Copy the figures of results/demo to docs/_gallery, write docs/gallery.md, and return the copies."""
    run, copies = docs.parent / "results" / "demo", docs / "_gallery"
    shutil.rmtree(copies, ignore_errors=True)
    figures = sorted(run.rglob("*.png")) if run.is_dir() else []
    made = []
    for figure in figures:
        # results/demo/figures/fig7.png -> _gallery/figures-fig7.png: names stay unique in one folder
        copy = copies / "-".join(figure.relative_to(run).parts)
        copies.mkdir(exist_ok=True)
        shutil.copyfile(figure, copy)
        made.append(copy)
    (docs / "gallery.md").write_text(HEAD + ("".join(_entry(path) for path in made) or EMPTY))
    return made


def _entry(path: Path) -> str:
    title = path.stem.removeprefix("figures-").replace("_", " ").replace("-", " ")
    return f"## {title}\n\n![{title} (simulated data)](_gallery/{path.name})\n\n"


if __name__ == "__main__":
    for path in write(Path(__file__).resolve().parent):
        print(path)
