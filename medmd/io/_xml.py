"""XML of unknown honesty: no entities, no document types, nothing fetched, bounded depth and number of elements.

The standard library's expat does not fetch anything by itself; entities that grow need a document type, and any
document type is refused. ElementTree's own parser cannot be told so.
"""

from __future__ import annotations

import math
import re
from datetime import date
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from medmd.io._binary import EXPORT_AGAIN, day
from medmd.io._limits import MAX_TEXT_BYTES
from medmd.io._refusal import RefusedError
from medmd.io._source import Source, opened, size

_MOST_ELEMENTS = 1_000_000
_MOST_DEPTH = 100
_ROOT = re.compile(r"<\s*([A-Za-z_][\w.:-]*)")


def root_name(head: bytes) -> str | None:
    """Name of the first element in the first bytes of a file; None when they hold no element."""
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "latin-1"
    found = _ROOT.search(head.decode(encoding, "replace"))
    return found[1].rsplit(":", 1)[-1] if found else None


def parse_xml(source: Source) -> Element:
    """The root element; names without their namespace prefix.

    Raises:
        RefusedError: not well-formed, with a document type, too deep or too large.
    """
    if size(source) > MAX_TEXT_BYTES:
        detail = f"The XML is larger than {MAX_TEXT_BYTES} bytes."
        raise RefusedError(reason="size-too-large", detail=detail, fix=EXPORT_AGAIN)
    with opened(source) as stream:
        data = stream.read(MAX_TEXT_BYTES + 1)
    try:
        return _Builder().build(_decodable(data))
    except (expat.ExpatError, LookupError, ValueError) as error:
        # An encoding's name, which stands in the file, is part of some of these texts.
        if isinstance(error, RefusedError):
            raise
        detail = "The XML is not well-formed."
        raise RefusedError(reason="xml-damaged", detail=detail, fix=EXPORT_AGAIN) from None


def text_of(element: Element | None, path: str) -> str | None:
    """Text at a path below an element, stripped; None when it is absent or empty."""
    found = element.find(path) if element is not None else None
    return (found.text or "").strip() or None if found is not None else None


def number_of(element: Element | None, path: str) -> float | None:
    """A finite number at a path, its per cent sign left out; None when there is none."""
    try:
        value = float((text_of(element, path) or "nan").removesuffix("%"))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def day_of(element: Element | None, path: str) -> date | None:
    """A date of the form YYYY-MM-DD or YYYYMMDD at a path; None when there is none."""
    found = re.fullmatch(r"(\d{4})-?(\d\d)-?(\d\d)", text_of(element, path) or "")
    return day(*(int(part) for part in found.groups())) if found else None


def _decodable(data: bytes) -> bytes:
    """As it is, or from Latin-1: devices write names in it without saying so."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"encoding" in data[:100]:
        return data
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1").encode("utf-8")
    return data


class _Builder:
    def __init__(self) -> None:
        self._tree = TreeBuilder()
        self._depth = self._elements = 0

    def build(self, data: bytes) -> Element:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._tree.data
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._doctype
        parser.Parse(data, True)
        return self._tree.close()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > _MOST_DEPTH or self._elements > _MOST_ELEMENTS:
            detail = f"The XML is deeper than {_MOST_DEPTH} or has more than {_MOST_ELEMENTS} elements."
            raise RefusedError(reason="size-too-large", detail=detail, fix=EXPORT_AGAIN)
        self._tree.start(name.rsplit(":", 1)[-1], {})

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._tree.end(name.rsplit(":", 1)[-1])

    def _doctype(self, *_: object) -> NoReturn:
        detail = "The XML declares a document type or entities, which no device writes."
        raise RefusedError(reason="xml-entities", detail=detail, fix="Remove the declaration, or export again.")
