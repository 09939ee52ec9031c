"""Strings that must not survive, and a search that looks into compressed and encoded files, too."""

import base64
import gzip
import html
import io
import json
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import numpy as np
from PIL import Image

_MINIMUM = 6


def word(name: str) -> str:
    """A made-up word that occurs nowhere by chance: `Zq<name>Xv`."""
    return f"Zq{name}Xv"


def dates(day: date) -> list[str]:
    """How a day may be written."""
    return [day.strftime(form) for form in ("%Y%m%d", "%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y:%m:%d", "%-m-%-d-%Y")]


def survivors(folder: Path, canaries: Iterable[str], *texts: str) -> list[str]:
    """Canaries in any file below the folder, in file names or in the texts, as `<canary> in <where>`.

    Files are searched as they are, decompressed (gzip, PNG, databases) and decoded (data in HTML, escapes in JSON).
    Every canary is looked for in UTF-8, UTF-16 of both orders and Latin-1, in any case.
    """
    wanted = {canary: _encoded(canary) for canary in canaries if len(canary) >= _MINIMUM}
    found = []
    for where, blob in _blobs(folder, texts):
        lower = blob.lower()
        found += [f"{canary} in {where}" for canary, forms in wanted.items() if any(form in lower for form in forms)]
    return found


def _encoded(canary: str) -> set[bytes]:
    return {canary.lower().encode(codec) for codec in ("utf-8", "utf-16-le", "utf-16-be", "latin-1")}


def _blobs(folder: Path, texts: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    for number, text in enumerate(texts):
        yield f"text {number}", text.encode(errors="replace")
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        yield f"the name of {name}", name.encode(errors="replace")
        if path.is_file():
            content = path.read_bytes()
            yield name, content
            yield from ((f"{name} ({how})", part) for how, part in _inside(path, content))


def _inside(path: Path, content: bytes) -> Iterator[tuple[str, bytes]]:
    if content[:2] == b"\x1f\x8b":
        yield "decompressed", gzip.decompress(content)
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        yield "chunks", b"".join(_chunks(content))
        with suppress(OSError):  # a source's may be cut
            yield "pixels", np.asarray(Image.open(io.BytesIO(content))).tobytes()
    if content[:15] == b"SQLite format 3":
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            yield "dump", "\n".join(database.iterdump()).encode()
        database.close()
    if path.suffix == ".html":
        text = content.decode()
        yield "unescaped", html.unescape(text).encode()
        for number, data in enumerate(re.findall(r"base64,([A-Za-z0-9+/=]+)", text)):
            decoded = base64.b64decode(data)
            yield f"data {number}", decoded
            yield from ((f"data {number}, {how}", part) for how, part in _inside(Path("x"), decoded))
    if path.suffix == ".json":
        yield "parsed", json.dumps(json.loads(content), ensure_ascii=False).encode()


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error:
        return b""


def _chunks(png: bytes) -> Iterator[bytes]:
    place = 8
    while place < len(png):
        length = int.from_bytes(png[place : place + 4], "big")
        kind, data = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        yield kind + data
        if kind in (b"zTXt", b"iTXt", b"iCCP"):
            yield from filter(None, (_inflated(data[start:]) for start in range(len(data))))
        place += 12 + length
