"""Top: one self-contained HTML page of a run: figures, numbers, methods, settings, provenance, warnings.

>>> import neurodecode as nd
>>> nd.report.page  # doctest: +ELLIPSIS
<function page at ...>
"""

from .pages import figures_of, join, page, write
from .parts import Part

__all__ = ["Part", "figures_of", "join", "page", "write"]
