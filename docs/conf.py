"""Configuration of the documentation, built with `make docs`."""

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

from medmd import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "medmd"
author = "the medmd authors"
copyright = "the medmd authors"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "verb_help"]
exclude_patterns = ["_build", "_ext"]
# What scripts write there may be read without being part of the tree of pages.
suppress_warnings = ["toc.not_included"]
html_theme = "furo"
html_title = f"medmd {release}"

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False


def _from_plain_text(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Docstrings are written to be read in the source: `name` is code, and |x| is a norm, not a substitution."""
    parts = re.split(r"(``.+?``|`[^`]+`)", "\n".join(lines))
    lines[:] = "".join(map(_as_markup, parts)).split("\n")


def _as_markup(part: str) -> str:
    if part.startswith("``"):
        return part
    if part.startswith("`"):
        return f"`{' '.join(part.split())}`"
    return part.replace("|", "\\|")


def setup(app: Sphinx) -> None:
    """Connect before napoleon, which turns the sections into reStructuredText with marks of its own."""
    app.connect("autodoc-process-docstring", _from_plain_text, priority=400)
