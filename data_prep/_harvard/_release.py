"""What tells one release from another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Release:
    """A release of one `.npz` a patient.

    Args:
        name: of the cohort and the start of its case ids, such as `harvard_gf`.
        title: for the reader.
        converter: the module, such as `data_prep.harvard_gf`.
        source: citation.
        licence: as the release states it.
        arrays: input of the datalist -> array of the file; of `oct` (a volume) and `rnfl_map`.
        field_mm: extent of the volume along the scan, in depth and across the scans; the releases state none.
        spacing_source: where `field_mm` comes from.
        races: code -> word, where the release explains its codes.
    """

    name: str
    title: str
    converter: str
    source: str
    licence: str
    arrays: Mapping[str, str]
    field_mm: tuple[float, float, float] = (6.0, 2.0, 6.0)
    spacing_source: str = ""
    races: Mapping[str, str] = field(default_factory=dict)

    def case_id(self, number: int, part: str | None = None) -> str:
        """Pseudonym of a sample by the release's number, with its part where numbers occur in several."""
        return f"{self.name}-{part}-{number:04d}" if part else f"{self.name}-{number:04d}"
