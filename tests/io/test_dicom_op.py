"""Colour photographs out of Ophthalmic Photography objects, and the reasons for leaving the others out."""

from datetime import date
from io import BytesIO

import numpy as np
import pytest
from clinical_dicom import code, encode_frame, fundus, item, items, photograph
from dicom_reading import reason, record
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit

PLAIN = {"syntax": ExplicitVRLittleEndian}


def test_everything_that_a_camera_says():
    found = record(photograph(laterality="L", day=date(2019, 8, 7), region="disc", field_of_view=50.0, **PLAIN))

    np.testing.assert_array_equal(found.pixels, fundus())
    assert (found.laterality, found.region, found.field_of_view) == ("L", "disc", 50.0)
    assert (found.acquired, found.device, found.source_format) == (date(2019, 8, 7), "topcon trc-nw400", "dicom-op")


def test_jpeg_is_converted_to_rgb_as_pillow_does():
    decoded = Image.open(BytesIO(encode_frame(fundus(), JPEGBaseline8Bit)))

    np.testing.assert_array_equal(record(photograph()).pixels, np.asarray(decoded))


def test_colours_of_a_jpeg_are_near_the_original():
    smooth = np.zeros((64, 64, 3), np.uint8)
    smooth[:] = 200, 90, 40
    smooth[20:40, 20:40] = 230, 150, 80

    found = record(photograph(smooth)).pixels.astype(int)
    assert np.abs(found - smooth).mean() < 2
    assert np.abs(found[30, 30] - smooth[30, 30]).max() <= 3


def _photograph_of(raw, photometric, planar=0):
    dataset = photograph(**PLAIN)
    dataset.PhotometricInterpretation, dataset.PlanarConfiguration = photometric, planar
    dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    return dataset


def test_colour_planes_one_after_the_other():
    planes = np.ascontiguousarray(fundus().transpose(2, 0, 1))

    np.testing.assert_array_equal(record(_photograph_of(planes.tobytes(), "RGB", 1)).pixels, fundus())


def test_uncompressed_ybr_is_converted():
    ybr = convert_color_space(fundus(), "RGB", "YBR_FULL")
    found = record(_photograph_of(ybr.tobytes(), "YBR_FULL")).pixels.astype(int)

    assert np.abs(found - fundus()).max() <= 2


def test_uncompressed_ybr_with_halved_colour_is_converted():
    ybr = convert_color_space(fundus(), "RGB", "YBR_FULL")
    ybr[:, 1::2, 1:] = ybr[:, ::2, 1:]
    pairs = np.stack([ybr[:, ::2, 0], ybr[:, 1::2, 0], ybr[:, ::2, 1], ybr[:, ::2, 2]], axis=-1)
    found = record(_photograph_of(pairs.tobytes(), "YBR_FULL_422")).pixels.astype(int)

    assert np.abs(found - convert_color_space(ybr, "YBR_FULL", "RGB").astype(int)).max() <= 1


@pytest.mark.parametrize("bits", [12, 16])
def test_sixteen_bits_become_eight(bits):
    deep = fundus().astype(np.uint16) << (bits - 8)
    dataset = photograph(deep, **PLAIN)
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.5.2"
    dataset.BitsStored, dataset.HighBit = bits, bits - 1

    np.testing.assert_array_equal(record(dataset).pixels, fundus())


def test_eight_bits_in_sixteen():
    dataset = photograph(fundus().astype(np.uint16), **PLAIN)
    dataset.BitsStored, dataset.HighBit = 8, 7

    np.testing.assert_array_equal(record(dataset).pixels, fundus())


def test_jpeg_2000_in_colour():
    np.testing.assert_array_equal(record(photograph(syntax=JPEG2000Lossless)).pixels, fundus())


def _jpeg(**options):
    buffer = BytesIO()
    Image.fromarray(fundus()).save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


def _without_marker(data):
    """Without the JFIF or Adobe segment, which Pillow puts first."""
    assert data[2:4] in (b"\xff\xe0", b"\xff\xee")
    return data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]


def _stored(data, photometric):
    dataset = photograph()
    dataset.PhotometricInterpretation = photometric
    dataset.PixelData = encapsulate([data])
    return dataset


