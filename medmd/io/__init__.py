"""Readers of clinical file formats: a path or bytes in, plain records out.

Every reader is a module with two functions: `matches(head, source)` looks at the first bytes, and
`read_all(source)` gives every record of the file. Formats are recognised by content, never by the name alone.
"""

from __future__ import annotations

from medmd.io._limits import MAX_PHOTO_PIXELS, MAX_TEXT_BYTES, MAX_VOXELS, check_size
from medmd.io._readers import FORMATS, read, read_all, recognise
from medmd.io._records import FundusPhoto, Laterality, OctVolume, Record, Region, Spacing, Subject, VisualField
from medmd.io._refusal import RefusedError
from medmd.io._source import Source

__all__ = [
    "FORMATS",
    "MAX_PHOTO_PIXELS",
    "MAX_TEXT_BYTES",
    "MAX_VOXELS",
    "FundusPhoto",
    "Laterality",
    "OctVolume",
    "Record",
    "RefusedError",
    "Region",
    "Source",
    "Spacing",
    "Subject",
    "VisualField",
    "check_size",
    "read",
    "read_all",
    "recognise",
]
