"""Topcon's .fda and .fds."""

import struct
from datetime import date
from pathlib import Path

import clinical_vendor as vendor
import numpy as np
import pytest

from medmd.io import RefusedError, read, read_all, recognise


def _reason(data: bytes | Path) -> str:
    with pytest.raises(RefusedError) as caught:
        read_all(data)
    return caught.value.reason


@pytest.mark.parametrize("from_path", [True, False])
@pytest.mark.parametrize(("write", "dtype"), [(vendor.fda, np.uint8), (vendor.fda, np.uint16), (vendor.fds, np.uint16)])
def test_a_volume_is_read(tmp_path: Path, write, dtype: type, from_path: bool) -> None:
    pixels = vendor.gray_volume(5, 12, 9, dtype=dtype)
    data = write(pixels, eye=0, extents=(4.5, 6.0, 2.6))
    (tmp_path / "scan").write_bytes(data)
    volume = read(tmp_path / "scan" if from_path else data)
    assert np.array_equal(volume.pixels, pixels)
    assert volume.pixels.dtype == dtype
    assert volume.pixels.flags.writeable
    assert volume.spacing == pytest.approx((6.0 / 5, 0.0026, 4.5 / 9))
    assert (volume.laterality, volume.scan_pattern) == ("R", "raster")
    assert (volume.source_format, volume.device) == ("topcon", "topcon 3d oct-1000")
    assert volume.acquired == date(2011, 3, 3)
    assert (volume.subject.identifier, volume.subject.sex) == ("1000001", "F")
    assert volume.subject.birth_date == date(1947, 12, 23)


@pytest.mark.parametrize("write", [vendor.fda, vendor.fds])
def test_the_photograph_comes_with_it_in_red_green_blue(write) -> None:
    photo = vendor.photograph(70, 80)
    volume, found = read_all(write(photo=photo))
    assert np.array_equal(found.pixels, photo)
    assert (found.laterality, found.acquired, found.subject) == (volume.laterality, volume.acquired, volume.subject)


def test_placeholders_of_photographs_are_passed_over() -> None:
    assert len(read_all(vendor.fda(photo=vendor.photograph(3, 2)))) == 1


@pytest.mark.parametrize(("eye", "known"), [(0, "R"), (1, "L"), (7, None), (None, None)])
def test_the_eye(eye: int | None, known: str | None) -> None:
    volume = read(vendor.fda(eye=eye))
    assert volume.laterality == known
    assert volume.warnings == (() if known else ("laterality-unknown",))


def test_the_older_chunk_names_eye_and_day_as_well() -> None:
    chunk = struct.pack("<B6H", 0, 2012, 5, 6, 1, 2, 3)
    added = bytes([13]) + b"@CAPTURE_INFO" + struct.pack("<I", len(chunk)) + chunk + b"\0"
    volume = read(vendor.fda(eye=None)[:-1] + added)
    assert (volume.laterality, volume.acquired) == ("R", date(2012, 5, 6))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("3DOCT-2000FA", "topcon 3d oct-2000"),
        ("3DOCT-1Maestro", "topcon maestro"),
        ("DRI OCT Triton", "topcon triton"),
        ("Smith", None),
    ],
)
def test_only_known_devices_are_named(model: str, name: str | None) -> None:
    assert read(vendor.fda(model=model)).device == name


@pytest.mark.parametrize(("mode", "name"), [(0, "line"), (2, "raster"), (3, "radial"), (7, None)])
def test_only_parallel_slices_have_a_distance(mode: int, name: str | None) -> None:
    volume = read(vendor.fds(mode=mode))
    assert volume.scan_pattern == name
    assert (volume.spacing.between_slices is None) == (name != "raster")


def test_without_facts_all_of_them_are_unknown() -> None:
    data = vendor.fds()
    for name in (b"@PARAM_SCAN_04", b"@PATIENT_INFO_02", b"@HW_INFO_03"):
        data = data.replace(name, name[:-2] + b"99")
    volume = read(data)
    assert volume.spacing == (None, None, None)
    assert (volume.device, volume.subject.identifier) == (None, None)


