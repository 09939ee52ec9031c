"""Damaged and malicious files of every reader: refused or read, never a crash, a hang or a flood of memory."""

import struct
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import clinical_images as images
import clinical_vendor as vendor
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medmd.io import OctVolume, RefusedError, VisualField, read_all

# What a reader may take beyond the file itself, for files of a few kilobytes.
_MOST_BYTES = 48 * 2**20

_FILES: dict[str, bytes] = {
    "vol": vendor.vol(),
    "e2e": vendor.e2e(),
    "fda": vendor.fda(photo=vendor.photograph()),
    "fds": vendor.fds(photo=vendor.photograph()),
    "hfa": vendor.hfa_xml(),
    "jpeg": images.picture(),
    "png": images.picture(format="PNG"),
    "tiff": images.picture(format="TIFF", orientation=6),
    "tiff-pages": images.tiff_pages(),
    "mha": images.mha(),
    "mha-packed": images.mha(compressed=True),
    "nrrd": images.nrrd(),
    "nifti": images.nifti(),
    "nifti-packed": images.nifti(compressed=True),
}
_EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@st.composite
def _edits(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A few changes at places given as shares of the length, so that headers are hit as often as contents."""
    kinds = st.sampled_from(["flip", "extreme", "cut", "remove", "repeat"])
    place = st.one_of(st.integers(0, 400), st.floats(0, 1))
    steps = draw(
        st.lists(st.tuples(kinds, place, st.integers(0, 255), st.sampled_from(_EXTREMES)), min_size=1, max_size=4)
    )

    def apply(data: bytes) -> bytes:
        for kind, where, value, extreme in steps:
            at = min(where if isinstance(where, int) else int(where * len(data)), max(len(data) - 1, 0))
            data = _edit(data, kind, at, value, extreme)
        return data

    return apply


def _edit(data: bytes, kind: str, at: int, value: int, extreme: int) -> bytes:
    if not data:
        return data
    if kind == "flip":
        return data[:at] + bytes([data[at] ^ (value or 1)]) + data[at + 1 :]
    if kind == "extreme":
        return data[:at] + struct.pack("<I", extreme) + data[at + 4 :]
    if kind == "cut":
        return data[:at]
    if kind == "remove":
        return data[:at] + data[at + value :]
    return data[: at + value] + data[at:]


def _read_or_refuse(source: bytes | Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            records = read_all(source)
        except RefusedError:
            return
    for record in records:
        if isinstance(record, VisualField):
            assert -40 <= record.md <= 6
        else:
            assert record.pixels.ndim == 3
            assert record.pixels.dtype in (np.uint8, np.uint16)
            assert record.laterality in ("R", "L", None)
        if isinstance(record, OctVolume):
            assert all(step is None or 0 < step <= 20 for step in record.spacing)


def _peak(read: Callable[[], None]) -> int:
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", list(_FILES))
@given(edit=_edits())
def test_mutated_files(name: str, edit: Callable[[bytes], bytes]) -> None:
    _read_or_refuse(edit(_FILES[name]))


@pytest.mark.parametrize("name", list(_FILES))
@given(edit=_edits())
@settings(max_examples=15)
def test_mutated_files_take_little_memory(name: str, edit: Callable[[bytes], bytes]) -> None:
    data = edit(_FILES[name])
    assert _peak(lambda: _read_or_refuse(data)) < _MOST_BYTES


@pytest.mark.parametrize("name", ["vol", "e2e", "fds", "mha", "nrrd", "nifti"])
def test_every_truncation_is_refused(name: str) -> None:
    """Formats with uncompressed pixels at the end: a missing byte is always noticed."""
    data = _FILES[name]
    for length in [*range(0, min(len(data), 300), 7), len(data) - 100, len(data) - 1]:
        # The last byte of a .fds ends the list of its chunks; the pixels of an .E2E stand last.
        with pytest.raises(RefusedError):
            read_all(data[:length])


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vendor.heyex_xml(tmp_path_factory.mktemp("export"))


@given(edit=_edits())
def test_mutated_xml_exports(export: Path, edit: Callable[[bytes], bytes]) -> None:
    path = export.parent / "mutated.xml"
    path.write_bytes(edit(export.read_bytes()))
    _read_or_refuse(path)


@given(edit=_edits())
def test_mutated_images_of_an_xml_export(export: Path, edit: Callable[[bytes], bytes]) -> None:
    image = export.parent / "B1.tif"
    before = image.read_bytes()
    try:
        image.write_bytes(edit(before))
        _read_or_refuse(export)
    finally:
        image.write_bytes(before)


@given(name=st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=60))
def test_names_of_raw_cubes(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    from medmd.io.zeiss_img import matches

    tail = "_Macular Cube 30x20_3-3-2011_10-42-30_OD_sn1234_cube_z.img"
    assert matches(b"", Path("P" + name + tail)) == ("\n" not in name)
    assert not matches(b"", Path(name))


# --- Bombs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        vendor.vol(declared=(2**14, 2**8, 2**8)),
        vendor.fda(declared=(2**18, 2**6, 2**6)),
        vendor.fds(declared=(2**14, 2**8, 2**8)),
        images.mha(declared=(2**10, 2**10, 2**10)),
        images.mha(declared=(2**10, 2**10, 2**10), compressed=True),
        images.nrrd(declared=(2**10, 2**10, 2**10), encoding="gzip"),
        images.nifti(declared=(2**10, 2**10, 2**10), compressed=True),
        b"CMDb"
        + bytes(32)
        + vendor.e2e_chunk(0x40000000, struct.pack("<5I", 0, 0x02200201, 0, 2**15, 2**15), (1, 2, 3), 0),
        b"FOCTFDA" + bytes(8) + b"\x09@IMG_JPEG" + struct.pack("<I", 2**32 - 1),
    ],
    ids=["vol", "fda", "fds", "mha", "mha-packed", "nrrd-packed", "nifti-packed", "e2e", "chunk"],
)
def test_declared_sizes_cost_nothing(data: bytes) -> None:
    def read() -> None:
        with pytest.raises(RefusedError):
            read_all(data)

    assert _peak(read) < 8 * 2**20


def test_wide_and_deep_xml_costs_little() -> None:
    bombs = [b"<HEDX>" + b"<a>" * 200_000, b"<CZM-XML " + b" ".join(b'a%d="1"' % n for n in range(20_000)) + b"/>"]
    for data in bombs:
        assert _peak(lambda data=data: _read_or_refuse(data)) < _MOST_BYTES
