"""Every transfer syntax: the pixels that were encoded come back, and what cannot be decoded is refused by name."""

import base64
from pathlib import Path

import numpy as np
import pytest
from clinical_dicom import as_bytes, bscans, encode_frame, fundus, oct_volume, photograph, save
from dicom_reading import reason, record
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import Decoder
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

STORED = [3, 1, 0, 2, 4, 5, 7, 6]
BITS = pytest.mark.parametrize("bits", [8, 16])

# Frames of 12 x 16 pixels, `_ramp` below, encoded by OpenJPH 0.26.3: pydicom knows no encoder for this syntax.
HTJ2K_8 = (
    "/0//UQApQAAAAAAQAAAADAAAAAAAAAAAAAAAEAAAAAwAAAAAAAAAAAABBwEB/1AACAACAAAAAv9SAAwAAgABAAUEBEAB/1wAEyBIUFBQUFBQUFBQUFBQ"
    "SEhI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAO4AAf+TwCXBAId0AADAEsASwBKAgAEHdADsAQd0AAsBh3QAwBPAE0ATABlV/gAHNABf"
    "sgBCNAAv/QABdADAFbAFpwBaQAJDnos0MvsG2ZJTVgDXd2ETOi+bE5NqJP4B+/wxM5cADjIIfnDN4AX0/QBT+YAAE1gAwC3YBdlALXAMnv9wS/j/Pz0+"
    "v4/nwwH95AKnUld4oLuwAvJdALVVVVXVVoBRgFVQXFKCLeELeHxFgOWEGIgFTAWtGCkY2P5g4ZAAxCIC6QhkXoxqMbABfv7/f9//e/MH+PAKCt+EQHf8"
    "IOxAvQD/2Q=="
)
HTJ2K_16 = (
    "/0//UQApQAAAAAAQAAAADAAAAAAAAAAAAAAAEAAAAAwAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wAEyCIkJCQkJCQkJCQkJCQ"
    "iIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAXoAAf+TwAAmv8QEh3QAAMAAE0AAE0AAEwBYgQUHdADK7AUHdAC/DgWHdADAABVwAAVE"
    "AAFQRRnfiq944gIGtADLX+iyAUI0AEdwa/0EAXQAwAAWxAABb8AAFuACBEtDSB6fs4uKlDWGMjYP+wbZmMBTVwAX2Ad4gWFlkxO6PK8wG5wTFpOVamys"
    "Jv4fv9JwM5cADhCyNAgJvn6AcIXN4ODlBRB0/f0AU/mhABNYAMAALsIAAXssAALogAwOIR4gH+ADxBeYwjD0B/gD/AX2APkA/QA/QB6gTxCHB1T05Aqd"
    "pXeqC7tILOJdAAUWuMAFFlhggQUWWGCBBRZYYIEFFljgAhdYYIChUWCAtVVgUGxcYlJygq0tMeHrCwx4enx+RUeAguXmhIYYGoiKBQZMTgUGra8YGikr"
    "GBtY2/4A4ZAAxCIC6QhkXGMAxhjAMbMBfoD8Af4A/wD+A/gB/gH8APkDBBDw8C4K36lgd/1A7WC9AP/Z"
)


def _ramp(bits):
    row, column = np.mgrid[:12, :16]
    grey = ((row * row * 3 + column * 7 + row * column) % 256).astype(np.uint8)
    return grey if bits == 8 else grey.astype(np.uint16) * 257


@BITS
@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEG2000Lossless],
)
def test_lossless_syntaxes_give_the_pixels_back(syntax, bits):
    pixels = bscans(bits=bits)
    found = record(oct_volume(pixels, stored=STORED, syntax=syntax))

    np.testing.assert_array_equal(found.pixels, pixels)
    assert found.pixels.dtype == pixels.dtype


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000])
def test_lossy_syntaxes_give_what_the_codec_gives(syntax):
    from io import BytesIO

    from PIL import Image

    pixels = bscans()
    expected = [np.asarray(Image.open(BytesIO(encode_frame(frame, syntax)))) for frame in pixels]
    found = record(oct_volume(pixels, stored=STORED, syntax=syntax)).pixels

    assert np.abs(found.astype(int) - np.stack(expected)).max() <= (0 if syntax == JPEGBaseline8Bit else 1)
    assert np.abs(found.astype(int) - pixels).mean() < 4


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_colour(syntax):
    np.testing.assert_array_equal(record(photograph(syntax=syntax)).pixels, fundus())


