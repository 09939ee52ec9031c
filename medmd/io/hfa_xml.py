"""Visual fields that a Zeiss Humphrey perimeter (HFA) exports for electronic records: CZM-XML.

The test's own date counts. The names of the fields are those of the samples of real exports with one template body;
`mean_deviation` (7717,1716) is the MD in dB, negative for loss.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Any
from xml.etree.ElementTree import Element

from medmd.io._binary import EXPORT_AGAIN
from medmd.io._records import Laterality, Subject, VisualField
from medmd.io._refusal import RefusedError
from medmd.io._source import Source
from medmd.io._xml import day_of, number_of, parse_xml, root_name, text_of

_ROOT, _DATA = "CZM-XML", "DataSet/CZM_HFA_EMR_IOD"
_SERIES, _ANALYSIS = "CZM_HFA_Series_M", "CZM_HFA_Analysis_M"
# Below total blindness, above what any eye reaches.
_POSSIBLE_MD = (-40.0, 6.0)
_SIDES: dict[str, Laterality] = {"L": "L", "OS": "L", "R": "R", "OD": "R"}
_SEXES: dict[str, Any] = {"F": "F", "M": "M", "O": "O"}
# Longest first: a name is searched for its strategy from the top.
_STRATEGIES = {
    "SITA-FASTER": "sita-faster",
    "SITA-FAST": "sita-fast",
    "SITA-SWAP": "sita-swap",
    "SITA-STANDARD": "sita-standard",
    "FULL-THRESHOLD": "full-threshold",
}
_PATTERN = re.compile(r"\b(24-2C|24-2|30-2|10-2|60-4)\b")


def matches(head: bytes, source: Source) -> bool:
    """By the name of the root element."""
    return root_name(head) == _ROOT


def read_all(source: Source) -> Iterable[VisualField]:
    """The one visual field of the file."""
    data = parse_xml(source).find(_DATA)
    if data is None:
        detail = "The XML holds no result of a Humphrey perimeter."
        raise RefusedError(reason="no-visual-field", detail=detail, fix="Export the single field analysis.")
    series = data.find(_SERIES)
    pattern, strategy, warnings = _test(series)
    acquired, date_warnings = _acquired(data)
    return [
        VisualField(
            source_format="hfa-xml",
            subject=_subject(data),
            laterality=_side(data),
            acquired=acquired,
            device=_device(data),
            warnings=(*warnings, *date_warnings),
            md=_md(data),
            psd=number_of(data, f"{_ANALYSIS}/pattern_standard_deviation"),
            vfi=_within(number_of(data, f"{_ANALYSIS}/visual_field_index"), 100),
            pattern=pattern,
            strategy=strategy,
            fixation_losses=_fixation(series),
            false_positives=_share(number_of(series, "false_positives/false_positive_percent"), 100),
            false_negatives=_share(number_of(series, "false_negatives/false_negative_percent"), 100),
        )
    ]


def _md(data: Element) -> float:
    md = number_of(data, f"{_ANALYSIS}/mean_deviation")
    if md is None:
        detail = "The mean deviation is absent or no number."
        raise RefusedError(reason="md-missing", detail=detail, fix="Export a threshold test with its analysis.")
    if not _POSSIBLE_MD[0] <= md <= _POSSIBLE_MD[1]:
        detail = f"The mean deviation lies outside of {_POSSIBLE_MD[0]} .. {_POSSIBLE_MD[1]} dB."
        raise RefusedError(reason="md-impossible", detail=detail, fix=EXPORT_AGAIN)
    return md


def _side(data: Element) -> Laterality:
    side = _SIDES.get((text_of(data, "GeneralSeries_M/laterality") or "").upper())
    if side is None:
        detail = "The export does not say which eye was tested, or names both."
        raise RefusedError(reason="laterality-missing", detail=detail, fix="Enter the eye at the device, export again.")
    return side


def _acquired(data: Element) -> tuple[date, tuple[str, ...]]:
    """Day of the test. The study's date must stand there as well: without it the export was not completed."""
    test, study = day_of(data, f"{_SERIES}/test_date"), day_of(data, "GeneralStudy_M/study_date")
    if test is None or study is None:
        detail = "The export lacks the date of the test or of the study."
        raise RefusedError(reason="date-missing", detail=detail, fix="Complete the examination's date, export again.")
    return test, () if test == study else ("dates-differ",)


def _test(series: Element | None) -> tuple[str | None, str | None, tuple[str, ...]]:
    """Pattern and strategy, the latter from its own field or else from the name of the test."""
    name = text_of(series, "test_name") or ""
    found = _PATTERN.search(name.upper())
    words = [text_of(series, "test_strategy") or "", name]
    strategy = next((found for found in map(_strategy, words) if found), None)
    if (text_of(series, "stimulus_color") or "").upper() == "BLUE":
        strategy = "sita-swap"
    warnings = ["pattern-unknown"] * (found is None) + ["strategy-unknown"] * (strategy is None)
    return found[1] if found else None, strategy, tuple(warnings)


def _strategy(words: str) -> str | None:
    plain = re.sub(r"[\s_-]+", "-", words.upper())
    return next((ours for theirs, ours in _STRATEGIES.items() if theirs in plain), None)


def _fixation(series: Element | None) -> float | None:
    trials, errors = number_of(series, "fixation_trials"), number_of(series, "fixation_errors")
    return _share(errors, trials) if trials else None


def _share(value: float | None, whole: float) -> float | None:
    known = _within(value, whole)
    return None if known is None else known / whole


def _within(value: float | None, most: float) -> float | None:
    """A value from 0 to a limit; None for others, such as the -1 of what was not measured."""
    return value if value is not None and 0 <= value <= most else None


def _device(data: Element) -> str | None:
    maker = text_of(data, "GeneralEquipment_M/manufacturer") or ""
    return "zeiss hfa" if "zeiss" in maker.lower() else None


def _subject(data: Element) -> Subject:
    return Subject(
        identifier=text_of(data, "Patient_M/patient_id"),
        birth_date=day_of(data, "Patient_M/patients_birth_date"),
        sex=_SEXES.get((text_of(data, "Patient_M/patients_sex") or "").upper()),
    )
