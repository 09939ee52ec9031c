"""Hospital exports (DICOM, vendors' files, images with tables) as a de-identified, checked, patient-split datalist.

    python -m data_prep.hospital SRC OUT --config site.yaml

Names are imported at first use: a worker process needs few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_prep.hospital._convert import convert
    from data_prep.hospital._locate import locate
    from data_prep.hospital._propose import propose
    from data_prep.hospital._pseudonyms import KEY_VARIABLE, Pseudonyms, read_key
    from data_prep.hospital._site import SiteConfig, load_site

__all__ = ["KEY_VARIABLE", "Pseudonyms", "SiteConfig", "convert", "load_site", "locate", "propose", "read_key"]

_LAZY = {
    "KEY_VARIABLE": "_pseudonyms",
    "Pseudonyms": "_pseudonyms",
    "SiteConfig": "_site",
    "convert": "_convert",
    "load_site": "_site",
    "locate": "_locate",
    "propose": "_propose",
    "read_key": "_pseudonyms",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
