"""Photographs and TIFF stacks."""

import io
import struct
from pathlib import Path
from types import SimpleNamespace

import clinical_images as images
import clinical_vendor as vendor
import numpy as np
import pytest
from PIL import Image

from medmd.io import FundusPhoto, OctVolume, RefusedError, Subject, read, read_all
from medmd.io._tiff import check_pieces


def _reason(data: bytes | Path) -> str:
    with pytest.raises(RefusedError) as caught:
        read_all(data)
    return caught.value.reason


@pytest.mark.parametrize("from_path", [True, False])
@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG"])
def test_a_photograph_is_read(tmp_path: Path, format: str, from_path: bool) -> None:
    data = images.picture(format=format)
    (tmp_path / "scan").write_bytes(data)
    photo = read(tmp_path / "scan" if from_path else data)
    assert isinstance(photo, FundusPhoto)
    # JPEG is lossy: within two gray values on a smooth image; the others are exact.
    error = np.abs(photo.pixels.astype(int) - vendor.photograph()).max()
    assert error <= (4 if format == "JPEG" else 0)
    assert (photo.laterality, photo.acquired, photo.device, photo.subject) == (None, None, None, Subject())
    assert photo.warnings == ()


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """By the definition of EXIF: which edge the stored first row and first column show."""
    return {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: np.rot90(p),
    }[orientation](pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_the_orientation_of_exif_is_honoured(format: str, orientation: int) -> None:
    photo = read(images.picture(format=format, orientation=orientation))
    assert np.array_equal(photo.pixels, _turned(vendor.photograph(), orientation))


def test_exif_that_cannot_be_read_leaves_the_image_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise KeyError("anything")

    monkeypatch.setattr(Image.Image, "getexif", fail)
    photo = read(images.picture(format="PNG"))
    assert np.array_equal(photo.pixels, vendor.photograph())
    assert photo.warnings == ("exif-unreadable",)


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_other_ways_to_store_the_same_colours(mode: str) -> None:
    photo = read(images.picture(format="PNG", mode=mode))
    expected = np.array(Image.fromarray(vendor.photograph()).convert(mode).convert("RGB"))
    assert np.array_equal(photo.pixels, expected)


@pytest.mark.parametrize(
    ("format", "mode", "reason"),
    [
        ("JPEG", "CMYK", "colour-model"),
        ("TIFF", "CMYK", "colour-model"),
        ("TIFF", "LAB", "colour-model"),
        ("JPEG", "L", "gray-image"),
        ("PNG", "LA", "gray-image"),
        ("PNG", "1", "gray-image"),
        ("TIFF", "I", "gray-image"),
        ("TIFF", "F", "gray-image"),
    ],
)
def test_other_models_of_colours_are_refused(format: str, mode: str, reason: str) -> None:
    if mode == "LAB":
        stream = io.BytesIO()
        Image.new("LAB", (9, 8), (90, 120, 30)).save(stream, "TIFF")
        assert _reason(stream.getvalue()) == reason
    elif mode in ("I", "F"):
        stream = io.BytesIO()
        Image.fromarray(vendor.photograph()[..., 0]).convert(mode).save(stream, format)
        assert _reason(stream.getvalue()) == reason
    else:
        assert _reason(images.picture(format=format, mode=mode)) == reason


def test_gray_in_three_channels_is_no_colour_photograph() -> None:
    gray = np.repeat(vendor.photograph()[..., :1], 3, axis=-1)
    assert _reason(images.picture(gray, format="PNG")) == "gray-image"


def test_transparent_places_are_refused() -> None:
    pixels = np.dstack([vendor.photograph(), np.full((90, 100), 255, np.uint8)])
    pixels[3, 4, 3] = 254
    assert _reason(images.picture(pixels, format="PNG")) == "transparent"
    stream = io.BytesIO()
    Image.fromarray(vendor.photograph()).save(
        stream, "PNG", transparency=tuple(int(v) for v in vendor.photograph()[0, 0])
    )
    assert _reason(stream.getvalue()) == "transparent"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_pages_are_a_volume(dtype: type) -> None:
    pixels = vendor.gray_volume(5, dtype=dtype)
    volume = read(images.tiff_pages(pixels))
    assert isinstance(volume, OctVolume)
    assert np.array_equal(volume.pixels, pixels)
    assert volume.pixels.dtype == dtype
    assert volume.spacing == (None, None, None)
    assert volume.warnings == ("order-assumed",)


def _pages(*pages: np.ndarray) -> bytes:
    stream = io.BytesIO()
    first, *rest = (Image.fromarray(page) for page in pages)
    first.save(stream, "TIFF", save_all=True, append_images=rest)
    return stream.getvalue()


def test_pages_that_do_not_fit_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    gray, other, colour = vendor.gray_volume()[0], vendor.gray_volume(1, 5, 6)[0], vendor.photograph(12, 10)
    assert _reason(_pages(gray, other)) == "slices-differ"
    assert _reason(_pages(gray, gray.astype(np.uint16))) == "slices-differ"
    assert _reason(_pages(colour, colour)) == "several-images"
    assert _reason(_pages(gray > 9, gray > 9)) == "colour-model"
    monkeypatch.setattr("medmd.io.picture._MOST_PAGES", 1)
    assert _reason(_pages(gray, gray)) == "size-too-large"


def _declare(data: bytes, width: int, height: int) -> bytes:
    """A PNG whose header declares another size, with a right checksum."""
    import zlib

    body = b"IHDR" + struct.pack(">2I", width, height) + data[24:29]
    return data[:12] + body + struct.pack(">I", zlib.crc32(body)) + data[33:]


def test_decompression_bombs_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = images.picture(format="PNG")
    # Beyond what Pillow itself accepts, emptier than a photograph can be, and beyond what we accept.
    assert _reason(_declare(data, 60_000, 60_000)) == "size-too-large"
    assert _reason(_declare(data, 12_000, 12_000)) == "size-contradicts"
    monkeypatch.setattr("medmd.io._pillow.MAX_PHOTO_PIXELS", 100)
    assert _reason(data) == "size-too-large"


def test_pillow_s_own_warning_about_size_is_no_warning_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 90 * 100 - 1)
    assert isinstance(read(images.picture(format="PNG")), FundusPhoto)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_files_that_end_early_are_refused(format: str) -> None:
    data = images.picture(format=format)
    for length in (20, len(data) // 3, len(data) // 2):
        assert _reason(data[:length]) in ("damaged", "truncated", "format-unknown")


def _tagged(data: bytes, tag: int, value: int) -> bytes:
    """A little-endian TIFF with another value of a tag that has one number."""
    start = struct.unpack_from("<I", data, 4)[0]
    for place in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        number, kind, count = struct.unpack_from("<HHI", data, place)
        if number == tag:
            assert count == 1
            width = {3: "<H", 4: "<I"}[kind]
            return data[: place + 8] + struct.pack(width, value).ljust(4, b"\0") + data[place + 12 :]
    raise AssertionError(tag)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate"])
def test_tiffs_whose_pieces_do_not_fill_the_image_are_refused(compression: str) -> None:
    """Pillow would leave the rest black, or shift the rows, without a word."""
    stream = io.BytesIO()
    Image.fromarray(vendor.photograph()).save(stream, "TIFF", compression=compression)
    data = stream.getvalue()
    assert np.array_equal(read(data).pixels, vendor.photograph())
    height, rows, width = 257, 278, 256
    assert _reason(_tagged(data, height, 5000)) in ("size-contradicts", "damaged")
    assert _reason(_tagged(data, rows, 7)) in ("size-contradicts", "damaged")
    if compression == "raw":
        assert _reason(_tagged(data, width, 180)) == "size-contradicts"
        assert _reason(_tagged(data, 279, 500)) == "size-contradicts"


def test_tiles_are_counted() -> None:
    check = SimpleNamespace(tag_v2={256: 100, 257: 90, 322: 64, 323: 64, 324: (8, 9, 10, 11), 277: 3})
    check_pieces(check)
    for change in ({324: (8, 9, 10)}, {324: 8}, {322: 32}, {284: 2}):
        with pytest.raises(RefusedError, match="size-contradicts"):
            check_pieces(SimpleNamespace(tag_v2=check.tag_v2 | change))


def test_other_images_are_not_ours() -> None:
    stream = io.BytesIO()
    Image.fromarray(vendor.photograph()).save(stream, "GIF")
    assert _reason(stream.getvalue()) == "format-unknown"
    # A signature alone is no image, nor is the content of another format under it.
    assert _reason(b"\xff\xd8\xff" + bytes(50)) == "damaged"


@pytest.mark.real_data
def test_real_photographs(real_data: Path) -> None:
    for path in sorted((real_data / "grape/CFPs").iterdir())[:3]:
        photo = read(path)
        assert photo.pixels.shape[0] > 500
        # A retina is redder than green and greener than blue.
        red, green, blue = photo.pixels.reshape(-1, 3).mean(0)
        assert red > green > blue
