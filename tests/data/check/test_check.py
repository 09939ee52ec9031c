import gzip
import json
import logging
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from medmd.data import Case, Datalist, Header, InputSpec, TargetSpec, check_datalist, run_check, write_datalist
from medmd.data.check._histogram import _scale
from medmd.data.check._summary import histogram_edges
from medmd.utils import MedmdError


def _edit(path: Path, change) -> Path:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return path


def _rules(report, level="refusal") -> dict[str, str | None]:
    return {finding.rule: finding.case_id for finding in report.findings if finding.level == level}


@pytest.fixture
def path(make_datalist) -> Path:
    return make_datalist(patients=6)


@pytest.mark.parametrize("hashes", [True, False])
def test_a_sound_cohort_passes(path, hashes):
    report = check_datalist(path, hashes=hashes)

    assert report.ok
    assert report.findings == []
    assert report.hashed is hashes


def test_a_missing_input_is_allowed_and_counted(make_datalist):
    report = check_datalist(make_datalist(missing={1: "oct", 2: "oct", 5: "fundus"}))

    assert report.ok
    assert report.summary["inputs"]["oct"] == {"kind": "volume", "present": 10, "missing": 2}
    assert report.summary["inputs"]["fundus"] == {"kind": "image", "present": 11, "missing": 1}


def _move_eye(document):
    document["testing"].append(document["training"].pop(0))


def _double_case(document):
    document["training"].append(document["training"][0])


def _escape(document):
    document["training"][0]["inputs"]["oct"] = "../elsewhere.nii.gz"


def _other_kind(document):
    document["training"][0]["inputs"]["oct"] = [1.0]


def _unknown_input(document):
    document["training"][0]["inputs"]["mri"] = "m.nii.gz"


def _wrong_hash(document):
    document["training"][0]["hashes"]["oct"] = "0" * 64


def _no_laterality(document):
    document["training"][0]["laterality"] = "OD"


def _name_field(document):
    document["training"][0]["patient_name"] = "Jane Doe"


def _no_targets(document):
    for case in document["training"]:
        case["target"] = None


def _empty_range(document):
    document["target"]["range"] = [6, -40]


def _target(value):
    def change(document):
        document["training"][0]["target"] = value

    return change


@pytest.mark.parametrize(
    ("change", "rule", "case_id"),
    [
        (_move_eye, "patient-in-two-splits", "c000"),
        (_double_case, "case-twice", "c000"),
        (_escape, "path", "c000"),
        (_other_kind, "input-kind", "c000"),
        (_unknown_input, "unknown-input", "c000"),
        (_wrong_hash, "hash", "c000"),
        (_no_laterality, "laterality", "c000"),
        (_name_field, "schema", "c000"),
        (_no_targets, "no-target", None),
        (_empty_range, "target-range", None),
        (_target(-41.0), "target-range", "c000"),
        (_target(6.5), "target-range", "c000"),
        (_target(float("nan")), "target-range", "c000"),
        (_target([1.0]), "target-kind", "c000"),
    ],
)
def test_each_rule_refuses_and_names_the_case(path, change, rule, case_id):
    report = check_datalist(_edit(path, change))

    assert not report.ok
    assert rule in _rules(report)
    if case_id == "c000":
        assert _rules(report)[rule] == case_id
    finding = next(item for item in report.refusals if item.rule == rule)
    assert finding.expected
    assert finding.found
    assert finding.fix
    assert "Jane" not in report.to_json()


@pytest.mark.parametrize("value", [-40.0, 6.0, None])
def test_the_bounds_of_the_range_and_unknown_targets_are_allowed(path, value):
    assert check_datalist(_edit(path, _target(value)), hashes=False).ok


@pytest.mark.parametrize("hashes", [True, False])
def test_a_missing_file_is_refused(path, hashes):
    (path.parent / "oct/c002.nii.gz").unlink()

    assert _rules(check_datalist(path, hashes=hashes)) == {"missing-file": "c002"}


@pytest.mark.parametrize("hashes", [True, False])
@pytest.mark.parametrize("name", ["oct/c002.nii.gz", "fundus/c002.png"])
def test_an_unreadable_file_is_refused(path, name, hashes):
    (path.parent / name).write_bytes(b"neither a volume nor a photograph")

    report = check_datalist(path, hashes=hashes)

    assert _rules(report) == {"unreadable-file": "c002"}
    assert str(path.parent) not in report.to_json()


