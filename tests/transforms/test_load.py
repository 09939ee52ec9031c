"""Files of every form come out with the right axes, range and channels, or with an error that names the case."""

import traceback
import warnings

import nibabel
import numpy as np
import pytest
from PIL import Image

from medmd.transforms import LoadPhotograph, LoadPhotographd, LoadVolume, LoadVolumed, OctToSlicesFirstd
from medmd.utils import MedmdError

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def saved(folder, pixels, name="photo.png", **options):
    path = folder / name
    Image.fromarray(pixels).save(path, **options)
    return path


def test_colour_photograph_is_channel_first_rows_then_columns(tmp_path):
    image = LoadPhotograph()(saved(tmp_path, PIXELS))
    np.testing.assert_array_equal(image.numpy(), PIXELS.transpose(2, 0, 1))


def test_grey_photograph_becomes_three_equal_channels(tmp_path):
    image = LoadPhotograph()(saved(tmp_path, PIXELS[..., 0]))
    np.testing.assert_array_equal(image.numpy(), np.stack([PIXELS[..., 0]] * 3))


def test_sixteen_bit_grey_keeps_its_contrast(tmp_path):
    wide = PIXELS[..., 0].astype(np.uint16) * 257
    np.testing.assert_allclose(LoadPhotograph()(saved(tmp_path, wide))[1].numpy(), PIXELS[..., 0], atol=1e-4)


def test_transparency_is_laid_over_black(tmp_path):
    alpha = np.full((5, 7, 1), 255, dtype=np.uint8)
    alpha[:2] = 0
    image = LoadPhotograph()(saved(tmp_path, np.concatenate([PIXELS, alpha], axis=2))).numpy()
    np.testing.assert_array_equal(image[:, 2:], PIXELS.transpose(2, 0, 1)[:, 2:])
    assert not image[:, :2].any()


def test_palette_becomes_colour(tmp_path):
    path = tmp_path / "palette.png"
    Image.fromarray(PIXELS).quantize(256, method=Image.Quantize.FASTOCTREE).save(path)
    np.testing.assert_allclose(LoadPhotograph()(path).numpy(), PIXELS.transpose(2, 0, 1), atol=40)


@pytest.mark.parametrize(("orientation", "turns", "mirrored"), [(1, 0, 0), (3, 2, 0), (6, 3, 0), (8, 1, 0), (2, 0, 1)])
def test_exif_orientation_is_honoured(tmp_path, orientation, turns, mirrored):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = LoadPhotograph()(saved(tmp_path, PIXELS, exif=exif)).numpy()
    shown = PIXELS[:, ::-1] if mirrored else np.rot90(PIXELS, turns)
    np.testing.assert_array_equal(image, shown.transpose(2, 0, 1))


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_volume_keeps_axes_values_and_affine(tmp_path, name):
    stored = np.random.default_rng(1).integers(0, 256, (3, 4, 5), dtype=np.uint8)
    affine = np.diag([0.1, 0.004, -0.2, 1])
    nibabel.save(nibabel.Nifti1Image(stored, affine), tmp_path / name)
    volume = LoadVolume()(tmp_path / name)
    np.testing.assert_array_equal(volume.numpy(), stored[None])
    np.testing.assert_allclose(volume.affine.numpy(), affine, atol=1e-8)
    turned = OctToSlicesFirstd("oct")({"oct": volume})["oct"]
    np.testing.assert_array_equal(turned.numpy(), stored.transpose(2, 1, 0)[None])
    np.testing.assert_allclose(turned.affine.numpy() @ [4, 2, 1, 1], affine @ [1, 2, 4, 1], atol=1e-8)
    assert turned[0, 4, 2, 1] == stored[1, 2, 4]


def test_turning_back_restores_the_volume():
    volume = np.random.default_rng(1).random((1, 3, 4, 5), dtype=np.float32)
    turn = OctToSlicesFirstd(["oct", "other"], allow_missing_keys=True)
    back = turn.inverse(turn({"oct": volume}))
    np.testing.assert_array_equal(back["oct"].numpy(), volume)
    assert turn({"case_id": "c1"}) == {"case_id": "c1"}


def test_turning_something_else_names_the_case():
    with pytest.raises(MedmdError, match=r"case 'c1': 'oct' has shape \(3, 4, 5\)"):
        OctToSlicesFirstd("oct")({"case_id": "c1", "oct": np.zeros((3, 4, 5))})


@pytest.mark.parametrize("loader", [LoadVolumed, LoadPhotographd])
@pytest.mark.parametrize("content", [None, b"", b"not an image", b"\x1f\x8b broken gzip"])
def test_an_unreadable_file_names_case_and_key_but_no_path(tmp_path, loader, content):
    path = tmp_path / "SMITH_JOHN.nii.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MedmdError, match=r"case 'c1': 'oct' cannot be read as a") as caught:
        loader("oct")({"case_id": "c1", "oct": str(path)})
    assert "SMITH" not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__cause__ is None
    assert ("no such file" in str(caught.value)) == (content is None)


def test_a_truncated_photograph_is_an_error(tmp_path):
    path = saved(tmp_path, np.tile(PIXELS, (40, 40, 1)))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(MedmdError, match="case 'c1': 'fundus' cannot be read as a photograph"):
        LoadPhotographd("fundus")({"case_id": "c1", "fundus": str(path)})


def test_a_file_with_time_or_colour_axis_is_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5, 2), dtype=np.uint8), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(MedmdError, match=r"4 axes of sizes .* expected 3"):
        LoadVolumed("oct")({"case_id": "c1", "oct": str(tmp_path / "a.nii")})


def test_missing_keys_are_an_error_unless_allowed():
    for loader in (LoadVolumed, LoadPhotographd):
        assert loader("image", allow_missing_keys=True)({"case_id": "c1"}) == {"case_id": "c1"}
        with pytest.raises(KeyError, match="image"):
            loader("image")({"case_id": "c1"})


def test_loading_emits_no_warning_of_absent_codecs(tmp_path, caplog):
    path = saved(tmp_path, PIXELS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LoadPhotographd("fundus")({"fundus": str(path)})
    assert "nvImageCodec" not in caplog.text
