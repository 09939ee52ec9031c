"""Heidelberg's XML export: an XML and images beside it."""

from datetime import date
from pathlib import Path

import clinical_vendor as vendor
import numpy as np
import pytest
from PIL import Image

from medmd.io import RefusedError, read, read_all, recognise


def _reason(path: Path | bytes) -> str:
    with pytest.raises(RefusedError) as caught:
        read_all(path)
    return caught.value.reason


def _edit(path: Path, old: str, new: str, count: int = -1) -> Path:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, count), "utf-8")
    return path


def test_an_export_is_read(tmp_path: Path) -> None:
    pixels = vendor.gray_volume(12, 9, 7)
    path = vendor.heyex_xml(tmp_path, pixels, side="L", scales=(0.12, 0.00387, 0.0057))
    volume = read(path)
    # Twelve: by number, not by name, in which B10 stands before B2.
    assert np.array_equal(volume.pixels, pixels)
    assert volume.spacing == pytest.approx((0.12, 0.00387, 0.0057))
    assert (volume.laterality, volume.scan_pattern, volume.signal) == ("L", "raster", 26)
    assert (volume.source_format, volume.device) == ("heidelberg-xml", "heidelberg spectralis")
    assert volume.acquired == date(2011, 3, 3)
    assert (volume.subject.identifier, volume.subject.sex) == ("1000001", "F")
    assert volume.subject.birth_date == date(1947, 12, 23)
    assert volume.warnings == ()


def test_slices_stand_by_number_not_by_place(tmp_path: Path) -> None:
    path = vendor.heyex_xml(tmp_path, vendor.gray_volume(2))
    for old, new in (("<ImageNumber>1<", "<ImageNumber>9<"), ("<ImageNumber>2<", "<ImageNumber>3<")):
        _edit(path, old, new)
    assert np.array_equal(read(path).pixels, vendor.gray_volume(2)[::-1])


def test_without_numbers_the_order_is_assumed(tmp_path: Path) -> None:
    path = vendor.heyex_xml(tmp_path)
    _edit(path, "<ImageNumber>", "<Other>")
    _edit(path, "</ImageNumber>", "</Other>")
    assert read(path).warnings == ("order-assumed",)


def test_bytes_alone_do_not_lead_to_the_images(tmp_path: Path) -> None:
    assert _reason(vendor.heyex_xml(tmp_path).read_bytes()) == "needs-folder"


@pytest.mark.parametrize(("side", "known"), [("OD", "R"), ("OS", "L"), ("", None), ("B", None)])
def test_the_eye(tmp_path: Path, side: str, known: str | None) -> None:
    volume = read(vendor.heyex_xml(tmp_path, side=side))
    assert volume.laterality == known
    assert ("laterality-unknown" in volume.warnings) == (known is None)


def test_both_eyes_in_one_series_are_refused(tmp_path: Path) -> None:
    assert _reason(vendor.heyex_xml(tmp_path, side="R", image_side="L")) == "laterality-contradicts"


def test_uneven_slices_have_no_distance(tmp_path: Path) -> None:
    volume = read(_edit(vendor.heyex_xml(tmp_path), "<Y>5.000000</Y>", "<Y>4.990000</Y>"))
    assert volume.spacing.between_slices is None
    assert volume.warnings == ("spacing-uneven",)


@pytest.mark.parametrize("kind", ["Star", "Circle", "Single"])
def test_only_parallel_slices_have_a_distance(tmp_path: Path, kind: str) -> None:
    volume = read(vendor.heyex_xml(tmp_path, kind=kind))
    assert volume.spacing.between_slices is None
    assert volume.warnings == ()


def test_what_is_not_there_stays_unknown(tmp_path: Path) -> None:
    path = vendor.heyex_xml(tmp_path)
    for name in ("Birthdate", "StudyDate", "ImageQuality", "Start", "ScaleX"):
        _edit(path, f"<{name}>", "<Other>")
        _edit(path, f"</{name}>", "</Other>")
    volume = read(path)
    assert (volume.acquired, volume.signal, volume.subject.birth_date) == (None, None, None)
    assert volume.spacing == (None, pytest.approx(0.00387), None)


def test_scales_that_differ_are_no_scale(tmp_path: Path) -> None:
    path = _edit(vendor.heyex_xml(tmp_path), "<ScaleY>0.00387<", "<ScaleY>0.5<", 1)
    assert read(path).spacing.depth is None


@pytest.mark.parametrize(
    "name",
    ["..\\..\\B0.tif", "../B0.tif", "file:///..", "", "/", "C:B0.tif", "B0.tif:stream", "a/../B0.tif", "B\t0.tif"],
)
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    vendor.heyex_xml(tmp_path, vendor.gray_volume(1))
    path = vendor.heyex_xml(tmp_path / "inner", vendor.gray_volume(1), names=[name])
    assert _reason(path) == "path-escapes"


def test_only_the_last_part_of_a_path_counts(tmp_path: Path) -> None:
    path = vendor.heyex_xml(tmp_path, vendor.gray_volume(1), names=["/etc/B0.tif"])
    assert np.array_equal(read(path).pixels, vendor.gray_volume(1))


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    path = vendor.heyex_xml(tmp_path / "inner", vendor.gray_volume(1))
    (tmp_path / "inner/B0.tif").rename(tmp_path / "B0.tif")
    (tmp_path / "inner/B0.tif").symlink_to(tmp_path / "B0.tif")
    assert _reason(path) == "path-escapes"