@pytest.mark.parametrize("hashes", [True, False])
def test_nibabel_does_not_speak_for_itself(path, hashes, caplog):
    (path.parent / "oct/c002.nii.gz").write_bytes(gzip.compress(b"\x01" * 400))
    with caplog.at_level(logging.DEBUG, logger="nibabel.global"):
        assert _rules(check_datalist(path, hashes=hashes)) == {"unreadable-file": "c002"}
        assert caplog.records == []
        logging.getLogger("nibabel.global").error("afterwards it may")
    assert len(caplog.records) == 1


@pytest.mark.parametrize("name", ["oct/c002.nii.gz", "fundus/c002.png"])
def test_a_truncated_file_is_refused(path, name):
    file = path.parent / name
    file.write_bytes(file.read_bytes()[:-40])

    assert "unreadable-file" in _rules(check_datalist(path))


def test_a_link_out_of_the_folder_is_refused(path, tmp_path):
    file = path.parent / "oct/c002.nii.gz"
    shutil.move(file, tmp_path / "outside.nii.gz")
    file.symlink_to(tmp_path / "outside.nii.gz")

    assert _rules(check_datalist(path)) == {"path": "c002"}


def _copy_content(path: Path, source: str, goal: str) -> None:
    """The same voxels and pixels, stored with another header and compression: other bytes."""
    volume = nib.load(path.parent / f"oct/{source}.nii.gz")
    plain = nib.Nifti1Image(np.asanyarray(volume.dataobj), np.eye(4)).to_bytes()
    (path.parent / f"oct/{goal}.nii.gz").write_bytes(gzip.compress(plain, compresslevel=1, mtime=7))
    Image.open(path.parent / f"fundus/{source}.png").save(path.parent / f"fundus/{goal}.png", compress_level=0)


def _drop_hashes(document):
    for split in ("training", "validation", "testing"):
        for case in document[split]:
            del case["hashes"]


def test_identical_content_in_two_splits_is_refused_even_in_other_bytes(path):
    _copy_content(path, "c000", "c011")
    report = check_datalist(_edit(path, _drop_hashes))

    refusals = [item for item in report.refusals if item.rule == "content-in-two-splits"]
    assert {(item.case_id, item.input) for item in refusals} == {("c011", "oct"), ("c011", "fundus")}
    assert all("case c000" in item.found for item in refusals)
    assert check_datalist(path, hashes=False).ok


def test_identical_content_within_a_split_is_a_warning(path):
    _copy_content(path, "c000", "c002")
    report = check_datalist(_edit(path, _drop_hashes))

    assert report.ok
    assert {(item.rule, item.case_id) for item in report.warnings} == {("content-twice", "c002")}
    assert "another patient" in report.warnings[0].found


def test_voxels_that_are_not_finite_blank_images_and_wrong_axes_are_told(path):
    folder = path.parent
    nib.save(nib.Nifti1Image(np.full((3, 3, 3), np.nan, dtype=np.float32), np.eye(4)), folder / "oct/c000.nii.gz")
    nib.save(nib.Nifti1Image(np.arange(24, dtype=np.uint8).reshape(1, 2, 3, 4), np.eye(4)), folder / "oct/c001.nii.gz")
    Image.new("RGB", (5, 5)).save(folder / "fundus/c002.png")
    report = check_datalist(_edit(path, _drop_hashes))

    assert _rules(report) == {"not-finite": "c000", "shape": "c001"}
    assert _rules(report, "warning") == {"blank": "c002"}


def test_plain_nifti_and_other_image_modes_are_read(path):
    folder = path.parent
    volume = nib.load(folder / "oct/c000.nii.gz")
    (folder / "oct/c000.nii.gz").write_bytes(nib.Nifti2Image(np.asanyarray(volume.dataobj), np.eye(4)).to_bytes())
    Image.open(folder / "fundus/c000.png").convert("P").save(folder / "fundus/c000.png")

    assert check_datalist(_edit(path, _drop_hashes)).ok


def _vectors(folder: Path, cases: list[Case], **header) -> Path:
    path = folder / "v.json"
    base = Header(name="v", inputs={"labs": InputSpec(kind="vector")}, **header)
    splits = {"training": cases[:-1], "testing": cases[-1:]}
    write_datalist(path, Datalist(header=base, splits=splits))
    return path


def _vector_case(number: int, values, **more) -> Case:
    return Case(case_id=f"c{number}", patient_id=f"p{number}", inputs={"labs": values}, **{"target": -1.0, **more})


