import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.stage2._slices import ImageFaultError, decode_slices, in_order
from data_prep.stage2._tree import File


def listed(*numbers):
    return [(number, File(Path(f"{number}_image.jpg"), f"{number}_image.jpg")) for number in numbers]


def encode(array, kind="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def grey(seed, rows=8, columns=6):
    return np.random.RandomState(seed).randint(0, 255, (rows, columns)).astype(np.uint8)


@pytest.mark.parametrize("first", [0, 1])
def test_numbers_are_read_as_a_whole(first):
    # The first character alone, as a participant's public code sorts, would put 10 before 2.
    numbers = list(range(first, first + 256))
    shuffled = sorted(numbers, key=str)
    assert shuffled != numbers
    assert [file.name for file in in_order(listed(*shuffled))] == [f"{number}_image.jpg" for number in numbers]


@pytest.mark.parametrize(
    ("numbers", "reason", "detail"),
    [
        ((0, 1, 3), "slices_missing", "number 2 missing, 3 there"),
        ((2, 3, 4), "slices_missing", "number 1 missing"),
        (tuple(range(0, 60, 2)), "slices_missing", "1, 3, 5, 7, 9 and 24 more"),
        ((0,), "slices_missing", "1 slice"),
        ((0, 1, 1, 2), "slice_twice", "number 1 there twice"),
    ],
)
def test_incomplete_and_doubled_slices_are_faults(numbers, reason, detail):
    with pytest.raises(ImageFaultError, match=detail) as caught:
        in_order(listed(*numbers))
    assert caught.value.reason == reason


def test_pixels_are_those_of_the_files():
    arrays = [grey(seed) for seed in range(3)]
    for found, expected in zip(decode_slices([encode(array) for array in arrays]), arrays, strict=True):
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected)


def test_grey_stored_in_colour_stays_as_it_is():
    array = grey(0)
    coloured = np.repeat(array[..., None], 3, axis=2)
    (found,) = decode_slices([encode(coloured)])
    np.testing.assert_array_equal(found, array)


def test_a_jpeg_is_decoded_as_pillow_does():
    data = encode(grey(1, 64, 48), "JPEG", quality=90)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(next(decode_slices([data])), np.asarray(image))


@pytest.mark.parametrize(
    ("contents", "reason", "detail"),
    [
        ([encode(grey(0)), b""], "slice_unreadable", "slice 2"),
        ([encode(grey(0, 64, 64), "JPEG")[:300]], "slice_unreadable", "slice 1: OSError"),
        ([encode(grey(0).astype(np.uint16) * 200)], "slice_unreadable", "mode I;16, expected 8-bit"),
        ([encode(grey(0)), encode(grey(1, 8, 7))], "slices_differ", r"slice 2 of 2 is \(8, 7\), the first \(8, 6\)"),
        ([encode(np.full((8, 6), 7, np.uint8))] * 3, "oct_blank", "every pixel is 7"),
    ],
)
def test_slices_that_cannot_be_used(contents, reason, detail):
    with pytest.raises(ImageFaultError, match=detail) as caught:
        list(decode_slices(contents))
    assert caught.value.reason == reason


def test_even_slices_of_different_grey_are_not_blank():
    assert len(list(decode_slices([encode(np.full((8, 6), level, np.uint8)) for level in (0, 9)]))) == 2
