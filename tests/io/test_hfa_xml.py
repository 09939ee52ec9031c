"""Visual fields of a Humphrey perimeter as CZM-XML."""

from datetime import date
from pathlib import Path

import clinical_vendor as vendor
import pytest

from medmd.io import RefusedError, VisualField, read, read_all, recognise


def _reason(data: bytes | Path) -> str:
    with pytest.raises(RefusedError) as caught:
        read_all(data)
    return caught.value.reason


@pytest.mark.parametrize("from_path", [True, False])
def test_a_field_is_read(tmp_path: Path, from_path: bool) -> None:
    data = vendor.hfa_xml(md="-12.34", psd="7.8", side="R", vfi="65%")
    (tmp_path / "a").write_bytes(data)
    field = read(tmp_path / "a" if from_path else data)
    assert isinstance(field, VisualField)
    assert (field.md, field.psd, field.vfi) == (-12.34, 7.8, 65)
    assert (field.laterality, field.pattern, field.strategy) == ("R", "24-2", "sita-standard")
    assert field.fixation_losses == pytest.approx(2 / 15)
    assert (field.false_positives, field.false_negatives) == pytest.approx((0.2, 0.07))
    assert field.acquired == date(2011, 3, 3)
    assert (field.subject.identifier, field.subject.sex) == ("1000001", "F")
    assert field.subject.birth_date == date(1947, 12, 23)
    assert (field.source_format, field.device, field.warnings) == ("hfa-xml", "zeiss hfa", ())


@pytest.mark.parametrize(
    ("test", "strategy", "pattern", "known"),
    [
        ("24-2 SITA-Standard", "", "24-2", "sita-standard"),
        ("", "SITA-Fast", None, "sita-fast"),
        ("30-2", "SITA Faster", "30-2", "sita-faster"),
        ("24-2C SITA-Faster", "SITA-Faster", "24-2C", "sita-faster"),
        ("10-2", "Full Threshold", "10-2", "full-threshold"),
        ("24-2 SITA-SWAP", "SITA-SWAP", "24-2", "sita-swap"),
        ("Esterman", "Two Zone", None, None),
    ],
)
def test_pattern_and_strategy(test: str, strategy: str, pattern: str | None, known: str | None) -> None:
    field = read(vendor.hfa_xml(test=test, strategy=strategy))
    assert (field.pattern, field.strategy) == (pattern, known)
    assert ("pattern-unknown" in field.warnings) == (pattern is None)
    assert ("strategy-unknown" in field.warnings) == (known is None)


def test_a_blue_stimulus_is_short_wavelength_perimetry() -> None:
    assert read(vendor.hfa_xml(colour="Blue")).strategy == "sita-swap"


@pytest.mark.parametrize("trials", [("", ""), ("0", "0"), ("15", ""), ("15", "16"), ("15", "-1"), ("x", "1")])
def test_fixation_that_was_not_checked_is_unknown(trials: tuple[str, str]) -> None:
    assert read(vendor.hfa_xml(fixation=trials)).fixation_losses is None


@pytest.mark.parametrize("value", ["", "-1", "101", "N/A", "nan"])
def test_reliability_that_is_no_share_is_unknown(value: str) -> None:
    field = read(vendor.hfa_xml(positives=value, negatives=value, vfi=value, psd="" if value == "" else "nan"))
    assert (field.false_positives, field.false_negatives, field.vfi, field.psd) == (None, None, None, None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"md": ""}, "md-missing"),
        ({"md": "inf"}, "md-missing"),
        ({"md": "-41"}, "md-impossible"),
        ({"md": "6.1"}, "md-impossible"),
        ({"side": ""}, "laterality-missing"),
        ({"side": "B"}, "laterality-missing"),
        ({"test_date": ""}, "date-missing"),
        ({"study_date": ""}, "date-missing"),
        ({"test_date": "2011-13-40"}, "date-missing"),
        ({"prologue": "-- BAD XML --"}, "xml-damaged"),
        ({"prologue": '<!DOCTYPE a [<!ENTITY b "c">]>'}, "xml-entities"),
    ],
)
def test_faults_end_as_refusals(change: dict[str, str], reason: str) -> None:
    assert _reason(vendor.hfa_xml(**change)) == reason


def test_dates_that_differ_are_told_and_the_test_counts() -> None:
    field = read(vendor.hfa_xml(study_date="2010-10-11"))
    assert (field.acquired, field.warnings) == (date(2011, 3, 3), ("dates-differ",))


def test_another_document_of_the_family_is_refused() -> None:
    assert _reason(b"<CZM-XML><DataSet/></CZM-XML>") == "no-visual-field"


def test_another_maker_is_not_named() -> None:
    assert read(vendor.hfa_xml().replace(b"Carl Zeiss Meditec", b"Smith")).device is None


@pytest.mark.real_data
def test_the_samples_and_their_faults(real_data: Path) -> None:
    reasons = {}
    for path in sorted((real_data / "hfa_xml").glob("*.xml")):
        assert recognise(path) == "hfa_xml"
        try:
            field = read(path)
        except RefusedError as error:
            reasons[path.name[:16]] = error.reason
        else:
            assert (field.md, field.psd, field.laterality) == (-0.52, 2.03, "L" if "left" in path.name else "R")
            assert field.strategy == "sita-standard"
            assert field.pattern == (None if "left_hfa_09" in path.name else "24-2")
    assert reasons == {
        "TEST_left_hfa_06": "date-missing",
        "TEST_left_hfa_08": "laterality-missing",
        "TEST_left_hfa_11": "xml-damaged",
    }
