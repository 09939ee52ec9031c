from io import BytesIO

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from data_prep._photographs import read_photograph, write_png
from medmd.utils import MedmdError, sha256_file

PIXELS = np.random.RandomState(0).randint(0, 256, (6, 9, 3)).astype(np.uint8)


def encoded(image, form="PNG", **options):
    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def chunks(data):
    """Names of the chunks of a PNG, by its specification: length, name, content, checksum."""
    names, position = [], 8
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        names.append(data[position + 4 : position + 8])
        position += 12 + length
    return names


def test_pixels_come_through_and_nothing_else(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Patient", "SECRET")
    exif = Image.Exif()
    exif[0x010E] = "SECRET"
    data = encoded(Image.fromarray(PIXELS), pnginfo=info, exif=exif, icc_profile=b"SECRET", dpi=(300, 300))
    digest = write_png(tmp_path / "deep" / "a.png", read_photograph(data))
    written = (tmp_path / "deep" / "a.png").read_bytes()
    assert set(chunks(written)) == {b"IHDR", b"IDAT", b"IEND"}
    assert b"SECRET" not in written
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "deep" / "a.png")), PIXELS)
    assert digest == sha256_file(tmp_path / "deep" / "a.png")


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a, 1)),
    ],
)
def test_photographs_are_turned_upright(orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = read_photograph(encoded(Image.fromarray(PIXELS), exif=exif))
    np.testing.assert_array_equal(np.asarray(image), turn(PIXELS))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_every_mode_becomes_rgb(mode):
    image = Image.fromarray(PIXELS).convert(mode)
    found = read_photograph(encoded(image, "TIFF"))
    assert (found.mode, found.size) == ("RGB", (9, 6))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a photograph",
        encoded(Image.fromarray(PIXELS))[:60],
        encoded(Image.fromarray(PIXELS.repeat(20, 0).repeat(20, 1)), "JPEG")[:700],
        encoded(Image.fromarray(PIXELS)).replace(b"IDAT", b"IDAX"),
    ],
)
def test_damaged_files_are_told_and_the_text_is_the_same_each_time(data):
    texts = []
    for _ in range(2):
        with pytest.raises(MedmdError, match="the photograph cannot be read: ") as caught:
            read_photograph(data)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]
    assert "0x" not in texts[0]


def test_absurd_sizes_are_refused_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with pytest.raises(MedmdError, match="DecompressionBomb"):
        read_photograph(encoded(Image.fromarray(PIXELS)))