@pytest.mark.parametrize(("bits", "encoded"), [(8, HTJ2K_8), (16, HTJ2K_16)])
def test_high_throughput_jpeg_2000(bits, encoded):
    frame = _ramp(bits)
    pixels = np.stack([frame, frame, frame])
    dataset = oct_volume(pixels, syntax=HTJ2KLossless, encoded=[base64.b64decode(encoded)] * 3)

    np.testing.assert_array_equal(record(dataset).pixels, pixels)


def _transcoded(tmp_path: Path, dataset: Dataset, name: str) -> Path:
    """By gdcm, which decodes these syntaxes too; the pixels before are the oracle."""
    gdcm = pytest.importorskip("gdcm")
    source = save(dataset, tmp_path / "plain")
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(tmp_path / "compressed"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return tmp_path / "compressed"


@BITS
@pytest.mark.parametrize("name", ["JPEGLosslessProcess14", "JPEGLosslessProcess14_1", "JPEGLSLossless", "RLELossless"])
def test_syntaxes_that_gdcm_encodes(tmp_path, name, bits):
    pixels = bscans(bits=bits)
    path = _transcoded(tmp_path, oct_volume(pixels, stored=STORED), name)

    np.testing.assert_array_equal(record(path).pixels, pixels)


@pytest.mark.parametrize("name", ["JPEGLSNearLossless", "JPEGExtendedProcess2_4"])
def test_lossy_syntaxes_that_gdcm_encodes(tmp_path, name):
    found = record(_transcoded(tmp_path, oct_volume(stored=STORED), name)).pixels

    assert np.abs(found.astype(int) - bscans()).max() <= 20


def test_twelve_bit_jpeg_is_refused(tmp_path):
    pixels = bscans(bits=16) >> 4
    dataset = oct_volume(pixels, stored=STORED)
    dataset.BitsStored, dataset.HighBit = 12, 11

    assert reason(_transcoded(tmp_path, dataset, "JPEGExtendedProcess2_4")) == "transfer-syntax"


def test_what_pydicom_gives_in_stored_order_is_what_we_order():
    raw = as_bytes(oct_volume(stored=STORED, syntax=RLELossless))
    from io import BytesIO

    np.testing.assert_array_equal(dcmread(BytesIO(raw)).pixel_array, record(raw).pixels[STORED])


def _fragmented(*, offsets: bool) -> bytes:
    """Each frame in three fragments, with or without the table of offsets."""
    dataset = oct_volume(stored=STORED, syntax=JPEGBaseline8Bit)
    frames = [encode_frame(frame, JPEGBaseline8Bit) for frame in bscans()[STORED]]
    dataset.PixelData = encapsulate(frames, fragments_per_frame=3, has_bot=offsets)
    return as_bytes(dataset)


@pytest.mark.parametrize("offsets", [True, False])
def test_frames_in_several_fragments(offsets):
    whole = record(oct_volume(stored=STORED, syntax=JPEGBaseline8Bit)).pixels

    np.testing.assert_array_equal(record(_fragmented(offsets=offsets)).pixels, whole)


def test_one_frame_in_several_fragments():
    dataset = photograph()
    data = encode_frame(fundus(), JPEGBaseline8Bit)
    dataset.PixelData = encapsulate([data], fragments_per_frame=4, has_bot=False)

    np.testing.assert_array_equal(record(dataset).pixels, record(photograph()).pixels)


def test_an_absent_decoder_is_refused_with_the_extra_that_brings_it(monkeypatch):
    from medmd.io import RefusedError, read_all

    raw = as_bytes(oct_volume(syntax=JPEGBaseline8Bit)).replace(b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.4.80")
    monkeypatch.setattr(Decoder, "available_plugins", ())
    with pytest.raises(RefusedError, match=r"pip install .* '\.\[dicom\]'") as caught:
        read_all(raw)
    assert caught.value.reason == "decoder-missing"


@pytest.mark.parametrize(
    ("uid", "expected"),
    [
        ("1.2.840.10008.1.2.4.100", "video"),
        ("1.2.840.10008.1.2.4.102", "video"),
        ("1.2.840.10008.1.2.4.110", "transfer-syntax"),
        ("1.2.840.10008.1.2.4.94", "transfer-syntax"),
        ("1.2.840.10008.1.2.2", "transfer-syntax"),
    ],
)
def test_other_syntaxes_are_refused(uid, expected):
    raw = as_bytes(oct_volume(syntax=JPEGBaseline8Bit))
    before = b"\x02\x00\x10\x00UI\x16\x001.2.840.10008.1.2.4.50"
    padded = uid.encode() + b"\0" * (len(uid) % 2)
    after = before[:6] + len(padded).to_bytes(2, "little") + padded

    assert reason(raw.replace(before, after)) == expected


def _zeiss(syntax, encoded=None):
    device = ("Carl Zeiss Meditec", "CIRRUS HD-OCT 5000")
    return oct_volume(syntax=syntax, device=device, encoded=encoded)


def _scrambled(data):
    """Every seventh byte changed, as CIRRUS does, and the header in another place."""
    return bytes(byte ^ 0x5A if number % 7 == 0 else byte for number, byte in enumerate(data))


def test_scrambled_zeiss_frames_are_refused_with_advice():
    from medmd.io import RefusedError, read_all

    frames = [_scrambled(encode_frame(frame, JPEG2000)) for frame in bscans()]
    with pytest.raises(RefusedError, match="unobfuscated") as caught:
        read_all(as_bytes(_zeiss(JPEG2000, frames)))
    assert caught.value.reason == "zeiss-scrambled"


@pytest.mark.parametrize("at", [4, 60])
def test_zeiss_frames_scrambled_behind_their_beginning_are_refused(at):
    frames = [encode_frame(frame, JPEG2000) for frame in bscans()]
    frames = [frame[:at] + _scrambled(frame[at:]) for frame in frames]

    assert reason(_zeiss(JPEG2000, frames)) in ("zeiss-scrambled", "size-contradicts")


def test_zeiss_frames_that_are_not_scrambled_are_read():
    np.testing.assert_array_equal(record(_zeiss(JPEG2000Lossless)).pixels, bscans())


def test_frames_of_others_that_do_not_begin_as_they_should_are_damaged():
    frames = [_scrambled(encode_frame(frame, JPEG2000)) for frame in bscans()]

    assert reason(oct_volume(syntax=JPEG2000, encoded=frames)) == "damaged"


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000, RLELossless, JPEGLSLossless])
def test_frames_of_another_size_are_refused(syntax):
    source = JPEGBaseline8Bit if syntax == JPEGLSLossless else syntax
    frames = [encode_frame(frame[:-8], source) for frame in bscans()]

    assert reason(oct_volume(syntax=syntax, encoded=frames)) in ("size-contradicts", "damaged")


def test_frames_of_other_samples_are_refused():
    frames = [encode_frame(np.repeat(frame[..., None], 3, axis=-1), JPEGBaseline8Bit) for frame in bscans()]

    assert reason(oct_volume(syntax=JPEGBaseline8Bit, encoded=frames)) == "size-contradicts"


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000, RLELossless])
@pytest.mark.parametrize("spoil", ["fewer", "more", "empty", "cut", "long"])
def test_frames_that_do_not_fit_their_number_are_refused(syntax, spoil):
    frames = [encode_frame(frame, syntax) for frame in bscans()]
    spoilt = {
        "fewer": frames[:-1],
        "more": [*frames, frames[0]],
        "empty": [*frames[:-1], b"\0\0"],
        "cut": [*frames[:-1], frames[-1][: len(frames[-1]) // 4]],
        "long": [*frames[:-1], frames[-1] + bytes(200_000)],
    }[spoil]

    assert reason(oct_volume(syntax=syntax, encoded=spoilt)) in ("frame-count", "damaged")
