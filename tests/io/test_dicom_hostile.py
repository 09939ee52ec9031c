"""Damaged and hostile DICOM files: a refusal in bounded time and memory, whatever the lengths in the file say."""

import resource
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from clinical_dicom import as_bytes, bscans, oct_volume, photograph, visual_field
from dicom_reading import reason
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from medmd.io import RefusedError, _records, read_all

OBJECTS = {
    "volume": as_bytes(oct_volume(bscans((4, 12, 10)))),
    "implicit": as_bytes(oct_volume(bscans((4, 12, 10)), syntax=ImplicitVRLittleEndian)),
    "deflated": as_bytes(oct_volume(bscans((4, 12, 10)), syntax=DeflatedExplicitVRLittleEndian)),
    "jpeg": as_bytes(oct_volume(bscans((4, 12, 10)), syntax=JPEGBaseline8Bit)),
    "jpeg-2000": as_bytes(oct_volume(bscans((4, 12, 10)), syntax=JPEG2000Lossless)),
    "rle": as_bytes(oct_volume(bscans((4, 12, 10)), syntax=RLELossless)),
    "photograph": as_bytes(photograph()),
    "field": as_bytes(visual_field()),
}
# What reading may add to the memory of the process, and its processor time for two readings.
MOST_KIB = 300 * 1024
MOST_SECONDS = 30


def read_or_refuse(raw: bytes) -> None:
    try:
        found = read_all(raw)
    except RefusedError:
        return
    assert all(isinstance(one, _records._Record) for one in found)


