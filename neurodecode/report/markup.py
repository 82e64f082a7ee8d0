"""HTML from parts: what is not markup already is escaped where it goes in, so that text from a file stays text."""

from __future__ import annotations

import html
import re

VOID = {"img", "meta", "br"}
# What HTML has no place for (control characters, noncharacters) and UTF-8 no bytes (half a surrogate pair).
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


class Html(str):
    """Markup, as :func:`element` makes it."""

    __slots__ = ()


def text(value: object) -> Html:
    """Escape text; markup stays as it is.

    >>> text('<script> & "more"')
    '&lt;script&gt; &amp; &quot;more&quot;'
    """
    if isinstance(value, Html):
        return value
    return Html(html.escape(_NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", str(value))))


def element(name: str, /, *inside: object, **attributes: object) -> Html:
    """Write an element; an underscore at the end of an attribute's name falls away, those within become hyphens.

    >>> element("p", "a < b", class_="note")
    '<p class="note">a &lt; b</p>'
    """
    said = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items()
    )
    if name in VOID:
        return Html(f"<{name}{said}>")
    return Html(f"<{name}{said}>{joined(*inside)}</{name}>")


def joined(*parts: object) -> Html:
    """Put parts one after the other."""
    return Html("".join(text(part) for part in parts))
