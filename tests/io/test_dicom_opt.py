"""OCT volumes out of Ophthalmic Tomography objects."""

from datetime import date

import clinical_dicom
import numpy as np
import pytest
from clinical_dicom import bscans, code, item, items, oct_volume
from dicom_reading import reason, record, records
from hypothesis import given, settings
from hypothesis import strategies as st

from medmd.io import Spacing

SHUFFLED = [3, 1, 0, 2, 4, 5, 7, 6]


def frames(dataset):
    return dataset.PerFrameFunctionalGroupsSequence


def content(frame):
    return frame.FrameContentSequence[0]


def without_stacks(dataset):
    for frame in frames(dataset):
        del content(frame).StackID
        del content(frame).InStackPositionNumber
    return dataset


def without_positions(dataset):
    for frame in frames(dataset):
        del frame.PlanePositionSequence
    return dataset


def test_everything_that_a_scanner_says():
    pixels = bscans((6, 20, 16), seed=3)
    person = clinical_dicom.Person("ID-7", "Secret^Name", date(1950, 3, 14), "M")
    dataset = oct_volume(
        pixels,
        person=person,
        laterality="L",
        day=date(2020, 2, 29),
        spacing=(0.12, 0.0039, 0.0118),
        region="disc",
        pattern="cube",
        device=("Heidelberg Engineering", "Spectralis OCT2"),
    )
    dataset.PatientAge = "069Y"

    found = record(dataset)

    np.testing.assert_array_equal(found.pixels, pixels)
    assert found.pixels.dtype == np.uint8
    assert found.spacing == pytest.approx(Spacing(0.12, 0.0039, 0.0118))
    assert (found.laterality, found.region, found.scan_pattern, found.key) == ("L", "disc", "raster", "")
    assert (found.acquired, found.device, found.warnings) == (date(2020, 2, 29), "heidelberg spectralis", ())
    assert found.source_format == "dicom-opt"
    assert (found.subject.identifier, found.subject.birth_date) == ("ID-7", date(1950, 3, 14))
    assert (found.subject.age, found.subject.sex) == (69.0, "M")
    assert "ID-7" not in repr(found)


@settings(max_examples=15)
@given(st.permutations(range(8)))
def test_frames_come_in_the_order_of_the_scan_however_they_are_stored(stored):
    pixels = bscans((8, 6, 5))

    np.testing.assert_array_equal(record(oct_volume(pixels, stored=stored)).pixels, pixels)


@settings(max_examples=15)
@given(st.permutations(range(6)))
def test_without_stacks_the_positions_along_the_normal_order(stored):
    pixels = bscans((6, 6, 5))
    found = record(without_stacks(oct_volume(pixels, stored=stored)))

    np.testing.assert_array_equal(found.pixels, pixels)
    assert found.spacing.between_slices == pytest.approx(0.1)
    assert found.warnings == ()


def test_without_stacks_and_positions_the_stored_order_is_kept_and_said():
    pixels = bscans()
    found = record(without_positions(without_stacks(oct_volume(pixels, stored=SHUFFLED))))

    np.testing.assert_array_equal(found.pixels, pixels[SHUFFLED])
    assert found.warnings == ("order-assumed", "slice-distance-assumed")
    assert found.spacing.between_slices == pytest.approx(0.1)


def test_frames_of_which_each_is_a_stack_of_its_own_are_ordered_by_position():
    pixels = bscans()
    dataset = oct_volume(pixels, stored=SHUFFLED)
    for number, frame in enumerate(frames(dataset)):
        content(frame).StackID, content(frame).InStackPositionNumber = f"{number}", 1

    np.testing.assert_array_equal(record(dataset).pixels, pixels)


def test_without_functional_groups_the_volume_is_as_stored():
    dataset = oct_volume()
    del dataset.PerFrameFunctionalGroupsSequence, dataset.SharedFunctionalGroupsSequence
    found = record(dataset)

    assert found.spacing == Spacing(None, None, None)
    assert found.warnings == ("order-assumed",)
    dataset.PixelSpacing, dataset.SpacingBetweenSlices = [0.005, 0.02], 0.3
    assert record(dataset).spacing == pytest.approx(Spacing(0.3, 0.005, 0.02))


def test_each_stack_is_a_volume():
    pixels = bscans((9, 8, 7), bits=16)
    dataset = oct_volume(pixels, stacks=[5, 4], stored=[8, 0, 7, 1, 6, 2, 5, 3, 4])
    first, second = records(dataset)

    np.testing.assert_array_equal(first.pixels, pixels[:5])
    np.testing.assert_array_equal(second.pixels, pixels[5:])
    assert (first.key, second.key) == ("stack-1", "stack-2")
    assert first.pixels.dtype == np.uint16


def test_the_text_of_a_stack_goes_nowhere():
    dataset = oct_volume(stacks=[4, 4])
    for frame in frames(dataset):
        content(frame).StackID = "Jane Doe" + content(frame).StackID
    found = records(dataset)

    assert [volume.key for volume in found] == ["stack-1", "stack-2"]


