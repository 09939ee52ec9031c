import gzip
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from medmd.data.check import check_datalist
from medmd.data.check._headers import obstacle, read_header

VOLUME = np.random.RandomState(0).randint(0, 255, (9, 11, 5)).astype(np.uint8)
PICTURE = np.random.RandomState(1).randint(0, 255, (12, 14, 3)).astype(np.uint8)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"


def save_volume(path: Path, dtype=np.uint8, kind=nib.Nifti1Image) -> Path:
    nib.save(kind(VOLUME.astype(dtype), np.eye(4)), path)
    return path


def save_picture(path: Path, mode="RGB") -> Path:
    Image.fromarray(PICTURE).convert(mode).save(path)
    return path


def cut(path: Path, by: int = 40) -> Path:
    path.write_bytes(path.read_bytes()[:-by])
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mgz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_the_shape_is_the_one_that_nibabel_decodes(tmp_path, name, dtype):
    kind = nib.MGHImage if name.endswith("mgz") else nib.Nifti1Image
    assert read_header(save_volume(tmp_path / name, dtype, kind), "volume") == VOLUME.shape


def test_a_nifti_2_of_big_endian_and_with_an_extension_is_read(tmp_path):
    path = save_volume(tmp_path / "a.nii.gz", kind=nib.Nifti2Image)
    assert read_header(path, "volume") == VOLUME.shape
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    image = nib.Nifti1Image(VOLUME.astype(">i2"), np.eye(4), header)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 5000))
    nib.save(image, tmp_path / "b.nii.gz")
    assert nib.load(tmp_path / "b.nii.gz").header.endianness == ">"
    assert read_header(tmp_path / "b.nii.gz", "volume") == VOLUME.shape


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tif"])
@pytest.mark.parametrize(("mode", "bands"), [("RGB", 3), ("L", 1)])
def test_the_shape_of_a_picture_is_the_one_that_pillow_decodes(tmp_path, name, mode, bands):
    path = save_picture(tmp_path / name, mode)
    assert read_header(path, "image") == (*np.asarray(Image.open(path)).shape[:2], bands)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("by", [1, 4, 40, 300])
def test_a_volume_cut_short_is_refused(tmp_path, name, by):
    with pytest.raises((EOFError, OSError)):
        read_header(cut(save_volume(tmp_path / name), by), "volume")


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("by", [40, 200])
def test_a_picture_cut_short_is_refused(tmp_path, name, by):
    with pytest.raises((OSError, SyntaxError)):
        read_header(cut(save_picture(tmp_path / name), by), "image")


def test_bytes_behind_a_whole_file_are_no_fault(tmp_path):
    volume, picture = save_volume(tmp_path / "a.nii.gz"), save_picture(tmp_path / "a.png")
    plain = gzip.decompress(volume.read_bytes())
    # In two members, as block compressors write: the last one announces its own length only.
    volume.write_bytes(gzip.compress(plain[:500]) + gzip.compress(plain[500:]))
    picture.write_bytes(picture.read_bytes() + b"\n")
    assert read_header(volume, "volume") == VOLUME.shape
    assert read_header(picture, "image") == PICTURE.shape


def test_a_header_that_announces_more_than_there_is_is_refused(tmp_path):
    path = save_volume(tmp_path / "a.nii")
    plain = bytearray(path.read_bytes())
    plain[42:44] = (900).to_bytes(2, "little")
    path.write_bytes(gzip.compress(bytes(plain)))
    with pytest.raises(EOFError, match="announces"):
        read_header(path, "volume")


def deny(self, *_, **__):
    raise PermissionError(self)


@pytest.mark.parametrize(
    ("make", "rule", "found"),
    [
        (Path.mkdir, "missing-file", "a folder"),
        (lambda path: None, "missing-file", "none"),
        (Path.touch, "unreadable-file", "empty"),
        (lambda path: path.write_bytes(LFS), "unreadable-file", "LFS"),
    ],
)
def test_what_stands_in_the_place_of_a_file_is_named(tmp_path, make, rule, found):
    make(tmp_path / "x.png")
    stands = obstacle(tmp_path / "x.png")
    assert stands is not None
    assert stands.rule == rule
    assert found in stands.found


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = save_picture(tmp_path / "x.png")
    assert obstacle(path) is None
    monkeypatch.setattr(Path, "open", deny)
    stands = obstacle(path)
    assert stands is not None
    assert "no right" in stands.found


@pytest.mark.parametrize("hashes", [True, False])
def test_the_check_tells_the_same_and_names_no_path(make_datalist, hashes):
    path = make_datalist(patients=6)
    folder = path.parent
    (folder / "oct/c000.nii.gz").write_bytes(b"")
    (folder / "oct/c001.nii.gz").write_bytes(LFS)
    cut(folder / "fundus/c002.png")
    (folder / "fundus/c003.png").unlink()
    (folder / "fundus/c003.png").mkdir()
    shutil.copy(folder / "fundus/c005.png", folder / "oct/c004.nii.gz")
    report = check_datalist(path, hashes=hashes)
    found = {finding.case_id: finding.rule for finding in report.refusals if finding.rule != "hash"}
    assert found == dict.fromkeys(["c000", "c001", "c002", "c004"], "unreadable-file") | {"c003": "missing-file"}
    assert str(folder) not in report.to_json()
