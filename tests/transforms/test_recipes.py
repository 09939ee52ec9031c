"""The pipelines as a bundle writes them: nothing is transposed or mirrored by mistake, and workers change nothing.

Every test reads the files a second time with nibabel or pillow alone and says in plain slices what must come out.
"""

import itertools
import json
import pickle

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import DataLoader, Dataset
from monai.transforms import Compose
from PIL import Image

from medmd.utils import derive_seed

MISSING = {"allow_missing_keys": True}

OCT_AND_FUNDUS = [
    {"_target_": "medmd.transforms.LoadVolumed", "keys": "oct", **MISSING},
    {"_target_": "medmd.transforms.LoadPhotographd", "keys": "fundus", **MISSING},
    {"_target_": "medmd.transforms.OctToSlicesFirstd", "keys": "oct", **MISSING},
    {"_target_": "medmd.transforms.HarmonizeLateralityd", "keys": ["oct", "fundus"], "spatial_axis": [2, 1], **MISSING},
    {"_target_": "medmd.transforms.CropRetinaBandd", "keys": "oct", "height": 64, "depth_axis": 1, **MISSING},
    {"_target_": "monai.transforms.Resized", "keys": "oct", "spatial_size": [32, 64, 64], "mode": "area", **MISSING},
    {
        "_target_": "monai.transforms.ScaleIntensityRangePercentilesd",
        "keys": "oct",
        "lower": 1,
        "upper": 99,
        "b_min": -1.0,
        "b_max": 1.0,
        "clip": True,
        **MISSING,
    },
    {"_target_": "medmd.transforms.FitFundusCircled", "keys": "fundus", "size": 112, **MISSING},
    {
        "_target_": "monai.transforms.ScaleIntensityRanged",
        "keys": "fundus",
        "a_min": 0.0,
        "a_max": 255.0,
        "b_min": -1.0,
        "b_max": 1.0,
        "clip": True,
        **MISSING,
    },
]

AUGMENT = [
    {"_target_": "monai.transforms.EnsureTyped", "keys": ["oct", "fundus"], "track_meta": False, **MISSING},
    {"_target_": "medmd.transforms.RandInPlaneAffined", "keys": "oct", "degrees": 3.0, "shift": 0.04, **MISSING},
    {"_target_": "medmd.transforms.RandShiftAxisd", "keys": "oct", "spatial_axis": 0, "voxels": 1, **MISSING},
    {"_target_": "medmd.transforms.RandIntensityd", "keys": "oct", "per": "slice", **MISSING},
    {"_target_": "medmd.transforms.RandNoised", "keys": "oct", "std": 0.05, **MISSING},
    {
        "_target_": "medmd.transforms.RandInPlaneAffined",
        "keys": "fundus",
        "degrees": 10.0,
        "shift": 0.03,
        "zoom": 0.05,
        "fill": -1.0,
        **MISSING,
    },
    {"_target_": "medmd.transforms.RandIntensityd", "keys": "fundus", "per": "channel", "offset": 0.05, **MISSING},
    {"_target_": "medmd.transforms.RandNoised", "keys": "fundus", "std": 0.03, **MISSING},
]

PACK = [
    {
        "_target_": "medmd.transforms.PackInputsd",
        "keys": ["oct", "fundus"],
        "shapes": {"oct": [1, 32, 64, 64], "fundus": [3, 112, 112]},
    }
]

DISC_AND_RNFL = [
    {"_target_": "medmd.transforms.LoadPhotographd", "keys": "fundus", **MISSING},
    {"_target_": "medmd.transforms.HarmonizeLateralityd", "keys": "fundus", "spatial_axis": 1, **MISSING},
    {"_target_": "medmd.transforms.FitFundusCircled", "keys": "fundus", "size": 64, **MISSING},
    {
        "_target_": "monai.transforms.ScaleIntensityRanged",
        "keys": "fundus",
        "a_min": 0.0,
        "a_max": 255.0,
        "b_min": -1.0,
        "b_max": 1.0,
        "clip": True,
        **MISSING,
    },
    {
        "_target_": "medmd.transforms.StandardizeVectord",
        "keys": "rnfl",
        "mean": [80.0, 95.0, 65.0, 95.0, 60.0],
        "std": [15.0, 25.0, 12.0, 27.0, 13.0],
        **MISSING,
    },
    {
        "_target_": "medmd.transforms.PackInputsd",
        "keys": ["fundus", "rnfl"],
        "shapes": {"fundus": [3, 64, 64], "rnfl": [5]},
    },
]


LETTER = np.array([[int(dot) for dot in row] for row in ("1111", "1000", "1110", "1000", "1000", "1010")])


