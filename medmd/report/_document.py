"""A report as blocks, written as Markdown or as one HTML page from the same source."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import NamedTuple, TypeAlias

from medmd.report._format import markdown_table

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
table { font-size: .82rem; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #e4e4e4; text-align: right; vertical-align: top; }
td { white-space: nowrap; }
th.text, td.text { text-align: left; white-space: normal; overflow-wrap: anywhere; }
@media (max-width: 60rem) { table { display: block; overflow-x: auto; } td.text { min-width: 8rem; } }
figure { margin: 1.5rem 0; } img { max-width: 100%; height: auto; } figcaption { color: #555; }
.note { background: #fff6e0; border-left: 4px solid #E69F00; padding: .4rem .8rem; }
"""


class Heading(NamedTuple):
    """A section's title."""

    text: str


class Paragraph(NamedTuple):
    """Plain text; `note` makes it stand out."""

    text: str
    note: bool = False


class Table(NamedTuple):
    """Cells as text; the first `texts` columns hold words and stand to the left, the others numbers, to the right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1


class Image(NamedTuple):
    """A PNG: `file` is its path relative to the Markdown file, `content` goes into the HTML page."""

    file: str
    caption: str
    content: bytes


Block: TypeAlias = Heading | Paragraph | Table | Image


def to_markdown(title: str, blocks: Sequence[Block]) -> str:
    """Markdown text; figures are referred to by file."""
    return "\n\n".join([f"# {_plain(title)}", *(_markdown(block) for block in blocks)]) + "\n"


def to_html(title: str, blocks: Sequence[Block]) -> str:
    """One page without anything outside itself; all text escaped."""
    body = "\n".join(_html(block) for block in blocks)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"## {_plain(block.text)}"
    if isinstance(block, Paragraph):
        return f"> **Note.** {_plain(block.text)}" if block.note else _plain(block.text)
    if isinstance(block, Table):
        rows = [[_plain(cell) for cell in row] for row in block.rows]
        return markdown_table([_plain(cell) for cell in block.header], rows, texts=block.texts)
    return f"![{_plain(block.caption)}]({block.file})"


def _html(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h2>{escape(block.text)}</h2>"
    if isinstance(block, Paragraph):
        kind = ' class="note"' if block.note else ""
        return f"<p{kind}>{escape(block.text)}</p>"
    if isinstance(block, Table):
        head = _html_cells(block.header, "th", block.texts)
        rows = "\n".join(f"<tr>{_html_cells(row, 'td', block.texts)}</tr>" for row in block.rows)
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>"
    data = base64.b64encode(block.content).decode()
    caption = escape(block.caption)
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}"><figcaption>{caption}</figcaption></figure>'
    )


def _html_cells(cells: Sequence[str], tag: str, texts: int) -> str:
    scope = ' scope="col"' if tag == "th" else ""
    kinds = (' class="text"' if column < texts else "" for column in range(len(cells)))
    return "".join(f"<{tag}{scope}{kind}>{escape(cell)}</{tag}>" for cell, kind in zip(cells, kinds, strict=True))


def _plain(text: str) -> str:
    # Names of data sets and columns are not ours: a line break or a tag in them may not become markup.
    return " ".join(text.split()).replace("<", "&lt;")
