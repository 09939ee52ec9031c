"""Heidelberg's binary exports: .vol and .E2E."""

import struct
from datetime import date
from pathlib import Path

import clinical_vendor as vendor
import numpy as np
import pytest

from medmd.io import RefusedError, read, read_all, recognise
from medmd.io._heidelberg import display, display_of_packed


def _reason(data: bytes | Path) -> str:
    with pytest.raises(RefusedError) as caught:
        read_all(data)
    return caught.value.reason


# --- Intensities ----------------------------------------------------------------------------------------------------


def test_the_display_is_the_fourth_root() -> None:
    values = np.array([[0, 1e-4, 0.0625, 0.5, 1, np.finfo(np.float32).max]], np.float32)
    gray, clipped = display(values)
    assert gray.tolist() == [[0, 26, 128, 214, 255, 0]]
    assert not clipped


def test_values_above_one_are_cut_off_and_told() -> None:
    gray, clipped = display(np.array([[0.5, 3]], np.float32))
    assert gray.tolist() == [[214, 255]]
    assert clipped


@pytest.mark.parametrize("bad", [-0.5, np.nan, -np.inf])
def test_intensities_that_cannot_be_are_refused(bad: float) -> None:
    with pytest.raises(RefusedError, match="pixels-invalid"):
        display(np.array([[0.5, bad]], np.float32))


def test_packed_floats_follow_their_definition() -> None:
    table = display_of_packed()
    for code in (0, 1, 1023, 1024, 45852, 52000, 60000, 62 << 10, 0xFC00):
        exponent, mantissa = code >> 10, code & 1023
        value = mantissa / 1024 * 2.0**-62 if exponent == 0 else (1 + mantissa / 1024) * 2.0 ** (exponent - 63)
        assert table[code] == round(255 * min(value, 1) ** 0.25)
    assert table[0xFFFF] == 0
    assert np.all(np.diff(table[:-1].astype(int)) >= 0)


# --- .vol -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("from_path", [True, False])
def test_a_vol_file_is_read(tmp_path: Path, from_path: bool) -> None:
    values = vendor.gray_volume(5, 12, 9) / 255
    data = vendor.vol(values, side="OS", scales=(0.12, 0.00387, 0.0057), quality=31.5)
    (tmp_path / "a.vol").write_bytes(data)
    volume = read(tmp_path / "a.vol" if from_path else data)
    assert np.array_equal(volume.pixels, np.rint(255 * values**0.25).astype(np.uint8))
    assert volume.spacing == pytest.approx((0.12, 0.00387, 0.0057))
    assert (volume.laterality, volume.scan_pattern, volume.signal) == ("L", "raster", 31.5)
    assert (volume.source_format, volume.device) == ("heidelberg-vol", "heidelberg spectralis")
    assert volume.acquired == date(2011, 3, 3)
    assert volume.subject.identifier == "1000001"
    assert volume.subject.birth_date == date(1947, 12, 23)
    assert volume.warnings == ()


@pytest.mark.parametrize(
    ("number", "name"), [(0, None), (1, "line"), (2, "circle"), (3, "raster"), (4, "raster"), (5, "radial")]
)
def test_only_parallel_slices_have_a_distance(number: int, name: str | None) -> None:
    volume = read(vendor.vol(pattern=number))
    assert volume.scan_pattern == name
    assert (volume.spacing.between_slices is None) == (name not in (None, "raster"))


def test_one_slice_has_no_distance_to_another() -> None:
    assert read(vendor.vol(vendor.gray_volume(1) / 255)).spacing.between_slices is None


def test_an_eye_that_is_not_named_stays_unknown() -> None:
    volume = read(vendor.vol(side="--", quality=3.4e38))
    assert volume.laterality is None
    assert volume.warnings == ("laterality-unknown",)
    assert volume.signal is None


def test_headers_that_disagree_are_refused() -> None:
    data = bytearray(vendor.vol())
    data[100:104] = struct.pack("<I", 9999)
    assert _reason(bytes(data)) == "header-contradicts"


def test_the_header_of_eyepy_may_name_another_length() -> None:
    data = bytearray(vendor.vol(version=b"ep-v0.6.8   "))
    data[100:104] = struct.pack("<I", 61440)
    assert np.array_equal(read(bytes(data)).pixels, read(vendor.vol()).pixels)


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ((4, 12, 2**31), "size-too-large"),
        ((2**20, 1, 1), "truncated"),
        ((0, 12, 10), "size-impossible"),
        ((5, 12, 10), "truncated"),
    ],
)
def test_declared_sizes_are_checked(declared: tuple[int, int, int], reason: str) -> None:
    assert _reason(vendor.vol(declared=declared)) == reason


def test_a_vol_file_that_ends_early_is_refused() -> None:
    data = vendor.vol()
    assert {_reason(data[:length]) for length in (100, 2047, 2100, len(data) - 1)} == {"truncated"}


def test_eyepy_sees_the_same_volume(tmp_path: Path) -> None:
    eyepy = pytest.importorskip("eyepy", reason="eyepy, an independent reader, is not installed")
    data = vendor.vol(vendor.gray_volume(6, 14, 11) / 255, side="OD", version=b"HSF-OCT-103 ")
    path = tmp_path / "a.vol"
    path.write_bytes(data)
    theirs, ours = eyepy.import_heyex_vol(path), read(path)
    # Their display is another curve over the same stored values.
    assert np.array_equal(ours.pixels, np.rint(255 * theirs._raw_data.astype(float) ** 0.25))
    assert (theirs.scale_z, theirs.scale_y, theirs.scale_x) == pytest.approx(ours.spacing)
    assert theirs.laterality == "OD"


