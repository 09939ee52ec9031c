"""A directive that shows the help of every verb as the program prints it, so that the page cannot fall behind."""

from importlib.util import find_spec
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from medmd.cli import verb_parser
from medmd.commands import VERBS


class VerbHelp(SphinxDirective):
    """`.. verb-help::`, without arguments."""

    def run(self) -> list[nodes.Node]:
        """One section a verb."""
        return [self._section(name) for name in VERBS if find_spec(f"medmd.commands.{name.replace('-', '_')}")]

    def _section(self, name: str) -> nodes.Node:
        section = nodes.section(ids=[f"medmd-{name}"])
        section += nodes.title("", f"medmd {name}")
        text = verb_parser(name).format_help()
        section += nodes.literal_block(text, text, language="text")
        return section


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("verb-help", VerbHelp)
    return {"parallel_read_safe": True}
