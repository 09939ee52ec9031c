"""A sheet of small pictures, so that a person sees at a glance what was converted."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from data_prep._photographs import write_png

_THUMBNAIL = 180
_CAPTION = 34
_MARGIN = 8
_COLUMNS = 6
_ROWS = 4


class Shown(NamedTuple):
    """A picture of the sheet: its file, or a file in memory, and up to two lines below it."""

    path: Path | BytesIO
    caption: str


def spread(count: int, *, most: int = _COLUMNS * _ROWS) -> list[int]:
    """At most `most` positions spread evenly over `count`, first and last included."""
    if count <= most:
        return list(range(count))
    return [round(index * (count - 1) / (most - 1)) for index in range(most)]


def write_contact_sheet(path: Path, pictures: Sequence[Shown]) -> None:
    """Write the pictures in rows of six.

    Args:
        path: the PNG to make.
        pictures: what to show, in order; at least one.
    """
    from PIL import Image, ImageDraw, ImageFont

    columns = min(_COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    width, height = _THUMBNAIL + _MARGIN, _THUMBNAIL + _CAPTION + _MARGIN
    sheet = Image.new("RGB", (columns * width + _MARGIN, rows * height + _MARGIN), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=12)
    for index, picture in enumerate(pictures):
        left, top = _MARGIN + index % columns * width, _MARGIN + index // columns * height
        with Image.open(picture.path) as file:
            file.thumbnail((_THUMBNAIL, _THUMBNAIL))
            sheet.paste(file, (left, top))
        draw.multiline_text((left, top + _THUMBNAIL + 2), picture.caption, fill="black", font=font, spacing=2)
    write_png(path, sheet)