def compose(*recipes):
    """One pipeline of several recipes, by way of JSON text."""
    steps = json.loads(json.dumps([step for recipe in recipes for step in recipe]))
    return Compose(ConfigParser({"transforms": steps}).get_parsed_content("transforms"))


def letter(rows, columns):
    """An F with a dot at its lower right, (rows, columns) in 0..1: equal to none of its mirror images or turns."""
    return np.kron(LETTER, np.ones((rows // 6, columns // 4)))[:rows, :columns]


@pytest.fixture(scope="module")
def eye(tmp_path_factory):
    """A volume of 64 (along-scan) x 96 (depth) x 32 (slices) and photographs whose content says which axis is which."""
    folder = tmp_path_factory.mktemp("eye")
    rng = np.random.default_rng(0)
    volume = rng.integers(0, 30, (64, 96, 32)).astype(np.uint8)
    en_face = np.zeros((64, 32))
    en_face[8:56, 4:28] = letter(24, 48).T
    # A bright upper and a half as bright lower layer tell up from down; the letter tells along-scan from slices.
    volume[:, 40:46] += np.uint8(200)
    volume[:, 46:66] += (100 * en_face[:, None]).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([0.1, 0.004, 0.2, 1])), folder / "oct.nii.gz")
    pixels = np.full((144, 144, 3), (150, 80, 40), dtype=np.uint8)
    pixels[48:96, 52:92] = (letter(48, 40)[..., None] * (90, 150, 190) + (20, 30, 40)).astype(np.uint8)
    rows, columns = np.ogrid[:144, :144]
    pixels[np.hypot(rows - 70, columns - 74) > 62] = 0
    Image.fromarray(pixels).save(folder / "fundus.png")
    Image.fromarray(pixels[39:103, 42:106]).save(folder / "disc.jpg", quality=95)
    return folder


def item(eye, laterality, **more):
    paths = {"oct": str(eye / "oct.nii.gz"), "fundus": str(eye / "fundus.png")}
    return {"case_id": "c1", "patient_id": "p1", "target": -4.0, "laterality": laterality, **paths, **more}


def mirror_images(image, axes):
    """Every flip of the given axes but none at all."""
    for size in range(1, len(axes) + 1):
        for chosen in itertools.combinations(axes, size):
            yield np.flip(image, chosen)


def correlation(a, b):
    return np.corrcoef(np.ravel(a), np.ravel(b))[0, 1]


@pytest.mark.parametrize("laterality", ["R", "L"])
def test_every_axis_of_the_oct_lies_where_it_should(eye, laterality):
    stored = np.asarray(nibabel.load(eye / "oct.nii.gz").dataobj).astype(float)
    result = compose(OCT_AND_FUNDUS, PACK)(item(eye, laterality))["oct"][0].numpy()
    start = compose(OCT_AND_FUNDUS)(item(eye, laterality))["oct_retina_band"]["start"]
    low, high = np.percentile(stored[:, start : start + 64], (1, 99))
    expected = np.empty((32, 64, 64))
    for z, d, x in itertools.product(range(32), range(64), range(64)):
        expected[z, d, x] = stored[x if laterality == "R" else 63 - x, start + d, z]
    scaled = np.clip((expected - low) / (high - low), 0, 1) * 2 - 1
    np.testing.assert_allclose(result, scaled, atol=1e-5)
    assert max(correlation(wrong, result) for wrong in mirror_images(scaled, (0, 1, 2))) < 0.95


@pytest.mark.parametrize("laterality", ["R", "L"])
def test_rows_and_columns_of_the_photograph_lie_where_they_should(eye, laterality):
    stored = Image.open(eye / "fundus.png")
    result = compose(OCT_AND_FUNDUS, PACK)(item(eye, laterality))["fundus"].numpy()
    box = stored.crop((74 - 62, 70 - 62, 74 + 63, 70 + 63)).resize((112, 112), Image.Resampling.BILINEAR)
    expected = np.moveaxis(np.asarray(box, dtype=float), 2, 0) / 127.5 - 1
    if laterality == "L":
        expected = expected[..., ::-1]
    assert correlation(expected, result) > 0.99
    wrong = [*mirror_images(expected, (1, 2)), *mirror_images(expected.swapaxes(1, 2), (1, 2)), expected[::-1]]
    assert max(correlation(other, result) for other in [*wrong, expected.swapaxes(1, 2)]) < 0.97
    assert np.abs(expected - result).mean() < 0.03


def test_a_disc_crop_and_a_vector_make_an_item(eye):
    rnfl = [95.0, 95, 65, 122, 47]
    data = {"case_id": "c1", "laterality": "L", "target": None, "fundus": str(eye / "disc.jpg"), "rnfl": rnfl}
    packed = compose(DISC_AND_RNFL)(data)
    stored = np.asarray(Image.open(eye / "disc.jpg"), dtype=float).transpose(2, 0, 1)[..., ::-1]
    np.testing.assert_allclose(packed["fundus"], stored / 127.5 - 1, atol=1e-5)
    np.testing.assert_allclose(packed["rnfl"], [1, 0, 0, 1, -1], atol=1e-6)
    assert packed["present"].tolist() == [True, True]


@pytest.mark.parametrize("absent", ["oct", "fundus"])
def test_a_missing_modality_goes_through_the_whole_pipeline(eye, absent):
    data = item(eye, "R")
    del data[absent]
    packed = compose(OCT_AND_FUNDUS, AUGMENT, PACK)(data)
    assert packed["present"].tolist() == [absent != "oct", absent != "fundus"]
    assert not packed[absent].any()


def test_the_deterministic_part_is_inverted_by_monai(eye):
    pipeline = compose(OCT_AND_FUNDUS)
    back = pipeline.inverse(pipeline(item(eye, "L")))
    stored = np.asarray(nibabel.load(eye / "oct.nii.gz").dataobj)
    assert back["oct"].shape == (1, *stored.shape)
    np.testing.assert_allclose(back["oct"].affine, np.diag([0.1, 0.004, 0.2, 1]), atol=1e-9)
    # Intensity scaling has no inverse: the place of every voxel is what is restored.
    kept = slice(40, 66)
    assert correlation(back["oct"][0, :, kept].numpy(), stored[:, kept]) > 0.99
    photograph = np.asarray(Image.open(eye / "fundus.png"), dtype=float).transpose(2, 0, 1)
    assert back["fundus"].shape == photograph.shape
    assert correlation(back["fundus"][:, 40:100, 40:100].numpy(), photograph[:, 40:100, 40:100]) > 0.98


@pytest.mark.parametrize("recipe", [OCT_AND_FUNDUS + AUGMENT + PACK, DISC_AND_RNFL])
def test_pipelines_survive_the_way_to_a_spawned_worker(eye, recipe):
    pipeline = compose(recipe)
    copy = pickle.loads(pickle.dumps(pipeline))  # noqa: S301 - our own object
    data = item(eye, "L", rnfl=[1.0, 2, 3, 4, 5])
    one, other = (each.set_random_state(3)(data) for each in (pipeline, copy))
    assert all(torch.equal(one[key], other[key]) for key in one if key not in ("case_id", "target"))


class Seeded(Dataset):
    """Seeds the pipeline by (seed, stage, epoch, index), as a training dataset does."""

    def __getitem__(self, index):
        self.transform.set_random_state(derive_seed(7, "train", 3, index))
        return self.transform(self.data[index])


def batches(eye, workers):
    # The smaller recipe keeps the test short: reading is done once, what is left is random.
    loaded = compose(OCT_AND_FUNDUS)
    data = [loaded(item(eye, side, case_id=f"c{n}")) for n, side in enumerate("RLRLR")]
    dropout = [{"_target_": "medmd.transforms.RandModalityDropoutd", "keys": ["oct", "fundus"], "prob": 0.4}]
    dataset = Seeded(data, compose(dropout, AUGMENT, PACK))
    return list(DataLoader(dataset, batch_size=2, num_workers=workers))


def test_none_one_and_two_workers_give_the_same_batches(eye):
    alone = batches(eye, 0)
    assert not torch.equal(alone[0]["fundus"][0], alone[1]["fundus"][0])
    assert 0 < sum(int((~batch["present"]).sum()) for batch in alone) < 10
    for workers in (1, 2):
        for one, other in zip(alone, batches(eye, workers), strict=True):
            assert one["case_id"] == other["case_id"]
            for name in ("oct", "fundus", "present", "target"):
                assert torch.equal(one[name], other[name])


@pytest.mark.parametrize("laterality", ["R", "L"])
def test_augmentation_changes_the_image_but_not_its_orientation(eye, laterality):
    before = compose(OCT_AND_FUNDUS)(item(eye, laterality))
    augment = compose(AUGMENT, PACK)
    changed = {"oct": 0, "fundus": 0}
    for seed in range(8):
        after = augment.set_random_state(seed)(before)
        for key in changed:
            changed[key] += not torch.equal(before[key].as_tensor(), after[key])
            assert correlation(before[key], after[key]) > 0.05 + correlation(torch.flip(before[key], [-1]), after[key])
    assert min(changed.values()) >= 4