def test_absent_images_are_refused(tmp_path: Path) -> None:
    path = vendor.heyex_xml(tmp_path)
    (tmp_path / "B2.tif").unlink()
    assert _reason(path) == "images-missing"
    (tmp_path / "B2.tif").mkdir()
    assert _reason(path) == "images-missing"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("<ImageNumber>2<", "<ImageNumber>1<", "slices-repeated"),
        ("B1.tif", "B0.tif", "slices-repeated"),
        ("<Height>12<", "<Height>13<", "size-contradicts"),
        ("<Type>OCT<", "<Type>IR<", "no-volume"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert _reason(_edit(vendor.heyex_xml(tmp_path), old, new)) == reason


def test_sizes_that_differ_or_are_absent_are_refused(tmp_path: Path) -> None:
    assert _reason(_edit(vendor.heyex_xml(tmp_path), "<Height>12<", "<Height>13<", 1)) == "slices-differ"
    assert _reason(_edit(vendor.heyex_xml(tmp_path / "b"), "Height>", "Other>")) == "slices-differ"


def test_huge_declared_sizes_are_refused(tmp_path: Path) -> None:
    assert _reason(vendor.heyex_xml(tmp_path, declared=(2**20, 2**20))) == "size-too-large"


def test_images_with_drawings_or_other_bits_are_refused(tmp_path: Path) -> None:
    path = vendor.heyex_xml(tmp_path)
    gray = vendor.gray_volume()[0]
    as_rgb = np.stack([gray] * 3, -1)
    Image.fromarray(as_rgb).save(tmp_path / "B0.tif")
    assert np.array_equal(read(path).pixels, vendor.gray_volume())
    as_rgb[2, 3] = (255, 0, 0)
    Image.fromarray(as_rgb).save(tmp_path / "B0.tif")
    assert _reason(path) == "colour-model"
    Image.fromarray(gray.astype(np.uint16)).save(tmp_path / "B0.tif")
    assert _reason(path) == "pixel-format"
    Image.fromarray(gray).convert("CMYK").save(tmp_path / "B0.tif")
    assert _reason(path) == "colour-model"


# --- XML ------------------------------------------------------------------------------------------------------------

_BOMB = '<!DOCTYPE HEDX [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
_EXTERNAL = '<!DOCTYPE HEDX [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("prologue", [_BOMB, _EXTERNAL, '<!DOCTYPE HEDX SYSTEM "http://127.0.0.1:9/a.dtd">'])
def test_document_types_are_refused(tmp_path: Path, prologue: str) -> None:
    path = vendor.heyex_xml(tmp_path, prologue=prologue, person=vendor.Person(identifier="&a;"))
    assert _reason(path) == "xml-entities"


@pytest.mark.parametrize("damage", ["</HEDX>", "<Patient>", 'encoding="UTF-8"'])
def test_xml_that_is_not_well_formed_is_refused(tmp_path: Path, damage: str) -> None:
    path = _edit(vendor.heyex_xml(tmp_path), damage, 'encoding="nobody-knows"' if "=" in damage else "")
    assert _reason(path) == "xml-damaged"


def test_depth_number_and_size_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.xml"
    path.write_text("<HEDX>" + "<a>" * 200 + "</a>" * 200 + "</HEDX>")
    assert _reason(path) == "size-too-large"
    monkeypatch.setattr("medmd.io._xml._MOST_ELEMENTS", 10)
    path.write_text("<HEDX>" + "<a/>" * 20 + "</HEDX>")
    assert _reason(path) == "size-too-large"
    monkeypatch.setattr("medmd.io._xml.MAX_TEXT_BYTES", 10)
    assert _reason(path) == "size-too-large"


@pytest.mark.parametrize(
    ("encoding", "declared"), [("latin-1", ""), ("latin-1", "ISO-8859-1"), ("utf-16", "UTF-16"), ("utf-8", "")]
)
def test_encodings(tmp_path: Path, encoding: str, declared: str) -> None:
    person = vendor.Person(identifier="Müller-7")
    prologue = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    path = vendor.heyex_xml(tmp_path, person=person, prologue=prologue)
    path.write_bytes(path.read_text("utf-8").encode(encoding))
    assert recognise(path) == "heidelberg_xml"
    assert read(path).subject.identifier == "Müller-7"


def test_other_xml_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    for text in ("<html/>", "no element", "<?xml version='1.0'?>"):
        path.write_text(text)
        assert recognise(path) is None


# --- Real -----------------------------------------------------------------------------------------------------------


@pytest.mark.real_data
def test_the_sample_and_eyepy(real_data: Path) -> None:
    folder = real_data / "oct_samples/eyepy/heyex_xml/test_volume"
    volume = read(folder / "test_dummy.xml")
    assert volume.pixels.shape == (10, 40, 50)
    assert volume.spacing == pytest.approx((0.0314, 0.00387, 0.0118), rel=2e-3)
    assert volume.laterality == "R"
    eyepy = pytest.importorskip("eyepy", reason="eyepy, an independent reader, is not installed")
    theirs = eyepy.import_heyex_xml(folder)
    assert np.array_equal(theirs.data, volume.pixels)
    assert (theirs.scale_z, theirs.scale_y, theirs.scale_x) == pytest.approx(volume.spacing)