def test_spacing_stands_in_the_shared_or_in_the_frames_groups():
    assert record(oct_volume(per_frame_measures=True)).spacing == record(oct_volume()).spacing


def test_slice_distance_is_read_along_the_normal_whatever_the_direction():
    dataset = oct_volume()
    for frame in frames(dataset):
        x, y, z = frame.PlanePositionSequence[0].ImagePositionPatient
        frame.PlanePositionSequence[0].ImagePositionPatient = [x + y, -y, z]

    assert record(dataset).spacing.between_slices == pytest.approx(0.1)


def test_equal_positions_leave_the_distance_to_the_slice_thickness():
    dataset = oct_volume()
    for frame in frames(dataset):
        frame.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 0]
    found = record(dataset)

    assert found.warnings == ("slice-distance-assumed",)
    assert found.spacing.between_slices == pytest.approx(0.1)


@pytest.mark.parametrize(("shift", "expected"), [(0.004, None), (0.012, "spacing-uneven"), (0.5, "spacing-uneven")])
def test_uneven_slices_are_refused_above_five_per_cent(shift, expected):
    dataset = oct_volume()
    position = frames(dataset)[3].PlanePositionSequence[0]
    position.ImagePositionPatient = [-3, 0.3 + shift, 0]

    assert (reason(dataset) if expected else None) == expected
    if expected is None:
        assert record(dataset).spacing.between_slices == pytest.approx(0.1)


def test_radial_scans_have_no_distance_between_slices():
    dataset = oct_volume(pattern="radial", stored=SHUFFLED)
    for number, frame in enumerate(frames(dataset)):
        angle = number * np.pi / 8
        turned = [round(float(value), 6) for value in (np.cos(angle), np.sin(angle), 0, 0, 0, -1)]
        frame.PlaneOrientationSequence = items(item(ImageOrientationPatient=turned))
    found = record(dataset)

    np.testing.assert_array_equal(found.pixels, bscans())
    assert (found.scan_pattern, found.spacing.between_slices, found.warnings) == ("radial", None, ())


def test_planes_that_turn_have_no_common_normal():
    dataset = without_stacks(oct_volume())
    frames(dataset)[2].PlaneOrientationSequence = items(item(ImageOrientationPatient=[0, 1, 0, 0, 0, -1]))

    assert record(dataset).warnings == ("order-assumed", "slice-distance-assumed")


def test_a_degenerate_orientation_has_no_normal():
    dataset = without_stacks(oct_volume())
    shared = dataset.SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 1, 0, 0]

    assert "order-assumed" in record(dataset).warnings


def _twice(dataset):
    content(frames(dataset)[2]).InStackPositionNumber = 2


def _missing(dataset):
    for frame in frames(dataset)[3:]:
        content(frame).InStackPositionNumber += 1


def _fewer_groups(dataset):
    dataset.PerFrameFunctionalGroupsSequence = items(*list(frames(dataset))[:-1])


def _other_spacing(dataset):
    frames(dataset)[4].PixelMeasuresSequence = items(item(PixelSpacing=[0.004, 0.02]))


def _some_spacing(dataset):
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    frames(dataset)[4].PixelMeasuresSequence = measures
    del dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence


def _set(**elements):
    def spoil(dataset):
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)

    return spoil


def _without(keyword):
    def spoil(dataset):
        delattr(dataset, keyword)

    return spoil


def _frame_side(dataset):
    anatomy = item(FrameLaterality="L", AnatomicRegionSequence=items(code("5665001", "SCT", "Retina")))
    frames(dataset)[5].FrameAnatomySequence = items(anatomy)


def _modifier(dataset):
    side = items(code("7771000", "SCT", "Left"))
    dataset.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = side


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (_twice, "frames-twice"),
        (_missing, "frames-missing"),
        (_fewer_groups, "frame-count"),
        (_other_spacing, "spacing-varies"),
        (_some_spacing, "spacing-varies"),
        (_frame_side, "laterality-contradicts"),
        (_modifier, "laterality-contradicts"),
        (_set(Laterality="L"), "laterality-contradicts"),
        (_set(ImageLaterality="B"), "laterality-both"),
        (_set(BurnedInAnnotation="YES"), "burned-in"),
        (_set(PhotometricInterpretation="MONOCHROME1"), "photometric"),
        (_set(InConcatenationTotalNumber=2), "concatenation"),
        (_set(PixelRepresentation=1), "pixel-type"),
        (_set(BitsAllocated=32, BitsStored=32, HighBit=31), "pixel-type"),
        (_set(BitsStored=8, HighBit=6), "pixel-type"),
        (_set(Rows=96), "truncated"),
        (_set(Rows=0), "size-impossible"),
        (_set(Rows=60000, Columns=60000), "size-too-large"),
        (_set(NumberOfFrames=9), "frame-count"),
        (_without("Rows"), "pixels-undescribed"),
        (_without("PhotometricInterpretation"), "pixels-undescribed"),
        (_without("PixelData"), "pixels-missing"),
    ],
)
def test_refused(spoil, expected):
    dataset = oct_volume()
    clinical_dicom.as_bytes(dataset)
    spoil(dataset)

    assert reason(dataset) == expected


