"""MetaImage, NRRD and NIfTI, with SimpleITK and nibabel as independent readers and writers."""

import gzip
from pathlib import Path

import clinical_images as images
import clinical_vendor as vendor
import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from medmd.io import OctVolume, RefusedError, read, read_all, recognise

_SPACING = (0.0314, 0.00387, 0.0118)
_WRITERS = {
    ".mha": images.mha,
    ".z.mha": lambda pixels=None, **more: images.mha(pixels, compressed=True, **more),
    ".nrrd": images.nrrd,
    ".gz.nrrd": lambda pixels=None, **more: images.nrrd(pixels, encoding="gzip", **more),
    ".nii": images.nifti,
    ".nii.gz": lambda pixels=None, **more: images.nifti(pixels, compressed=True, **more),
}


def _reason(data: bytes | Path) -> str:
    with pytest.raises(RefusedError) as caught:
        read_all(data)
    return caught.value.reason


@pytest.mark.parametrize("from_path", [True, False])
@pytest.mark.parametrize("suffix", list(_WRITERS))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_volume_is_read_as_simpleitk_reads_it(tmp_path: Path, suffix: str, dtype: type, from_path: bool) -> None:
    pixels = vendor.gray_volume(5, 12, 9, dtype=dtype)
    data = _WRITERS[suffix](pixels)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    volume = read(path if from_path else data)
    assert isinstance(volume, OctVolume)
    assert np.array_equal(volume.pixels, pixels)
    assert volume.pixels.dtype == dtype
    assert volume.pixels.flags.writeable
    assert volume.spacing == pytest.approx(_SPACING)
    assert (volume.warnings, volume.laterality, volume.source_format) == ((), None, "volume-image")
    theirs = SimpleITK.ReadImage(str(path))
    assert np.array_equal(SimpleITK.GetArrayFromImage(theirs), volume.pixels)
    assert theirs.GetSpacing()[::-1] == pytest.approx(volume.spacing)


@pytest.mark.parametrize("suffix", [".mha", ".nrrd", ".nii", ".nii.gz"])
@pytest.mark.parametrize("compress", [True, False])
def test_what_simpleitk_writes_is_read(tmp_path: Path, suffix: str, compress: bool) -> None:
    pixels = vendor.gray_volume(5, 12, 9)
    image = SimpleITK.GetImageFromArray(pixels)
    image.SetSpacing(_SPACING[::-1])
    image.SetMetaData("PatientName", "somebody")
    path = tmp_path / f"a{suffix}"
    SimpleITK.WriteImage(image, str(path), useCompression=compress)
    volume = read(path)
    assert np.array_equal(volume.pixels, pixels)
    assert volume.spacing == pytest.approx(_SPACING)
    # SimpleITK turns ITK's axes to those of NIfTI when it writes one.
    assert volume.warnings == (("direction-ignored",) if ".nii" in suffix else ())


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_what_nibabel_writes_is_read(tmp_path: Path, kind: type, suffix: str) -> None:
    pixels = vendor.gray_volume(5, 12, 9)
    image = kind(pixels.transpose(2, 1, 0), np.diag([*_SPACING[::-1], 1]))
    nib.save(image, tmp_path / f"a{suffix}")
    volume = read(tmp_path / f"a{suffix}")
    assert np.array_equal(volume.pixels, pixels)
    assert volume.spacing == pytest.approx(_SPACING)
    assert volume.warnings == ()


def test_big_endian_files() -> None:
    pixels = vendor.gray_volume(dtype=np.uint16)
    assert np.array_equal(read(images.nifti(pixels, order=">")).pixels, pixels)
    swapped = images.nrrd(pixels.byteswap()).replace(b"endian: little", b"endian: big")
    assert np.array_equal(read(swapped).pixels, pixels)
    swapped = images.mha(pixels.byteswap()).replace(b"ByteOrderMSB = False", b"ByteOrderMSB = True")
    assert np.array_equal(read(swapped).pixels, pixels)


@pytest.mark.parametrize("suffix", list(_WRITERS))
@pytest.mark.parametrize("dtype", ["i2", "i4", "f4"])
def test_other_values_are_rescaled_linearly(suffix: str, dtype: str) -> None:
    values = vendor.gray_volume(dtype=np.uint16).astype(dtype) % 20000 - 500
    volume = read(_WRITERS[suffix](values))
    assert volume.warnings == ("intensities-rescaled",)
    assert (volume.pixels.dtype, volume.pixels.min(), volume.pixels.max()) == (np.uint16, 0, 65535)
    expected = (values - values.min()) / (float(values.max()) - values.min()) * 65535
    assert np.abs(volume.pixels - expected).max() <= 0.51


