"""Floor 0: tables as text, from cells that are text: Markdown, LaTeX, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

FORMS = ("markdown", "latex", "csv")
Line = Sequence[str]
_LATEX = str.maketrans({"%": r"\%", "_": r"\_", "±": r"$\pm$", "&": r"\&", "#": r"\#", "<": "$<$"})


def markdown(head: Line, lines: Sequence[Line], *, note: str = "") -> str:
    """Write a table, with a note under it if there is one."""
    rows = [f"| {' | '.join(line)} |" for line in (head, *lines)]
    below = ["", note, ""] if note else [""]
    return "\n".join([rows[0], "|---" * len(head) + "|", *rows[1:], *below])


def latex(head: Line, lines: Sequence[Line], *, note: str, texts: int) -> str:
    """Write a tabular whose first ``texts`` columns are text and the others numbers, the note as a comment above."""
    body = [f"{' & '.join(cell.translate(_LATEX) for cell in line)} \\\\" for line in (head, *lines)]
    begin = rf"\begin{{tabular}}{{{'l' * texts}{'r' * (len(head) - texts)}}}"
    return "\n".join([f"% {note}", begin, *body, r"\end{tabular}", ""])


def comma_separated(head: Line, lines: Sequence[Line]) -> str:
    """Write a line a row, quoted where needed."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *lines])
    return text.getvalue()