# --- .E2E -----------------------------------------------------------------------------------------------------------


def test_an_e2e_file_is_read() -> None:
    packed = vendor.gray_volume(5, 12, 9, dtype=np.uint16) % (63 << 10)
    volume = read(vendor.e2e(packed, sides=(b"L", b"L"), scale=0.00387))
    assert np.array_equal(volume.pixels, display_of_packed()[packed])
    assert volume.spacing == (None, pytest.approx(0.00387), None)
    assert (volume.laterality, volume.scan_pattern, volume.key) == ("L", "raster", "series-0")
    assert volume.acquired == date(2011, 3, 3)
    assert (volume.subject.identifier, volume.subject.sex, volume.subject.birth_date) == ("1000001", "F", None)
    assert volume.warnings == ()


def test_slices_of_e2e_stand_by_number_not_by_place_in_the_file() -> None:
    assert np.array_equal(read(vendor.e2e(order=(2, 0, 3, 1))).pixels, read(vendor.e2e()).pixels)


def test_numbers_may_begin_at_two_and_files_with_a_prefix() -> None:
    plain = read(vendor.e2e(first=2))
    prefixed = read(b"E2EMultipleVolumeFile".ljust(64, b"\0") + vendor.e2e())
    assert np.array_equal(plain.pixels, prefixed.pixels)


def test_series_are_kept_apart_with_their_own_eyes() -> None:
    first, second = vendor.e2e(sides=(b"R",)), vendor.e2e(sides=(), series=4)
    right, unknown = read_all(first + second[36:])
    assert (right.laterality, unknown.laterality) == ("R", None)
    assert unknown.warnings == ("laterality-unknown",)
    assert right.key != unknown.key


def test_both_eyes_for_one_series_are_refused() -> None:
    assert _reason(vendor.e2e(sides=(b"R", b"L"))) == "laterality-contradicts"


def test_an_unknown_letter_is_no_eye() -> None:
    assert read(vendor.e2e(sides=(b"?",))).laterality is None


@pytest.mark.parametrize("order", [(0, 1, 3), (0, 1)])
def test_a_series_that_lacks_slices_is_refused(order: tuple[int, ...]) -> None:
    assert _reason(vendor.e2e(order=order)) == "slices-missing"


def test_repeated_slices_are_refused() -> None:
    assert _reason(vendor.e2e(order=(0, 1, 1, 2, 3))) == "slices-repeated"


def test_slices_of_two_sizes_are_refused() -> None:
    longer = vendor.gray_volume(4, 14, 10, dtype=np.uint16)
    assert _reason(vendor.e2e(order=(0, 1)) + vendor.e2e(longer, order=(2, 3))[36:]) == "slices-differ"


def test_an_e2e_file_without_slices_is_refused() -> None:
    assert _reason(vendor.e2e(order=())[:36]) == "no-volume"
    assert _reason(b"CMDb" + bytes(40)) == "no-volume"


def test_a_wrong_length_of_a_chunk_is_not_followed() -> None:
    data = bytearray(vendor.e2e())
    at = data.index(b"MDbData") + 24
    data[at : at + 4] = struct.pack("<I", 2**31)
    assert np.array_equal(read(bytes(data)).pixels, read(vendor.e2e()).pixels)


def test_a_slice_larger_than_its_chunk_is_refused() -> None:
    data = bytearray(vendor.e2e())
    at = data.index(struct.pack("<I", 0x02200201)) + 8
    data[at : at + 8] = struct.pack("<2I", 4000, 4000)
    assert _reason(bytes(data)) == "truncated"


def test_chunks_beyond_a_block_are_found() -> None:
    data = vendor.e2e()
    assert np.array_equal(read(data[:36] + bytes(3 * 2**20) + data[36:]).pixels, read(data).pixels)


def test_the_number_of_chunks_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medmd.io.heidelberg_e2e._MOST_CHUNKS", 5)
    assert _reason(vendor.e2e()) == "size-too-large"


# --- Real -----------------------------------------------------------------------------------------------------------


@pytest.mark.real_data
def test_the_real_e2e_slice(real_data: Path) -> None:
    path = real_data / "oct_samples/panimg/e2e_minimized.E2E"
    assert recognise(path) == "heidelberg_e2e"
    volume = read(path)
    assert volume.pixels.shape == (1, 496, 512)
    assert volume.pixels.dtype == np.uint8
    assert volume.laterality == "L"
    assert volume.spacing == (None, None, None)
    # A retina is a bright band in the dark: the brightest row is several times brighter than the median one.
    rows = volume.pixels[0].mean(1)
    assert rows.max() > 3 * np.median(rows)
    assert 200 < volume.pixels.max() <= 255


@pytest.mark.real_data
def test_the_vol_sample_and_eyepy(real_data: Path) -> None:
    path = real_data / "oct_samples/eyepy/heyex_vol/test_volume.vol"
    volume = read(path)
    assert volume.pixels.shape == (10, 40, 50)
    assert volume.spacing == pytest.approx((0.0314, 0.00387, 0.0118), rel=2e-3)
    assert volume.laterality == "R"
    eyepy = pytest.importorskip("eyepy", reason="eyepy, an independent reader, is not installed")
    theirs = eyepy.import_heyex_vol(path)
    assert (theirs.scale_z, theirs.scale_y, theirs.scale_x) == pytest.approx(volume.spacing)
    # The dummy holds gray values instead of reflectivities: whatever is above 1 is white by both readers.
    assert np.array_equal(theirs._raw_data >= 1, volume.pixels == 255)
    assert volume.warnings == ("intensities-clipped",)