@pytest.mark.parametrize("suffix", [".mha", ".nrrd", ".nii"])
@pytest.mark.parametrize("dtype", ["i1", "i2"])
def test_signed_values_that_are_not_negative_stay(suffix: str, dtype: str) -> None:
    values = (vendor.gray_volume() % 100).astype(dtype)
    volume = read(_WRITERS[suffix](values))
    assert np.array_equal(volume.pixels, values)
    assert (volume.pixels.dtype, volume.warnings) == (np.uint16, ())


def test_a_volume_of_one_value_is_black() -> None:
    assert read(images.nrrd(np.full((2, 3, 4), 7.5, "f4"))).pixels.max() == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(bad: float) -> None:
    values = np.ones((2, 3, 4), "f4")
    values[1, 1, 1] = bad
    assert _reason(images.nrrd(values)) == "pixels-invalid"


def test_a_scale_of_nifti_counts_by_its_sign() -> None:
    pixels = vendor.gray_volume(dtype=np.uint16)
    up, down = read(images.nifti(pixels, scale=(0.5, 3))), read(images.nifti(pixels, scale=(-0.5, 3)))
    assert up.warnings == down.warnings == ("intensities-rescaled",)
    assert np.abs(up.pixels.astype(int) + down.pixels - 65535).max() <= 1
    assert np.all(np.diff(up.pixels.ravel()[np.argsort(pixels.ravel())].astype(int)) >= 0)
    for none in ((0.0, 5.0), (np.nan, 0.0)):
        assert np.array_equal(read(images.nifti(pixels, scale=none)).pixels, pixels)


# --- Axes and distances ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mha", ".nrrd", ".nii"])
def test_two_axes_are_one_slice(suffix: str) -> None:
    pixels = vendor.gray_volume()[0]
    volume = read(_WRITERS[suffix](pixels, spacing=(0.0118, 0.00387)))
    assert np.array_equal(volume.pixels, pixels[None])
    assert volume.spacing == (None, pytest.approx(0.00387), pytest.approx(0.0118))


@pytest.mark.parametrize("suffix", list(_WRITERS))
def test_four_axes_are_refused(suffix: str) -> None:
    pixels = np.stack([vendor.gray_volume()] * 2)
    assert _reason(_WRITERS[suffix](pixels, spacing=(0.01, 0.01, 0.01, 1.0))) == "axes"


def test_a_fourth_axis_of_one_is_none_in_nifti() -> None:
    data = images.nifti(declared=(10, 12, 4, 1))
    assert np.array_equal(read(data).pixels, vendor.gray_volume())


def test_colours_on_an_axis_are_refused() -> None:
    data = images.nrrd(vendor.photograph().transpose(0, 1, 2), more="kinds: RGB-color domain domain")
    assert _reason(data) == "axes"


@pytest.mark.parametrize("suffix", [".mha", ".nrrd", ".nii"])
def test_ones_for_distances_mean_that_none_is_known(suffix: str) -> None:
    volume = read(_WRITERS[suffix](spacing=(1.0, 1.0, 1.0)))
    assert volume.spacing == (None, None, None)
    assert volume.warnings == ("spacing-default",)


@pytest.mark.parametrize(("unit", "factor"), [(0, 1.0), (1, 1000.0), (2, 1.0), (3, 0.001)])
def test_units_of_nifti(unit: int, factor: float) -> None:
    volume = read(images.nifti(spacing=tuple(step / factor for step in _SPACING[::-1]), units=unit))
    assert volume.spacing == pytest.approx(_SPACING)


def test_an_unknown_unit_of_nifti_leaves_the_distances_unknown() -> None:
    assert read(images.nifti(units=5)).spacing == (None, None, None)


def test_units_and_plain_spacings_of_nrrd() -> None:
    data = images.nrrd(spacing=(11.8, 3.87, 31.4), more='space units: "um" "um" "um"')
    assert read(data).spacing == pytest.approx(_SPACING)
    plain = images.nrrd(more="spacings: 0.0118 0.00387 NaN").split(b"\n")
    volume = read(b"\n".join(line for line in plain if not line.startswith(b"space directions")))
    assert volume.spacing == pytest.approx((1, 0.00387, 0.0118))
    for units in ('"mm" "um" "mm"', '"parsec" "parsec" "parsec"'):
        assert _reason(images.nrrd(more=f"space units: {units}")) == "spacing-unit"


def test_turned_axes_are_told_and_left() -> None:
    turned = images.nrrd(directions="(0,0.01,0) (0.01,0,0) (0,0,0.03)")
    assert read(turned).warnings == ("direction-ignored",)
    assert read(turned).spacing == pytest.approx((0.03, 0.01, 0.01))
    assert read(images.mha(more="TransformMatrix = 0 1 0 1 0 0 0 0 1")).warnings == ("direction-ignored",)
    assert read(images.mha(more="TransformMatrix = 1 0 0 0 1 0 0 0 1")).warnings == ()


