import gzip
import hashlib

import nibabel
import numpy as np
import pytest

from data_prep._volumes import volume_shape, write_volume

SPACING = (0.01, 0.0026, 0.25)


def slices(count=5, rows=7, columns=4, dtype=np.uint8, seed=0):
    high = np.iinfo(dtype).max
    return list(np.random.RandomState(seed).randint(0, high, (count, rows, columns)).astype(dtype))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_nibabel_reads_back_every_voxel_where_the_axes_say(tmp_path, dtype):
    images = slices(dtype=dtype)
    written = write_volume(tmp_path / "v.nii.gz", iter(images), count=5, spacing_mm=SPACING)
    image = nibabel.load(tmp_path / "v.nii.gz")
    array = np.asanyarray(image.dataobj)
    assert array.dtype == dtype
    assert array.shape == written.shape == volume_shape(tmp_path / "v.nii.gz") == (4, 7, 5)
    for z, expected in enumerate(images):
        np.testing.assert_array_equal(array[:, :, z].T, expected)
    np.testing.assert_allclose(image.affine, np.diag([*SPACING, 1]), rtol=1e-6)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 1)


def test_the_plain_bytes_are_those_that_nibabel_itself_writes(tmp_path):
    images = slices()
    write_volume(tmp_path / "v.nii.gz", images, count=5, spacing_mm=SPACING)
    reference = nibabel.Nifti1Image(np.stack(images, axis=-1).transpose(1, 0, 2), np.diag([*SPACING, 1]))
    reference.header.set_xyzt_units("mm")
    reference.set_sform(reference.affine, code=1)
    reference.set_qform(reference.affine, code=1)
    assert gzip.decompress((tmp_path / "v.nii.gz").read_bytes()) == reference.to_bytes()


def test_equal_slices_give_equal_bytes_without_name_or_time(tmp_path):
    first = write_volume(tmp_path / "a.nii.gz", slices(), count=5, spacing_mm=SPACING)
    second = write_volume(tmp_path / "sub" / "b.nii.gz", slices(), count=5, spacing_mm=SPACING)
    data = (tmp_path / "a.nii.gz").read_bytes()
    assert data == (tmp_path / "sub" / "b.nii.gz").read_bytes()
    assert first.sha256 == second.sha256 == hashlib.sha256(data).hexdigest()
    # RFC 1952: no flags (so no file name), four zero bytes of time.
    assert data[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


def test_the_header_holds_no_text(tmp_path):
    write_volume(tmp_path / "v.nii.gz", slices(), count=5, spacing_mm=SPACING)
    header = nibabel.load(tmp_path / "v.nii.gz").header
    assert {bytes(header[name]).strip(b"\0") for name in ("descrip", "aux_file", "intent_name", "db_name")} == {b""}
    assert list(header.extensions) == []


def test_not_contiguous_slices_are_written_as_they_look(tmp_path):
    wide = slices(rows=7, columns=8)
    write_volume(tmp_path / "v.nii.gz", [image[:, ::2] for image in wide], count=5, spacing_mm=SPACING)
    array = np.asanyarray(nibabel.load(tmp_path / "v.nii.gz").dataobj)
    np.testing.assert_array_equal(array[:, :, 2].T, wide[2][:, ::2])


@pytest.mark.parametrize(
    ("images", "count", "message"),
    [
        (slices(4), 5, "expected 5, got 4"),
        (slices(6), 5, "expected 5, got more"),
        ([], 2, "expected 2, got 0"),
        ([np.zeros((3, 3), np.uint8), np.zeros((3, 4), np.uint8)], 2, r"slice 1: expected \(3, 3\) uint8"),
        ([np.zeros((3, 3), np.uint8), np.zeros((3, 3), np.uint16)], 2, "slice 1: expected"),
        ([np.zeros((3, 3))], 1, "expected two axes of uint8 or uint16"),
        ([np.zeros((3, 3, 3), np.uint8)], 1, "expected two axes"),
        ([np.zeros((3, 3), ">u2")], 1, "expected two axes"),
    ],
)
def test_slices_that_make_no_volume_are_refused_and_nothing_is_left(tmp_path, images, count, message):
    with pytest.raises(ValueError, match=message):
        write_volume(tmp_path / "v.nii.gz", images, count=count, spacing_mm=SPACING)
    assert list(tmp_path.iterdir()) == []


def test_only_a_slice_at_a_time_is_held(tmp_path):
    alive, most = set(), 0

    class Counted(np.ndarray):
        def __del__(self):
            alive.discard(id(self))

    def produce():
        nonlocal most
        for _ in range(20):
            image = np.zeros((64, 64), np.uint8).view(Counted)
            alive.add(id(image))
            most = max(most, len(alive))
            yield image
            del image

    write_volume(tmp_path / "v.nii.gz", produce(), count=20, spacing_mm=SPACING)
    assert most <= 3