@pytest.mark.parametrize("marked", [True, False])
def test_a_jpeg_that_is_truly_rgb_is_not_converted(marked):
    """Known by the Adobe segment, or by components that are called R, G and B."""
    rgb = _jpeg(keep_rgb=True, subsampling=0)
    rgb = rgb if marked else _without_marker(rgb)
    found = record(_stored(rgb, "RGB")).pixels.astype(int)

    assert np.abs(found - fundus()).mean() < 4


def test_an_unmarked_jpeg_is_taken_as_the_element_says():
    """Samples stored as they are, whose component numbers do not name colours: only DICOM says RGB."""
    buffer = BytesIO()
    Image.merge("YCbCr", Image.fromarray(fundus()).split()).save(buffer, "JPEG", quality=95, subsampling=0)
    found = record(_stored(_without_marker(buffer.getvalue()), "RGB")).pixels.astype(int)

    assert np.abs(found - fundus()).mean() < 4


def test_contradicting_colour_spaces_are_refused():
    assert reason(_stored(_jpeg(), "RGB")) == "colour-contradicts"
    assert reason(_stored(_jpeg(keep_rgb=True), "YBR_FULL_422")) == "colour-contradicts"


def _codes(keyword, *values):
    def spoil(dataset):
        setattr(dataset, keyword, items(*(code(value, "SCT", "Jane Doe's filter") for value in values)))

    return spoil


def _set(**elements):
    def spoil(dataset):
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (_codes("ChannelDescriptionCodeSequence", "405739002"), "red-free"),
        (_codes("LightPathFilterTypeStackCodeSequence", "A-010E2"), "red-free"),
        (_codes("ImagePathFilterTypeStackCodeSequence", "445169002"), "infrared"),
        (_set(ImageType=["ORIGINAL", "PRIMARY", "", "REDFREE"]), "red-free"),
        (_set(ImageType=["ORIGINAL", "PRIMARY", "", "IR"]), "infrared"),
        (_set(ImageType=["ORIGINAL", "PRIMARY", "", "FA"]), "angiography"),
        (_set(ImageType=["ORIGINAL", "PRIMARY", "", "FAF"]), "autofluorescence"),
        (_set(ContrastBolusAgentSequence=items(item(CodeValue="1"))), "angiography"),
        (_set(HorizontalFieldOfView=102.0), "wide-field"),
        (_set(CameraAngleOfView=133.0), "wide-field"),
        (_set(Manufacturer="Optos plc"), "wide-field"),
        (_set(ManufacturerModelName="CLARUS 500", HorizontalFieldOfView=None), "wide-field"),
        (_set(SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.5.5"), "wide-field"),
        (_set(SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.5.6"), "wide-field"),
        (_set(SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.5.7"), "en-face"),
        (_set(SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.5.8"), "oct-analysis"),
        (_set(BurnedInAnnotation="YES"), "burned-in"),
        (_set(NumberOfFrames=2), "several-frames"),
        (_set(PhotometricInterpretation="PALETTE COLOR"), "not-colour"),
        (_set(Laterality="L"), "laterality-contradicts"),
        (_set(ImageLaterality="B"), "laterality-both"),
    ],
)
def test_refused(spoil, expected):
    dataset = photograph(**PLAIN)
    spoil(dataset)

    assert reason(dataset) == expected


def test_channels_of_a_colour_photograph_may_be_named():
    dataset = photograph(**PLAIN)
    _codes("ChannelDescriptionCodeSequence", "371240000", "371246006", "405738005")(dataset)

    np.testing.assert_array_equal(record(dataset).pixels, fundus())


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_grey_photographs_are_no_colour_photographs(syntax):
    grey = photograph(np.repeat(fundus()[..., 1:2], 3, axis=-1), syntax=syntax)
    assert reason(grey) == "not-colour"
    one_channel = photograph(fundus(), syntax=syntax)
    one_channel.SamplesPerPixel, one_channel.PhotometricInterpretation = 1, "MONOCHROME2"
    assert reason(one_channel) == "not-colour"


def test_a_blank_photograph_is_refused():
    assert reason(photograph(np.full((32, 32, 3), 9, np.uint8), **PLAIN)) == "blank"


def test_a_camera_that_does_not_say_its_field_of_view():
    assert record(photograph(field_of_view=None, **PLAIN)).field_of_view is None
