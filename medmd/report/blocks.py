"""Pages and tables as blocks and text, for those who write others."""

from medmd.report._document import Block, Heading, Image, Paragraph, Table, to_html, to_markdown
from medmd.report._format import markdown_table, text_table

__all__ = [
    "Block",
    "Heading",
    "Image",
    "Paragraph",
    "Table",
    "markdown_table",
    "text_table",
    "to_html",
    "to_markdown",
]
