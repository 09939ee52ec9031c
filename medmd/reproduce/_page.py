"""A reproduced table or figure as files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medmd.report.blocks import Block, Heading, Image, Paragraph, Table, text_table, to_markdown
from medmd.utils import write_atomic

__all__ = ["Heading", "Image", "Page", "Paragraph", "Table", "write_page"]


@dataclass
class Page:
    """One page.

    Attributes:
        name: of its files.
        title: headline.
        blocks: what it shows, in order.
        numbers: every number, unrounded, one dict a line of the CSV.
        missing: lines for which there was no run, for the program that runs what is missing.
    """

    name: str
    title: str
    blocks: list[Block] = field(default_factory=list)
    numbers: list[Mapping[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def say(self, text: str, *, note: bool = False) -> None:
        """Add a paragraph."""
        self.blocks.append(Paragraph(text, note=note))

    def show(self, header: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> None:
        """Add a table."""
        self.blocks.append(Table(header, rows, texts))

    def draw(self, name: str, caption: str, content: bytes | None) -> None:
        """Add a figure, when there is one."""
        if content is not None:
            self.blocks.append(Image(f"{self.name}_{name}.png" if name else f"{self.name}.png", caption, content))

    def text(self) -> str:
        """For a terminal: tables and sentences, without the figures."""
        shown = []
        for block in self.blocks:
            if isinstance(block, Table):
                shown.append(text_table(block.header, block.rows))
            elif isinstance(block, (Heading, Paragraph)):
                shown.append(block.text)
        return "\n\n".join([self.title, *shown])


def write_page(folder: str | Path, page: Page) -> list[Path]:
    """Write `<name>.md`, `<name>.csv` and the figures; equal inputs give equal bytes.

    Returns:
        The files.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{page.name}.md", folder / f"{page.name}.csv"]
    write_atomic(files[0], to_markdown(page.title, page.blocks))
    write_atomic(files[1], _csv(page.numbers))
    for block in page.blocks:
        if isinstance(block, Image):
            write_atomic(folder / block.file, block.content)
            files.append(folder / block.file)
    return files


def _csv(numbers: Sequence[Mapping[str, Any]]) -> str:
    header = list(dict.fromkeys(key for line in numbers for key in line))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(numbers)
    return buffer.getvalue()
