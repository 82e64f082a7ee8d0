"""Which channels are wanted."""

from __future__ import annotations

from collections.abc import Sequence

from ...labels import listed


def rows_of(there: Sequence[str], wanted: Sequence[str] | None) -> list[int]:
    """Positions of channels in the order asked for; None: of all.

    Raises
    ------
    ValueError
        If one is not there.
    """
    if wanted is None:
        return list(range(len(there)))
    missing = [name for name in wanted if name not in there]
    if missing:
        raise ValueError(f"the files hold no channel {listed(missing)}; they hold {listed(there)}")
    return [list(there).index(name) for name in wanted]