@pytest.mark.parametrize(
    ("write", "declared", "reason"),
    [
        (vendor.fda, (4, 13, 10), "size-contradicts"),
        (vendor.fda, (5, 12, 10), "truncated"),
        (vendor.fda, (2**28, 1, 1), "truncated"),
        (vendor.fda, (2**31, 512, 512), "size-too-large"),
        (vendor.fda, (1, 2**13, 2**13), "size-too-large"),
        (vendor.fda, (0, 12, 10), "size-impossible"),
        (vendor.fds, (5, 12, 10), "truncated"),
        (vendor.fds, (4, 11, 10), "ok"),
        (vendor.fds, (2**16, 2**15, 1), "size-too-large"),
    ],
)
def test_declared_sizes_are_checked(write, declared: tuple[int, int, int], reason: str) -> None:
    if reason == "ok":
        # The chunk holds more than the declared volume: not ours to doubt.
        assert read(write(declared=declared)).pixels.shape == declared
    else:
        assert _reason(write(declared=declared)) == reason


def test_other_depths_of_bits_are_refused() -> None:
    assert _reason(vendor.fds(bits=8)) == "pixel-format"


def test_slices_that_differ_in_bits_or_have_colours_are_refused() -> None:
    eight, sixteen = vendor.jpeg2000(vendor.gray_volume()[0]), vendor.jpeg2000(vendor.gray_volume(dtype=np.uint16)[0])
    colour = vendor.jpeg2000(vendor.photograph(12, 10))
    for images, reason in (((eight, sixteen), "slices-differ"), ((colour, colour), "colour-model")):
        body = struct.pack("<B6I", 2, 0, 0, 10, 12, 2, 0) + b"".join(struct.pack("<I", len(i)) + i for i in images)
        assert _reason(vendor.topcon_file(b"FDA", [(b"@IMG_JPEG", body)])) == reason


def test_a_photograph_that_is_gray_is_refused() -> None:
    image = vendor.jpeg2000(vendor.gray_volume(1, 80, 80)[0])
    chunk = struct.pack("<6I", 80, 80, 24, 1, 0xA02, len(image)) + image
    assert _reason(vendor.topcon_file(b"FDA", [(b"@IMG_FUNDUS", chunk)])) == "colour-model"


def test_a_file_without_slices_is_refused() -> None:
    assert _reason(vendor.topcon_file(b"FDA", [])) == "no-volume"


def test_the_outer_eye_is_refused() -> None:
    assert _reason(vendor.topcon_file(b"FAA", [])) == "external-eye"


def test_a_file_that_ends_early_is_refused() -> None:
    data = vendor.fda()
    assert {_reason(data[:length]) for length in (7, 15, 40, len(data) // 2, len(data) - 1)} == {"truncated"}


def test_the_number_of_chunks_is_bounded() -> None:
    assert _reason(b"FOCTFDA" + bytes(8) + (b"\x01@" + bytes(4)) * 10_001) == "size-too-large"


@pytest.mark.real_data
def test_the_real_fda_slice(real_data: Path) -> None:
    path = real_data / "oct_samples/panimg/fda_minimized.fda"
    volume = read(path)
    assert volume.pixels.shape == (1, 650, 512)
    assert volume.spacing == pytest.approx((6, 0.0035, 0.0117), rel=2e-3)
    assert (volume.laterality, volume.acquired, volume.device) == ("L", date(2010, 7, 9), "topcon 3d oct-1000")
    assert volume.pixels.std() > 10


@pytest.mark.real_data
def test_the_real_fds_volume_and_the_empty_file(real_data: Path) -> None:
    folder = real_data / "oct_samples/panimg"
    volume = read(folder / "fds_minimized.fds")
    assert (volume.pixels.shape, volume.pixels.dtype) == ((4, 3, 2), np.uint16)
    assert (volume.laterality, volume.spacing) == ("L", (1.5, 0.0035, 3.0))
    # As a hex dump of the file shows it; a second copy in the file, corrected for motion, is not what is read.
    assert volume.pixels[0, 0].tolist() == [0x47F1, 0x49A9]
    assert recognise(folder / "corrupt.fds") is None
    assert _reason(folder / "corrupt.fds") == "format-unknown"