@pytest.mark.parametrize("name", OBJECTS)
@settings(max_examples=40)
@given(data=st.data())
def test_mutated_files(name, data):
    raw = bytearray(OBJECTS[name])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(128, len(raw) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "length", "repeat"]))
        if kind == "flip":
            raw[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del raw[at : at + data.draw(st.integers(1, 64))]
        elif kind == "length":
            raw[at : at + 4] = b"\xff\xff\xff\x7f"
        else:
            raw[at:at] = raw[at : at + 32]
        if len(raw) < 200:
            break
    read_or_refuse(bytes(raw))


@pytest.mark.parametrize("name", OBJECTS)
def test_every_truncation_is_refused(name):
    raw = OBJECTS[name]
    for cut in sorted({*range(132, len(raw) - 1, max(len(raw) // 40, 1)), len(raw) - 3}):
        if name == "field":
            read_or_refuse(raw[:cut])
        else:
            with pytest.raises(RefusedError):
                read_all(raw[:cut])


def head(sop_class="1.2.840.10008.5.1.4.1.1.77.1.5.4", syntax="1.2.840.10008.1.2.1"):
    def element(group, number, vr, value):
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HH2sH", group, number, vr, len(value)) + value

    meta = element(2, 0x10, b"UI", syntax.encode())
    return bytes(128) + b"DICM" + meta, element(8, 0x16, b"UI", sop_class.encode())


def long_element(group, number, vr, length):
    return struct.pack("<HH2sHL", group, number, vr, 0, length)


PER_FRAME = (0x5200, 0x9230)
ITEM = b"\xfe\xff\x00\xe0"


def nested(depth, *, defined):
    """Sequences within items within sequences."""
    if defined:
        inner = b""
        for _ in range(depth):
            item = ITEM + struct.pack("<L", len(inner)) + inner
            inner = long_element(*PER_FRAME, b"SQ", len(item)) + item
        return inner
    return (long_element(*PER_FRAME, b"SQ", 0xFFFFFFFF) + ITEM + b"\xff\xff\xff\xff") * depth


def hostile():
    meta, sop = head()
    begin = meta + sop
    many = b"".join(ITEM + bytes(4) for _ in range(300_000))
    yield "length-4-gib", begin + long_element(8, 0x2218, b"SQ", 0xFFFFFFF0)
    yield "length-2-gib-implicit", head(syntax="1.2.840.10008.1.2")[0] + struct.pack("<HHL", 8, 0x16, 2**31)
    yield "deep-undefined", begin + nested(100_000, defined=False)
    yield "deep-defined", begin + nested(3_000, defined=True)
    yield "many-items", begin + long_element(*PER_FRAME, b"SQ", len(many)) + many
    yield "many-items-undefined", begin + long_element(*PER_FRAME, b"SQ", 0xFFFFFFFF) + many
    tiny = struct.pack("<HH2sH", 0x10, 0x20, b"LO", 0)
    item = ITEM + struct.pack("<L", len(tiny) * 900_000) + tiny * 900_000
    yield "many-elements", begin + long_element(*PER_FRAME, b"SQ", len(item)) + item
    yield "many-elements-undefined", begin + long_element(*PER_FRAME, b"SQ", 0xFFFFFFFF) + item
    yield "long-text", begin + long_element(0x10, 0x20, b"UT", 20_000_000) + b"x" * 20_000_000
    yield "undefined-text", begin + long_element(0x10, 0x20, b"UN", 0xFFFFFFFF) + b"x" * 20_000_000
    yield "garbage", begin + np.random.RandomState(0).bytes(100_000)
    yield "meta-only", meta
    yield "magic-only", bytes(128) + b"DICM"


@pytest.mark.parametrize(("name", "raw"), list(hostile()), ids=[name for name, _ in hostile()])
def test_hostile_headers(name, raw, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(raw)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    for source in (raw, path):
        with pytest.raises(RefusedError):
            read_all(source)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_KIB
    assert time.process_time() - start < MOST_SECONDS


@pytest.mark.parametrize("name", ["volume", "jpeg", "rle"])
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("Rows", 65535),
        ("Columns", 65535),
        ("NumberOfFrames", 2**31 - 1),
        ("NumberOfFrames", 100_000),
        ("NumberOfFrames", -1),
    ],
)
def test_declared_sizes_cost_nothing(name, keyword, value):
    syntax = {"volume": "1.2.840.10008.1.2.1", "jpeg": JPEGBaseline8Bit, "rle": RLELossless}[name]
    dataset = oct_volume(syntax=syntax)
    del dataset.PerFrameFunctionalGroupsSequence
    raw_frames = dataset.PixelData
    setattr(dataset, keyword, value)
    dataset.PixelData = raw_frames
    tracemalloc.start()
    found = reason(dataset)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert found in ("size-too-large", "size-impossible", "truncated", "frame-count", "size-contradicts", "damaged")
    assert peak < 50e6


def test_a_deflate_bomb_is_stopped(monkeypatch):
    from medmd.io import _dicom_file

    monkeypatch.setattr(_dicom_file, "MAX_INFLATED_BYTES", 2**24)
    meta, sop = head(syntax=DeflatedExplicitVRLittleEndian)
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = squeezer.compress(sop + long_element(0x10, 0x4000, b"UT", 2**27) + bytes(2**27)) + squeezer.flush()
    assert len(bomb) < 2**18
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert reason(meta + bomb) == "size-too-large"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**17


def test_damaged_deflation_is_refused():
    raw = OBJECTS["deflated"]

    assert reason(raw[:400] + b"\xff" * 50 + raw[450:]) in ("damaged", "truncated", "dicom-class-missing")


def _with_frame(frame, syntax, size):
    dataset = oct_volume(bscans((1, 12, 10)), syntax=syntax, encoded=[frame])
    dataset.Rows, dataset.Columns = size
    return dataset


def test_a_frame_that_declares_a_huge_image_is_not_decoded():
    from clinical_dicom import encode_frame

    jpeg = bytearray(encode_frame(bscans((1, 12, 10))[0], JPEGBaseline8Bit))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 65000, 65000)
    assert reason(_with_frame(bytes(jpeg), JPEGBaseline8Bit, (12, 10))) == "size-contradicts"
    wavelet = bytearray(encode_frame(bscans((1, 12, 10))[0], JPEG2000Lossless))
    wavelet[8:16] = struct.pack(">LL", 2**31, 2**31)
    assert reason(_with_frame(bytes(wavelet), JPEG2000Lossless, (12, 10))) == "size-contradicts"


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\x00\x02" * 9,
        b"\xff\xd8" + b"\xff" * 12,
        b"\xff\xd8\xff\xd8" + bytes(40),
    ],
)
def test_frames_without_a_size_are_damaged(frame):
    assert reason(_with_frame(frame, JPEGBaseline8Bit, (12, 10))) == "damaged"
    assert reason(_with_frame(b"\xff\x4f\xff\x51", JPEG2000Lossless, (12, 10))) == "damaged"


def test_fragments_that_do_not_follow_each_other():
    raw = OBJECTS["jpeg"]
    at = raw.rindex(ITEM)

    assert reason(raw[:at] + b"\xff\xff\xff\xff" + raw[at + 4 :]) == "frames-unclear"
    assert reason(raw[: at + 4] + b"\xff\xff\xff\x7f" + raw[at + 8 :]) == "truncated"
    assert reason(raw[:-8]) == "truncated"


def test_more_fragments_than_any_frame_has():
    from pydicom.encaps import encapsulate

    dataset = oct_volume(bscans((1, 12, 10)), syntax=JPEGBaseline8Bit)
    dataset.PixelData = encapsulate([bytes(2)] * 300, has_bot=False)

    assert reason(dataset) == "frame-count"


def test_compressed_pixels_of_a_defined_length_are_refused():
    raw = OBJECTS["jpeg"]
    at = raw.rindex(b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff")

    assert reason(raw[: at + 8] + struct.pack("<L", 64) + raw[at + 12 :]) == "frames-unclear"
