"""Sphinx settings. The site builds, and is read, without a network: no intersphinx, nothing fetched by a page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import make_api  # noqa: E402
import make_gallery  # noqa: E402
import mathml  # noqa: E402

import neurodecode  # noqa: E402

project = "neurodecode"
author = "the neurodecode developers"
project_copyright = "the neurodecode developers"
version = release = neurodecode.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_gallery"]

autodoc_typehints = "none"  # the docstrings say it, with dims and units
autodoc_member_order = "bysource"
# what scikit-learn's base classes add to every estimator and nobody calls
ROUTING = (
    "get_metadata_routing",
    *(f"set_{x}_request" for x in ("fit", "predict", "score", "transform", "inverse_transform")),
)
autodoc_default_options = {"exclude-members": ", ".join(ROUTING)}
numpydoc_show_class_members = False  # methods are shown where they are, not in a second table
numpydoc_xref_param_type = False

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"neurodecode {release}"
html_static_path = ["_static"]
html_css_files = ["neurodecode.css"]
html_show_sphinx = False
html_math_renderer = mathml.NAME


def setup(app: Any) -> None:
    """Draw formulas as MathML, and write the pages that are made: one per public module, and the gallery."""
    mathml.register(app)
    make_api.write(HERE / "api")
    make_gallery.write(HERE)
