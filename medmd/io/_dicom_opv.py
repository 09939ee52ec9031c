"""Static perimetry: Ophthalmic Visual Field Static Perimetry Measurements objects.

MD is Global Deviation From Normal (0024,0066) within the Results Normals Sequence; never the mean sensitivity
(0024,0070), nor the probability (0024,0071). Warnings: `rate-implausible` (a reliability rate beyond 100 %, left out),
`pattern-unknown`, `strategy-unknown`.
"""

from __future__ import annotations

from typing import Literal

from pydicom.dataset import Dataset

from medmd.io._dicom_facts import device_of, laterality_of, subject_of
from medmd.io._dicom_values import Code, codes, date_of, first, items, number, text, words
from medmd.io._records import VisualField
from medmd.io._refusal import RefusedError

# Beyond what a perimeter of either kind can measure, in dB.
_LEAST_MD, _MOST_MD = -40.0, 15.0
_PATTERNS = {
    "111800": "24-2", "111801": "10-2", "111802": "30-2", "111803": "60-4", "OPVTP128": "24-2C", "111804": "macula",
    "111805": "central-40", "111806": "central-76", "111807": "peripheral-60", "111808": "full-field-81",
    "111809": "full-field-120", "111810": "g", "111811": "m", "111812": "07", "111813": "lvc", "111814": "central",
}  # fmt: skip
_STRATEGIES = {
    "111815": "sita-standard", "111816": "sita-swap", "111817": "sita-fast", "OPVTS101": "sita-faster",
    "111818": "full-threshold", "111819": "fastpac", "111820": "full-from-prior", "111821": "optima",
    "111822": "two-zone", "111823": "three-zone", "111824": "quantify-defects", "111825": "top", "111826": "dynamic",
    "111827": "normal", "111828": "1-lt", "111829": "2-lt", "111830": "lvs", "111831": "gate", "111832": "gatei",
    "111833": "2lt-dynamic", "111834": "2lt-normal", "111835": "fast-threshold", "111836": "clip", "111837": "class",
}  # fmt: skip
# Private codes: by their meaning, longest first.
_PATTERN_WORDS = ("esterman", "24-2c", "24-2", "30-2", "10-2", "60-4")
_STRATEGY_WORDS = ("sita-swap", "sita-faster", "sita-standard", "sita-fast", "full-threshold")
_VISUAL_FIELD_INDEX = "111852"


def read_field(header: Dataset, *, md_convention: Literal["hfa", "octopus"] | None = None) -> VisualField:
    """The field.

    Args:
        header: of the file.
        md_convention: sign of the MD. `hfa`: negative for loss. `octopus`: mean defect, positive for loss, turned
            here. None: taken as `hfa` from a Humphrey or Zeiss device, refused from any other.

    Raises:
        RefusedError: both eyes, no MD, an impossible one, or one of unknown sign.
    """
    laterality = laterality_of(header)
    results = first(header, "ResultsNormalsSequence")
    md = None if results is None else number(results, "GlobalDeviationFromNormal")
    if md is None or results is None:
        detail = "The object holds no global deviation from normal (0024,0066), which is the MD."
        raise RefusedError(reason="md-missing", detail=detail, fix="Export a threshold test with its analysis.")
    sign = _sign(header, md_convention)
    if not _LEAST_MD <= sign * md <= _MOST_MD:
        detail = f"The MD is not between {_LEAST_MD:g} and {_MOST_MD:g} dB."
        raise RefusedError(reason="md-implausible", detail=detail, fix="Check the examination, and the sign of its MD.")
    pattern = _named(header, _PATTERNS, _PATTERN_WORDS)
    strategy = _named(header, _STRATEGIES, _STRATEGY_WORDS)
    rates = _rates(header)
    kept = {name: rate if rate is None or 0 <= rate <= 1 else None for name, rate in rates.items()}
    doubts = {
        "rate-implausible": kept != rates,
        "pattern-unknown": pattern is None,
        "strategy-unknown": strategy is None,
    }
    return VisualField(
        source_format="dicom-opv",
        subject=subject_of(header),
        laterality=laterality,
        acquired=date_of(header, "PerformedProcedureStepStartDate", "ContentDate", "SeriesDate", "StudyDate"),
        device=device_of(header),
        warnings=tuple(code for code, found in doubts.items() if found),
        # Stored in single precision: -4.25 and not -4.249999…
        md=round(sign * md, 4),
        psd=_rounded(number(results, "LocalizedDeviationFromNormal")),
        vfi=_index(header),
        pattern=pattern,
        strategy=strategy,
        **kept,
    )


def _sign(header: Dataset, convention: str | None) -> int:
    if convention is not None:
        return 1 if convention == "hfa" else -1
    if (device_of(header) or "").startswith("zeiss") or "humphrey" in (
        text(header, "ManufacturerModelName") or ""
    ).lower():
        return 1
    detail = "The perimeter is no Humphrey; others give the mean defect, whose sign is the opposite."
    fix = "Say which with `md_convention`: `hfa` when loss is negative, `octopus` when it is positive."
    raise RefusedError(reason="md-sign-unknown", detail=detail, fix=fix)


def _named(header: Dataset, table: dict[str, str], meanings: tuple[str, ...]) -> str | None:
    protocol: list[Code] = codes(header, "PerformedProtocolCodeSequence")
    for code in protocol:
        if code.value in table:
            return table[code.value]
    for code in protocol:
        meaning = code.meaning.replace(" ", "-")
        found = next((word for word in meanings if word in meaning), None)
        if found is not None:
            return "24-2C" if found == "24-2c" else found
    return None


def _rates(header: Dataset) -> dict[str, float | None]:
    """Shares of what was tried."""
    fixation = first(header, "FixationSequence")
    catch = first(header, "VisualFieldCatchTrialSequence")
    return {
        "fixation_losses": _share(fixation, "PatientNotProperlyFixatedQuantity", "FixationCheckedQuantity"),
        "false_positives": _estimate(catch, "FalsePositives", "PositiveCatchTrialsQuantity"),
        "false_negatives": _estimate(catch, "FalseNegatives", "NegativeCatchTrialsQuantity"),
    }


def _estimate(catch: Dataset | None, name: str, tried: str) -> float | None:
    """The device's estimate in per cent where its flag says so, or says nothing; otherwise counts of catch trials."""
    if catch is None:
        return None
    estimate = number(catch, f"{name}Estimate")
    if estimate is not None and words(catch, f"{name}EstimateFlag") in (["YES"], []):
        # Stored in single precision.
        return round(estimate / 100, 8)
    if words(catch, "CatchTrialsDataFlag") == ["NO"]:
        return None
    return _share(catch, f"{name}Quantity", tried)


def _share(dataset: Dataset | None, part: str, whole: str) -> float | None:
    if dataset is None:
        return None
    counted, tried = number(dataset, part), number(dataset, whole)
    return counted / tried if counted is not None and tried else None


def _index(header: Dataset) -> float | None:
    for index in items(header, "VisualFieldGlobalResultsIndexSequence"):
        for observation in items(index, "DataObservationSequence"):
            if any(code.value == _VISUAL_FIELD_INDEX for code in codes(observation, "ConceptNameCodeSequence")):
                found = number(observation, "NumericValue")
                return found if found is not None and 0 <= found <= 100 else None
    return None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