def test_long_equal_vectors_are_identical_content_and_short_ones_are_chance(tmp_path):
    long = [float(i) for i in range(8)]
    equal = check_datalist(_vectors(tmp_path, [_vector_case(0, long), _vector_case(1, long)]))
    short = check_datalist(_vectors(tmp_path, [_vector_case(0, long[:3]), _vector_case(1, long[:3])]))
    constant = check_datalist(_vectors(tmp_path, [_vector_case(0, [0.0] * 30), _vector_case(1, [0.0] * 30)]))

    assert _rules(equal) == {"content-in-two-splits": "c1"}
    assert short.ok
    assert constant.ok


def test_vectors_have_one_length_finite_numbers_and_true_hashes(tmp_path):
    wrong = {"labs": "f" * 64}
    path = _vectors(
        tmp_path, [_vector_case(0, [1.0, 2.0]), _vector_case(1, [1.0], hashes=wrong), _vector_case(2, [3.0, 4.0])]
    )
    report = check_datalist(
        _edit(path, lambda document: document["testing"][0]["inputs"].update(labs=[1.0, float("inf")]))
    )

    assert {(item.rule, item.case_id) for item in report.refusals} == {
        ("vector", "c1"),
        ("vector", "c2"),
        ("hash", "c1"),
    }


def test_class_and_list_targets_have_their_kind(tmp_path):
    cases = [_vector_case(0, [1.0], target=1), _vector_case(1, [2.0], target=2)]
    path = _vectors(tmp_path, cases, target=TargetSpec(name="stage", kind="class", unit="", range=(0, 3)))
    assert check_datalist(path).ok
    assert _rules(check_datalist(_edit(path, _target(0.5)))) == {"target-kind": "c0"}

    cases = [_vector_case(0, [1.0], target=[1, 2]), _vector_case(1, [2.0], target=[3, 9])]
    path = _vectors(tmp_path, cases, target=TargetSpec(name="td", kind="multi", range=(0, 5)))
    assert _rules(check_datalist(path)) == {"target-range": "c1"}
    assert _rules(check_datalist(_edit(path, _target(1.0)))) == {"target-range": "c1", "target-kind": "c0"}


def test_no_usable_case_is_refused(tmp_path):
    report = check_datalist(_vectors(tmp_path, [_vector_case(0, None), _vector_case(1, None)]))

    assert "no-usable-case" in _rules(report)
    assert "no-input" in _rules(report, "warning")
    assert "no-usable-case" in _rules(check_datalist(_vectors(tmp_path, [])))


def test_a_reversed_range_is_told_once(path):
    report = check_datalist(_edit(path, _empty_range), hashes=False)

    assert [(item.rule, item.case_id) for item in report.refusals] == [("target-range", None)]
    assert report.refusals[0].found == "[6, -40]"


def test_an_empty_training_list_is_a_warning(tmp_path):
    path = _vectors(tmp_path, [_vector_case(0, [1.0])])
    report = check_datalist(path)

    assert report.ok
    assert [(item.rule, item.split) for item in report.warnings] == [("empty-list", "training")]


def test_a_list_whose_only_case_is_broken_is_not_called_empty(tmp_path):
    path = _vectors(tmp_path, [_vector_case(0, [1.0]), _vector_case(1, [2.0])])
    report = check_datalist(_edit(path, _name_field))

    assert _rules(report) == {"schema": "c0"}
    assert report.warnings == []


def _without_laterality(*numbers):
    def change(document):
        cases = [case for split in ("training", "validation", "testing") for case in document[split]]
        for number in numbers:
            cases[number]["laterality"] = None

    return change


@pytest.mark.parametrize(
    ("numbers", "found"),
    [
        ([3], "none for 1 of 12 such cases: c003"),
        (range(5), "none for 5 of 12 such cases: c000, c001, c002, c003, c004"),
        (range(7), "none for 7 of 12 such cases: c000, c001, c002, c003, c004, …"),
    ],
)
def test_cases_without_laterality_are_one_warning(path, numbers, found):
    report = check_datalist(_edit(path, _without_laterality(*numbers)), hashes=False)

    assert report.ok
    assert [(item.rule, item.found) for item in report.warnings] == [("no-laterality", found)]


def test_changed_counts_are_a_warning(path):
    report = check_datalist(_edit(path, lambda document: document["counts"].update(cases=3)))

    assert report.ok
    assert set(_rules(report, "warning")) == {"counts"}


def test_a_broken_case_does_not_hide_the_findings_in_others(path):
    def change(document):
        document["training"][0]["laterality"] = "OS"
        document["training"][2]["target"] = 30

    report = check_datalist(_edit(path, change))

    assert _rules(report) == {"laterality": "c000", "target-range": "c002"}
    assert report.summary["cases"] == 11