@pytest.mark.parametrize("word", ["OD", "R", "RIGHT"])
def test_words_for_the_right_eye(word):
    dataset = oct_volume()
    dataset.ImageLaterality = word
    del dataset.SharedFunctionalGroupsSequence[0].FrameAnatomySequence

    assert record(dataset).laterality == "R"


def test_an_eye_that_is_nowhere_named_is_unknown():
    dataset = oct_volume()
    dataset.ImageLaterality = "U"
    del dataset.SharedFunctionalGroupsSequence[0].FrameAnatomySequence

    assert record(dataset).laterality is None


def test_the_older_codes_of_side_and_region():
    dataset = oct_volume(laterality="L")
    del dataset.ImageLaterality, dataset.RelativeImagePositionCodeSequence
    del dataset.SharedFunctionalGroupsSequence[0].FrameAnatomySequence
    region = code("T-AA630", "SRT", "Optic nerve head")
    region.AnatomicRegionModifierSequence = items(code("G-A101", "SRT", "Left"))
    dataset.AnatomicRegionSequence = items(region)
    found = record(dataset)

    assert (found.laterality, found.region) == ("L", "disc")


def test_the_region_is_unknown_when_places_name_the_retina_or_both():
    dataset = oct_volume()
    dataset.AnatomicRegionSequence = items(code("5665001", "SCT", "Retina"))
    del dataset.RelativeImagePositionCodeSequence
    assert record(dataset).region == "macula"  # by the frames
    del dataset.SharedFunctionalGroupsSequence[0].FrameAnatomySequence
    assert record(dataset).region is None
    dataset.AnatomicRegionSequence = items(code("67046006", "SCT", "Fovea"), code("81016008", "SCT", "Disc"))
    assert record(dataset).region is None


@pytest.mark.parametrize(
    ("maker", "model", "expected"),
    [
        ("Carl Zeiss Meditec", "CIRRUS HD-OCT 5000", "zeiss cirrus"),
        ("TOPCON", "3D OCT-1Maestro2", "topcon maestro"),
        ("TOPCON", "3D OCT-1000 MARK II", "topcon 3d oct-1000"),
        ("TOPCON", "DRI OCT-1 Atlantis", "topcon dri oct-1"),
        ("Topcon Healthcare", "Unheard of", "topcon"),
        ("", "Optos California", "optos california"),
        ("Doe Devices", "Jane's scanner", None),
    ],
)
def test_devices_are_named_from_a_fixed_list(maker, model, expected):
    assert record(oct_volume(device=(maker, model))).device == expected


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_samples_of_which_not_all_bits_are_stored_are_scaled_to_the_full_range(bits):
    pixels = bscans(bits=16) >> (16 - bits)
    dataset = oct_volume(pixels)
    dataset.BitsStored, dataset.HighBit = bits, bits - 1

    np.testing.assert_array_equal(record(dataset).pixels, pixels << (16 - bits))
    dataset.PixelData = dataset.PixelData[:-2] + b"\xff\xff"
    assert reason(dataset) == "pixel-type"


def test_eight_bits_in_sixteen_become_uint8():
    pixels = bscans().astype(np.uint16)
    dataset = oct_volume(pixels)
    dataset.BitsStored, dataset.HighBit = 8, 7
    found = record(dataset)

    assert found.pixels.dtype == np.uint8
    np.testing.assert_array_equal(found.pixels, pixels)


def test_blank_frames_are_said_and_blank_volumes_refused():
    pixels = bscans()
    pixels[4] = 0
    assert record(oct_volume(pixels)).warnings == ("blank-frames",)
    assert reason(oct_volume(np.full_like(pixels, 7))) == "blank"


@pytest.mark.parametrize(
    ("age", "expected"), [("069Y", 69.0), ("018M", 1.5), ("010W", 0.19), ("020D", 0.05), ("oldY", None), ("", None)]
)
def test_ages(age, expected):
    dataset = oct_volume()
    dataset.PatientAge = "099Y"
    found = record(clinical_dicom.as_bytes(dataset).replace(b"099Y", age.encode().ljust(4))).subject.age

    assert found == (None if expected is None else pytest.approx(expected, abs=0.01))


def test_an_object_of_no_class_is_refused():
    raw = clinical_dicom.as_bytes(oct_volume())

    assert reason(raw.replace(b"\x08\x00\x16\x00UI", b"\x08\x00\x17\x00UI")) == "dicom-class-missing"


def test_a_file_without_preamble_is_read(tmp_path):
    raw = clinical_dicom.as_bytes(oct_volume())

    np.testing.assert_array_equal(record(raw[132:]).pixels, bscans())
    path = tmp_path / "x"
    path.write_bytes(raw[132:])
    np.testing.assert_array_equal(record(path).pixels, bscans())


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_a_bare_dataset_is_read(syntax):
    dataset = oct_volume(syntax=syntax)
    raw = clinical_dicom.as_bytes(dataset)
    begin = raw.index(b"\x08\x00\x08\x00")

    np.testing.assert_array_equal(record(raw[begin:]).pixels, bscans())