def test_directions_that_are_no_numbers_are_told() -> None:
    data = bytearray(images.nifti())
    # sform_code, then the first number of srow_x.
    data[254:256], data[280:284] = b"\1\0", b"\0\0\xc0\x7f"
    assert read(bytes(data)).warnings == ("direction-ignored",)


# --- Refusals -------------------------------------------------------------------------------------------------------


def test_headers_without_their_pixels_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(vendor.gray_volume().tobytes())
    for name, data in {
        "a.mhd": images.mha(data_file="a.raw"),
        "b.mhd": images.mha(data_file="/etc/passwd"),
        "c.mhd": images.mha(data_file="LIST"),
        "a.nhdr": images.nrrd(more="data file: a.raw"),
        "b.nhdr": images.nrrd(more="datafile: a.raw").split(b"\n\n")[0] + b"\n",
        "a.hdr": images.nifti(magic=b"ni1\0"),
    }.items():
        (tmp_path / name).write_bytes(data)
        assert _reason(tmp_path / name) == "detached-header"


@pytest.mark.parametrize("suffix", list(_WRITERS))
@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ((30000, 30000, 30000), "size-too-large"),
        ((10, 12, 5), "truncated"),
        ((10, 12, 0), "size-impossible"),
        ((10, -12, 4), "size-impossible"),
    ],
)
def test_declared_sizes_are_checked(suffix: str, declared: tuple[int, ...], reason: str) -> None:
    assert _reason(_WRITERS[suffix](declared=declared)) == reason


def test_wide_voxels_count_by_their_bytes() -> None:
    pixels = np.zeros((1, 1, 1), "f4")
    assert _reason(images.nrrd(pixels, declared=(1024, 1024, 513))) == "size-too-large"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (images.mha(more="ElementNumberOfChannels = 3"), "pixel-format"),
        (images.mha().replace(b"BinaryData = True", b"BinaryData = False"), "pixel-format"),
        (images.mha().replace(b"MET_UCHAR", b"MET_OTHER"), "pixel-format"),
        (images.mha().replace(b"NDims = 3", b"NDims = 2"), "header-damaged"),
        (images.mha().replace(b"DimSize = 10 12 4", b"DimSize = 10 x 4"), "header-damaged"),
        (images.mha().split(b"ElementDataFile")[0], "header-damaged"),
        (images.mha(spacing=(0.1, 0.2)), "header-damaged"),
        (images.nrrd().replace(b"type: uchar", b"type: block"), "pixel-format"),
        (images.nrrd().replace(b"encoding: raw", b"encoding: bzip2"), "pixel-format"),
        (images.nrrd(more="byte skip: 4"), "pixel-format"),
        (images.nrrd().replace(b"dimension: 3", b"dimension: 2"), "header-damaged"),
        (images.nrrd(directions="(1,0,0) (0,1,0)"), "header-damaged"),
        (images.nrrd(more="spacings: 0.1").replace(b"space directions", b"other"), "header-damaged"),
        (images.nrrd().split(b"\n\n")[0], "header-damaged"),
        (images.nifti(kind=128), "pixel-format"),
        (images.nifti(kind=1792), "pixel-format"),
        (images.nifti(offset=1e9), "header-damaged"),
        (images.nifti(offset=10.0), "header-damaged"),
    ],
)
def test_headers_that_cannot_be_understood_are_refused(data: bytes, reason: str) -> None:
    assert _reason(data) == reason


def test_damaged_compression_is_refused() -> None:
    for write in (images.mha, images.nifti):
        data = bytearray(write(compressed=True))
        data[-40:] = bytes(40)
        assert _reason(bytes(data)) in ("damaged", "truncated")
    assert _reason(images.nifti(compressed=True)[:-30]) in ("damaged", "truncated")


def test_several_compressed_streams_in_a_row_are_one() -> None:
    data = images.nifti()
    assert np.array_equal(read(gzip.compress(data[:500]) + gzip.compress(data[500:])).pixels, vendor.gray_volume())


def test_a_compressed_file_is_inflated_only_as_far_as_declared() -> None:
    """200 MB of zeros behind the volume: never made."""
    import tracemalloc

    bomb = images.nifti() + bytes(200_000_000)
    packed = gzip.compress(bomb, compresslevel=1)
    del bomb
    tracemalloc.start()
    volume = read(packed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(volume.pixels, vendor.gray_volume())
    assert peak < 20_000_000


def test_other_gzip_files_and_analyze_pairs_are_not_ours() -> None:
    assert recognise(gzip.compress(b"something")) is None
    assert recognise(b"\x1f\x8bnothing") is None
    assert recognise(images.nifti(magic=b"\0\0\0\0")) is None
    assert recognise(b"ObjectType = Tube\nNDims = 3\n") is None
