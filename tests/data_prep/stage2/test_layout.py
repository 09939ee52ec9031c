import shutil
from pathlib import Path

import pytest

from data_prep.stage2._layout import find_release
from medmd.utils import MedmdError


def relative(release):
    return {
        part.kind: (part.images.name, part.labels and part.labels.name, part.info and part.info.name)
        for part in release.parts
    }


def test_stage_2023_is_oct_alone_with_excel_labels(stage2023):
    release = find_release(stage2023)
    assert release.layout == "stage2023"
    assert relative(release) == {
        "training": (
            "STAGE_training/training_images",
            "STAGE_training/training_GT/task1_GT_training.xlsx",
            "STAGE_training/data_info_training.xlsx",
        ),
        "validation": ("STAGE_validation/validation_images", None, "STAGE_validation/data_info_validation.xlsx"),
    }
    assert [len(part.images.eyes) for part in release.parts] == [8, 3]
    assert all(len(eye.slices) == 12 and not eye.fundus for part in release.parts for eye in part.images.eyes.values())


def test_stage_2024_has_photographs_csv_labels_and_another_name_of_the_info(stage2024):
    release = find_release(stage2024)
    assert release.layout == "stage2024"
    assert relative(release) == {
        "training": (
            "STAGE_training/training_images",
            "STAGE_training/training_GT/task1_GT_training.csv",
            "STAGE_training/data_info_training.xlsx",
        ),
        "validation": ("STAGE_validation/validation_images", None, "STAGE_validation/data_info_val.xlsx"),
    }
    assert all(len(eye.fundus) == 1 for part in release.parts for eye in part.images.eyes.values())


def test_gamma_has_its_slices_one_folder_deeper(gamma):
    release = find_release(gamma)
    assert release.layout == "gamma"
    assert relative(release) == {
        part: (
            f"Glaucoma_grading/{part}/multi-modality_images",
            f"Glaucoma_grading/{part}/glaucoma_grading_{part}_GT.xlsx",
            None,
        )
        for part in ("training", "testing")
    }
    eye = release.parts[0].images.eyes[2]
    assert (eye.name, eye.nested, len(eye.slices), len(eye.fundus)) == (
        "Glaucoma_grading/training/multi-modality_images/0002", True, 12, 1,
    )  # fmt: skip


def test_renamed_folders_are_understood(stage2024):
    (stage2024 / "STAGE_training").rename(stage2024 / "train")
    (stage2024 / "STAGE_validation").rename(stage2024 / "valid")
    (stage2024 / "train" / "training_images").rename(stage2024 / "train" / "images")
    (stage2024 / "valid" / "validation_images").rename(stage2024 / "valid" / "images")
    found = relative(find_release(stage2024))
    assert found["training"][:2] == ("train/images", "train/training_GT/task1_GT_training.csv")
    assert found["validation"] == ("valid/images", None, "valid/data_info_val.xlsx")


def test_one_part_alone_is_told_by_the_name_of_the_source(stage2024):
    assert [part.kind for part in find_release(stage2024 / "STAGE_validation").parts] == ["validation"]
    assert [part.kind for part in find_release(stage2024 / "STAGE_training").parts] == ["training"]


def test_a_folder_without_a_telling_name_is_what_its_labels_are_for(stage2024, tmp_path):
    plain = tmp_path / "download"
    shutil.copytree(stage2024 / "STAGE_training" / "training_images", plain / "pictures")
    shutil.copy(stage2024 / "STAGE_training" / "training_GT" / "task1_GT_training.csv", plain)
    assert relative(find_release(plain))["training"] == ("pictures", "task1_GT_training.csv", None)
    (plain / "task1_GT_training.csv").rename(plain / "task1_GT_validation.csv")
    assert relative(find_release(plain))["validation"][1] == "task1_GT_validation.csv"
    (plain / "task1_GT_validation.csv").rename(plain / "task1_GT.csv")
    assert relative(find_release(plain))["training"][1] == "task1_GT.csv"


