import json

import pytest

from medmd.data import load_datalist
from medmd.workflows.preflight._files import cohort_problems, open_files, used_cohort

ALL = ("pretrain", "train", "evaluate")
BOTH = ("oct", "fundus")


def ids(cohort):
    return {split: [case.case_id for case in cases] for split, cases in cohort.datalist.splits.items()}


def edit(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("stages", "splits"),
    [
        (ALL, {"training", "validation", "testing"}),
        (("train",), {"training", "validation"}),
        (("evaluate",), {"validation", "testing"}),
    ],
)
def test_the_stages_decide_which_lists_are_used(make_datalist, stages, splits):
    path = make_datalist()
    cohort = used_cohort(path, stages, BOTH)
    assert set(cohort.datalist.splits) == splits
    whole = load_datalist(path)
    assert ids(cohort) == {name: [case.case_id for case in whole.splits[name]] for name in splits}
    assert cohort.cases == sum(cohort.count(name) for name in splits)


def test_cases_without_target_or_without_the_modalities_do_not_count(make_datalist):
    path = make_datalist(missing={0: "oct", 1: "fundus"})

    def drop(document):
        document["training"][2]["target"] = None

    cohort = used_cohort(edit(path, drop), ALL, ["oct"])
    assert ids(cohort)["training"] == ["c001", "c003", "c004", "c005", "c006", "c007"]
    assert {name for _, case in cohort.datalist.cases() for name in case.inputs} == {"oct"}


def test_sound_files_give_no_problem_and_their_sizes(make_datalist):
    cohort, problems = open_files(used_cohort(make_datalist(missing={3: "fundus"}), ALL, BOTH))
    assert problems == []
    assert cohort.files == 23
    assert cohort.voxels == 8 * 10 * 6 + 12 * 14 * 3
    assert len(cohort.sound) == cohort.cases == 12
    assert cohort.depths == {"oct": 10}


def test_the_depth_is_that_of_training_volumes(make_datalist):
    cohort, _ = open_files(used_cohort(make_datalist(), ("evaluate",), BOTH))
    assert cohort.files == 8
    assert cohort.depths == {}


def test_files_that_are_not_used_are_not_opened(make_datalist):
    path = make_datalist()
    (path.parent / "fundus/c000.png").unlink()
    (path.parent / "oct/c011.nii.gz").unlink()
    cohort, problems = open_files(used_cohort(path, ("train",), ["oct"]))
    assert problems == []
    assert cohort.files == 10


def test_all_problems_are_counted_and_ten_are_shown_by_pseudonym(make_datalist):
    path = make_datalist()
    for number in range(12):
        (path.parent / f"oct/c{number:03d}.nii.gz").write_bytes(b"")
    cohort, (problem,) = open_files(used_cohort(path, ALL, BOTH))
    text = str(problem)
    assert text.startswith("dataset_dir: ")
    assert "12 of 24" in text
    assert "medmd check" in text
    assert text.count("an empty file") == len(problem.details) == 10
    assert "case c003, input oct" in text
    assert str(path.parent) not in text
    assert ".nii.gz" not in text
    assert cohort.sound == frozenset()


def test_a_volume_of_four_axes_is_refused(make_datalist):
    import nibabel as nib
    import numpy as np

    path = make_datalist()
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6, 2), np.uint8), np.eye(4)), path.parent / "oct/c001.nii.gz")
    cohort, (problem,) = open_files(used_cohort(path, ALL, BOTH))
    assert "three axes" in str(problem)
    assert cohort.sound == {case.case_id for _, case in cohort.datalist.cases()} - {"c001"}


def test_vectors_are_no_files(make_datalist):
    def measured(document):
        document["inputs"]["rnfl"] = {"kind": "vector"}
        for split in ("training", "validation", "testing"):
            for case in document[split]:
                case["inputs"]["rnfl"] = [1.0, 2.0]

    cohort, problems = open_files(used_cohort(edit(make_datalist(), measured), ALL, ["rnfl"]))
    assert (cohort.files, problems, cohort.cases, cohort.voxels) == (0, [], 12, 0)


def texts(cohort, inputs=BOTH, batch_size=4):
    return [(problem.level, str(problem)) for problem in cohort_problems(cohort, inputs, batch_size)]


def test_lists_that_suffice_give_no_problem(make_datalist):
    assert texts(used_cohort(make_datalist(), ALL, BOTH), batch_size=8) == []


def test_too_few_training_cases_for_a_batch_are_refused(make_datalist):
    ((level, text),) = texts(used_cohort(make_datalist(), ALL, BOTH), batch_size=9)
    assert level == "refusal"
    assert text.startswith("batch_size: ")
    assert "found 8 " in text
    assert "9 at least" in text


def test_lists_that_are_missing_are_refused(make_datalist):
    found = texts(used_cohort(make_datalist(unsplit=True), ALL, BOTH))
    assert len(found) == 3
    assert all(text.startswith("dataset_dir: ") and "medmd split" in text for _, text in found)


def test_a_modality_that_the_header_does_not_have_is_refused(make_datalist):
    names = ["oct", "angiography"]
    ((level, text),) = texts(used_cohort(make_datalist(), ALL, names), names)
    assert level == "refusal"
    assert text.startswith("modalities: ")
    assert "angiography" in text
    assert "found the inputs oct, fundus" in text


def test_a_modality_that_no_training_case_has_is_a_warning(make_datalist):
    cohort = used_cohort(make_datalist(missing=dict.fromkeys(range(8), "fundus")), ALL, BOTH)
    ((level, text),) = texts(cohort)
    assert level == "warning"
    assert "fundus missing in all 8" in text
