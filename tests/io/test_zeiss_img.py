"""Zeiss Cirrus raw cubes, known by their names."""

from datetime import date
from pathlib import Path

import clinical_vendor as vendor
import numpy as np
import pytest

from medmd.io import RefusedError, read, recognise
from medmd.io.zeiss_img import read_all


@pytest.fixture(scope="module")
def cube() -> np.ndarray:
    return vendor.gray_volume(20, 1024, 30)


@pytest.mark.parametrize(
    ("name", "side", "region"),
    [
        ({}, "R", "macula"),
        ({"side": "OS", "scan": "Optic Disc Cube 30x20"}, "L", "disc"),
        ({"end": "cube_raw.img"}, "R", "macula"),
    ],
)
def test_a_cube_is_read(tmp_path: Path, cube: np.ndarray, name: dict[str, str], side: str, region: str) -> None:
    path = vendor.zeiss_img(tmp_path, cube, **name)
    assert recognise(path) == recognise(str(path)) == "zeiss_img"
    volume = read(path)
    assert np.array_equal(volume.pixels, cube)
    assert volume.spacing == pytest.approx((6 / 20, 2 / 1024, 6 / 30))
    assert (volume.laterality, volume.region, volume.acquired) == (side, region, date(2011, 3, 3))
    assert volume.subject.identifier == "1000001"
    assert (volume.source_format, volume.device, volume.scan_pattern) == ("zeiss-img", "zeiss cirrus", "raster")
    assert volume.warnings == ("orientation-assumed", "spacing-nominal")


def test_the_first_stored_byte_is_the_last_voxel(tmp_path: Path) -> None:
    """Independent of the writer above: the layout itself."""
    stored = bytearray(10 * 1024 * 12)
    stored[0] = 9
    path = tmp_path / vendor.zeiss_name(scan="Macular Cube 12x10")
    path.write_bytes(stored)
    assert np.argwhere(read(path).pixels == 9).tolist() == [[9, 1023, 11]]


@pytest.mark.parametrize(
    "name", ["scan.img", "P1_Macular Cube 512x128.img", "P1_HD 5 Line Raster_1-2-2011_1-2-3_OD_sn1_cube_z.img"]
)
def test_other_names_are_not_ours(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(bytes(100))
    assert recognise(path) is None


def test_bytes_have_no_name(tmp_path: Path, cube: np.ndarray) -> None:
    assert recognise(cube.tobytes()) is None
    with pytest.raises(RefusedError, match="name-unknown"):
        read_all(cube.tobytes())


@pytest.mark.parametrize(
    ("scan", "reason"),
    [
        ("Macular Cube 30x21", "truncated"),
        ("Macular Cube 30x19", "size-contradicts"),
        ("Macular Cube 9999x9999", "size-too-large"),
        ("Macular Cube 00x20", "size-impossible"),
    ],
)
def test_a_size_that_is_not_the_name_s_is_refused(tmp_path: Path, cube: np.ndarray, scan: str, reason: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read(vendor.zeiss_img(tmp_path, cube, scan=scan))
    assert caught.value.reason == reason


def test_a_day_that_does_not_exist_is_unknown(tmp_path: Path, cube: np.ndarray) -> None:
    path = vendor.zeiss_img(tmp_path, cube)
    path = path.rename(tmp_path / path.name.replace("_3-3-2011_", "_13-33-2011_"))
    assert read(path).acquired is None