def test_the_final_part_is_nested_twice(stage2024):
    source = stage2024 / "STAGE_validation" / "validation_images" / "0021"
    shutil.copytree(source, stage2024 / "STAGE_FINAL_IMGS" / "final_imgs" / "final_imgs" / "0021")
    found = relative(find_release(stage2024))
    assert found["testing"] == ("STAGE_FINAL_IMGS/final_imgs/final_imgs", None, None)


def test_a_validation_part_elsewhere_is_named(stage2024, tmp_path):
    elsewhere = tmp_path / "second"
    shutil.move(stage2024 / "STAGE_validation" / "validation_images", elsewhere / "pictures")
    release = find_release(stage2024, validation=elsewhere)
    assert relative(release)["validation"][0] == "--validation/pictures"
    assert relative(release)["training"][0] == "STAGE_training/training_images"


def test_strays_are_named_with_their_reason_and_everything_is_counted(stage2024):
    images = stage2024 / "STAGE_training" / "training_images"
    (images / "Thumbs.db").write_bytes(b"x")
    (images / "0002" / "copy of 3_image.jpg").write_bytes(b"x")
    (images / "0003" / "0004.jpg").write_bytes(b"x")
    (stage2024 / "__MACOSX" / "0001").mkdir(parents=True)
    (stage2024 / "__MACOSX" / "0001" / "1_image.jpg").write_bytes(b"x")
    (stage2024 / "STAGE_training" / "~$data_info_training.xlsx").write_bytes(b"x")
    (stage2024 / "notes.csv").write_text("a")
    release = find_release(stage2024)
    by_reason = {}
    for name, reason in release.strays.items():
        by_reason.setdefault(reason, set()).add(name.removeprefix("STAGE_training/").removeprefix("training_images/"))
    assert by_reason == {
        "system_file": {".DS_Store", "0001/.DS_Store", "0001/._0_image.jpg", "Thumbs.db", "__MACOSX/0001/1_image.jpg",
                        "~$data_info_training.xlsx"},
        "not_of_the_release": {"0002/copy of 3_image.jpg", "0003/0004.jpg"},
        "table_unused": {"notes.csv"},
        "other_task": {"training_GT/task2_GT_training.csv"},
    }  # fmt: skip
    assert release.total == sum(path.is_file() for path in stage2024.rglob("*"))


def test_links_are_followed_once(stage2024, tmp_path):
    folder = tmp_path / "links"
    folder.mkdir()
    (folder / "STAGE_training").symlink_to(stage2024 / "STAGE_training")
    (folder / "again_training").symlink_to(stage2024 / "STAGE_training")
    (stage2024 / "STAGE_training" / "loop").symlink_to(stage2024 / "STAGE_training")
    assert [len(part.images.eyes) for part in find_release(folder).parts] == [10]


def test_an_empty_folder_of_an_eye_is_an_eye_without_images(stage2024):
    (stage2024 / "STAGE_training" / "training_images" / "0011").mkdir()
    (stage2024 / "0012").mkdir()
    eyes = find_release(stage2024).parts[0].images.eyes
    assert sorted(eyes) == list(range(1, 12))
    assert eyes[11].files == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: shutil.rmtree(root), "expected the folder of a release"),
        (lambda root: [shutil.rmtree(path) for path in root.rglob("*_images")], "found no eyes"),
        (lambda root: shutil.rmtree(root / "STAGE_training" / "training_GT"), "training eyes without labels"),
        (
            lambda root: shutil.copytree(root / "STAGE_training", root / "copy" / "STAGE_training"),
            "two folders for training",
        ),
        (
            lambda root: shutil.copy(
                root / "STAGE_training/training_GT/task1_GT_training.csv",
                root / "STAGE_training/training_GT/task1_GT_training (1).csv",
            ),
            "Two tables for one purpose",
        ),
        (
            lambda root: shutil.copytree(
                root / "STAGE_training/training_images/0001", root / "STAGE_training/training_images/0002/0002",
                dirs_exist_ok=True,
            ),
            "several releases",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused_with_what_to_do(stage2024: Path, change, message):
    change(stage2024)
    with pytest.raises(MedmdError, match=message):
        find_release(stage2024)


def test_the_folder_of_one_eye_is_no_release(stage2024):
    with pytest.raises(MedmdError, match="found no eyes"):
        find_release(stage2024 / "STAGE_training" / "training_images" / "0001")
