"""Text out of files, as a terminal may show it."""

from __future__ import annotations


def printable(text: object, *, lines: bool = False) -> str:
    r"""Write out control characters, which would move a terminal's cursor, change its title or turn text around.

    Parameters
    ----------
    text : anything
        Shown as ``str`` shows it.
    lines : bool
        Leave line breaks and tabs as they are.

    >>> printable("V1\x1b[2J")
    'V1\\x1b[2J'
    """
    kept = "\n\t" if lines else ""
    return "".join(
        c if c.isprintable() or c in kept else c.encode("unicode_escape").decode("ascii") for c in str(text)
    )