def test_a_broken_header_is_reported_alone(path):
    report = check_datalist(_edit(path, lambda document: document.pop("target")))

    assert set(_rules(report)) == {"schema"}
    assert report.summary == {}
    assert "refused" in report.to_html()


def test_what_is_no_json_cannot_be_checked(tmp_path):
    (tmp_path / "d.json").write_text("{")

    with pytest.raises(MedmdError, match="not valid JSON"):
        check_datalist(tmp_path / "d.json")


def test_the_summary_counts_what_is_there(path):
    document = json.loads(path.read_text())
    summary = check_datalist(path).summary
    targets = [case["target"] for split in ("training", "validation", "testing") for case in document[split]]

    assert (summary["cases"], summary["patients"]) == (12, 6)
    assert summary["laterality"] == {"L": 6, "R": 6}
    assert summary["age"] == {"known": 12, "min": 50.0, "median": 52.5, "max": 55.0}
    assert summary["target"]["mean"] == pytest.approx(np.mean(targets))
    histogram = summary["target"]["histogram"]
    together = np.sum(list(histogram["counts"].values()), axis=0)
    np.testing.assert_array_equal(together, np.histogram(targets, histogram["edges"])[0])
    assert together.sum() == 12


@pytest.mark.parametrize("values", [[-3.0], [0.0, 0.0], [-31.2, 2.4], [1e-4, 3e-4], [0.0, 1234.0], [-8.0, -6.0]])
def test_histogram_edges_hold_all_values_in_few_even_bins(values):
    edges = histogram_edges(values)

    assert edges[0] <= min(values)
    assert edges[-1] > max(values)
    assert 2 <= len(edges) <= 25
    np.testing.assert_allclose(np.diff(edges), edges[1] - edges[0])
    assert histogram_edges([]) == []


@pytest.mark.parametrize("highest", [0, 1, 4, 7, 23, 999])
def test_the_count_axis_ends_at_or_above_the_highest_bar(highest):
    step, top = _scale(highest)

    assert top >= max(highest, 1)
    assert top % step == 0
    assert top // step <= 6


def test_reports_are_equal_for_equal_findings_and_hold_no_path(path, tmp_path):
    _copy_content(path, "c000", "c011")
    first, second = check_datalist(path, workers=1), check_datalist(path, workers=4)

    assert first.to_json() == second.to_json()
    assert first.to_html() == second.to_html()
    for text in (first.to_json(), first.to_html()):
        assert str(tmp_path) not in text
        assert "oct/c0" not in text
    assert json.loads(first.to_json())["refusals"] == len(first.refusals)


def test_the_page_stands_alone_and_draws_every_case(path):
    page = check_datalist(path).to_html()

    assert not re.search(r"(src|href)=|https?://|<script", page)
    svg = ElementTree.fromstring(re.search(r"<svg.*</svg>", page, re.DOTALL)[0])  # noqa: S314 - our own text
    tips = [title.text for title in svg.iter("title")]
    assert sum(int(re.match(r"\w+: (\d+) from", tip)[1]) for tip in tips) == 12
    heights = [float(bar.get("height")) for bar in svg.iter("rect")]
    assert min(heights) > 0
    assert "c000" not in page


def test_the_page_escapes_what_the_datalist_says(path):
    page = check_datalist(_edit(path, lambda document: document.update(name="<script>alert(1)</script>"))).to_html()

    assert "<script" not in page


def test_a_surrogate_patient_is_told_on_the_page(path):
    page = check_datalist(
        _edit(path, lambda document: document["training"][0].update(patient_id_is_surrogate=True))
    ).to_html()

    assert "1 cases have a surrogate patient id" in page


def test_a_cohort_without_targets_has_a_page(make_datalist):
    path = make_datalist(unsplit=True)

    def change(document):
        for case in document["unsplit"]:
            case.update(target=None, age=None)

    report = check_datalist(_edit(path, change))

    assert report.ok
    assert "No known target" in report.to_html()


def test_run_check_writes_both_reports_and_gives_an_exit_code(path, tmp_path):
    assert run_check(path) == 0
    assert run_check(_edit(path, _target(99.0)), tmp_path / "out") == 1
    assert json.loads((tmp_path / "out/check.json").read_text())["ok"] is False
    assert (tmp_path / "out/check.html").read_text().startswith("<!DOCTYPE html>")


def test_a_finding_is_one_sentence(path):
    finding = check_datalist(_edit(path, _target(99.0))).refusals[0]

    assert str(finding).startswith(
        "refusal target-range [case c000, list training]: expected a target within [-40, 6] dB; found 99. "
    )
