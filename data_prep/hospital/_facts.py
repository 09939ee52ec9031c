"""What the index keeps of an examination: everything that pairing, quality and report need, and nothing identifying."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["oct", "fundus", "vf"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """One OCT volume, photograph or visual field, found in one file.

    Args:
        pointer: keyed digest of the file's place in the export, 16 hex digits; `--locate` turns it back into a path.
        key: tells apart several examinations of one file.
        kind: `oct`, `fundus` or `vf`.
        patient: pseudonym, 16 hex digits.
        laterality: `R` or `L`.
        day: the day of the examination, moved by a secret number of days that is the same for all of a patient's.
            Differences are true, the value is not.
        age: years at the examination, at most 90, or None.
        sex: `F`, `M`, `O` or None.
        device: from a fixed list, or None.
        source_format: name of the reader.
        warnings: codes of the reader.
        content: SHA-256 of the pixels and their shape; empty for visual fields.
        shape: of the pixels; empty for visual fields.
        spacing: mm as in `medmd.io.Spacing`; for volumes.
        region: `macula`, `disc` or None.
        scan_pattern: of volumes.
        signal: the device's quality value.
        field_of_view: of photographs, in degrees.
        quality: name -> measured value.
        md: dB; for visual fields, as the five that follow.
        pattern: such as `24-2`.
        strategy: such as `sita-fast`.
        fixation_losses: share 0..1, or None.
        false_positives: share 0..1, or None.
        false_negatives: share 0..1, or None.
    """

    pointer: str
    key: str = ""
    kind: Kind
    patient: str
    laterality: Literal["R", "L"]
    day: int
    age: int | None = None
    sex: str | None = None
    device: str | None = None
    source_format: str
    warnings: tuple[str, ...] = ()
    content: str = ""
    shape: tuple[int, ...] = ()
    spacing: tuple[float | None, float | None, float | None] = (None, None, None)
    region: str | None = None
    scan_pattern: str | None = None
    signal: float | None = None
    field_of_view: float | None = None
    quality: Mapping[str, float] = field(default_factory=dict)
    md: float | None = None
    pattern: str | None = None
    strategy: str | None = None
    fixation_losses: float | None = None
    false_positives: float | None = None
    false_negatives: float | None = None

    @property
    def name(self) -> str:
        """Unique within an export, and free of anything identifying."""
        return f"{self.pointer}-{self.key}" if self.key else self.pointer


@dataclass(frozen=True, kw_only=True)
class Scanned:
    """What reading one file gave.

    Args:
        pointer: of the file.
        digest: keyed digest of its bytes; empty when they could not be read.
        reason: why nothing of it can be used, or None.
        detail: what was found and expected, in words of the program.
        fix: what can be done about it.
        examinations: facts as JSON values, named as in `Examination`; patient, laterality and day may be None here.
        parts: pointers of the files that were read as parts of this one.
    """

    pointer: str
    digest: str = ""
    reason: str | None = None
    detail: str = ""
    fix: str = ""
    examinations: tuple[dict[str, Any], ...] = ()
    parts: tuple[str, ...] = ()
