"""Harvard-GDP: RNFL thickness maps of 1,000 patients, with the MD of the visual field, as released.

`python -m data_prep.harvard_gdp --help` is the way to use it.
"""

from __future__ import annotations

from pathlib import Path

from data_prep._harvard._convert import Options
from data_prep._harvard._convert import convert as _convert
from data_prep._report import ConversionReport
from data_prep.harvard_gdp._release import RELEASE

__all__ = ["RELEASE", "Options", "convert"]


def convert(
    source: str | Path, out: str | Path, *, options: Options | None = None, workers: int = 1
) -> ConversionReport:
    """Convert the Harvard-GDP release to a datalist: see `data_prep._harvard._convert.convert`."""
    return _convert(source, out, RELEASE, options=options, workers=workers)
