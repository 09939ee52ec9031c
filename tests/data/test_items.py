import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from medmd.data import (
    Case,
    Datalist,
    Header,
    InputSpec,
    TargetSpec,
    label_density,
    load_items,
    target_statistics,
    write_datalist,
)
from medmd.losses import DensityWeightedLoss
from medmd.utils import MedmdError


def _write(folder: Path, cases: list[Case], *, split: str = "training", target: TargetSpec | None = None) -> Path:
    header = Header(
        name="h",
        inputs={"oct": InputSpec(kind="volume"), "labs": InputSpec(kind="vector")},
        target=target or TargetSpec(),
    )
    path = folder / "datalist.json"
    write_datalist(path, Datalist(header=header, splits={split: cases}))
    return path


def _case(number: int, *, target: float | None = -2.0, **inputs) -> Case:
    return Case(case_id=f"c{number}", patient_id=f"p{number}", inputs=inputs, target=target, laterality="L")


def test_items_are_flat_and_leave_missing_inputs_out(tmp_path):
    path = _write(tmp_path, [_case(0, oct="oct/0.nii.gz", labs=[1, 2.5]), _case(1, labs=[3.0, 4.0], target=None)])

    full, partial = load_items(path, "training")

    assert full == {
        "case_id": "c0",
        "patient_id": "p0",
        "laterality": "L",
        "oct": str(tmp_path / "oct" / "0.nii.gz"),
        "labs": [1.0, 2.5],
        "target": -2.0,
    }
    assert "oct" not in partial
    assert math.isnan(partial["target"])


def test_paths_are_absolute_when_the_datalist_is_named_relatively(tmp_path, monkeypatch):
    _write(tmp_path, [_case(0, oct="a.nii.gz")])
    monkeypatch.chdir(tmp_path)

    assert load_items("datalist.json", "training")[0]["oct"] == str(tmp_path / "a.nii.gz")


def test_limit_and_labelled_choose_cases(tmp_path):
    path = _write(tmp_path, [_case(i, labs=[1.0], target=None if i == 0 else -1.0) for i in range(4)])

    assert [item["case_id"] for item in load_items(path, "training", limit=2)] == ["c0", "c1"]
    assert [item["case_id"] for item in load_items(path, "training", limit=2, labelled=True)] == ["c1", "c2"]
    with pytest.raises(ValueError, match="got 0"):
        load_items(path, "training", limit=0)


def test_a_list_target_stays_a_list(tmp_path):
    case = Case(case_id="c", patient_id="p", inputs={"labs": [1.0]}, target=[1, 2])
    path = _write(tmp_path, [case], target=TargetSpec(name="td", kind="multi"))

    assert load_items(path, "training")[0]["target"] == [1.0, 2.0]
    with pytest.raises(MedmdError, match="got multi"):
        target_statistics(path)


def test_an_absent_split_is_named_with_those_that_exist(tmp_path):
    path = _write(tmp_path, [_case(0, labs=[1.0])], split="unsplit")

    with pytest.raises(MedmdError, match=r"expected a list 'training', got unsplit\. Split it first"):
        load_items(path, "training")


def test_a_split_without_usable_cases_is_refused(tmp_path):
    path = _write(tmp_path, [_case(0), _case(1, labs=[1.0], target=None)])

    assert [item["case_id"] for item in load_items(path, "training")] == ["c1"]
    with pytest.raises(MedmdError, match="no usable case"):
        load_items(path, "training", labelled=True)


@pytest.mark.parametrize("value", ["../other/a.nii.gz", "/etc/passwd", "a\\b.nii.gz", "C:/scans/a.nii.gz"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, value):
    path = _write(tmp_path, [_case(0, oct="inside.nii.gz")])
    document = json.loads(path.read_text())
    document["training"][0]["inputs"]["oct"] = value
    path.write_text(json.dumps(document))

    with pytest.raises(MedmdError, match="Case c0, input oct") as caught:
        load_items(path, "training")
    assert value not in str(caught.value)


def test_statistics_are_those_of_the_known_targets(tmp_path):
    targets = [-1.0, -3.0, -14.0, None]
    path = _write(tmp_path, [_case(i, labs=[1.0], target=target) for i, target in enumerate(targets)])

    found = target_statistics(path)

    assert found["count"] == 3
    assert found["mean"] == pytest.approx(-6.0)
    assert found["variance"] == pytest.approx((25 + 9 + 64) / 3)
    assert found["std"] == pytest.approx(math.sqrt(98 / 3))
    assert found["tail_threshold"] == -8.0
    assert target_statistics(path, tail_threshold=-2)["tail_threshold"] == -2.0


def test_the_tail_of_another_target_is_its_lowest_fifth(tmp_path):
    spec = TargetSpec(name="rnfl", unit="µm", range=(0.0, 200.0))
    path = _write(tmp_path, [_case(i, labs=[1.0], target=float(i)) for i in range(11)], target=spec)

    assert target_statistics(path)["tail_threshold"] == pytest.approx(2.0)


def test_statistics_without_a_known_target_are_refused(tmp_path):
    path = _write(tmp_path, [_case(0, labs=[1.0], target=None)])

    with pytest.raises(MedmdError, match="known target, got none"):
        target_statistics(path)


def test_the_density_of_labels_is_the_smoothed_histogram(tmp_path):
    targets = [-0.5, -0.2, -3.0, -3.9, -3.5, -6.1, None]
    path = _write(tmp_path, [_case(i, labs=[1.0], target=target) for i, target in enumerate(targets)])

    found = label_density(path, kernel_size=3, sigma=1.0)

    assert found["centres"] == [-6.5, -5.5, -4.5, -3.5, -2.5, -1.5, -0.5]
    plain = [1, 0, 0, 2, 1, 0, 2]
    expected = gaussian_filter1d(np.array(plain, dtype=float), 1.0, mode="constant", radius=1)
    assert found["density"] == pytest.approx(expected.tolist())
    assert found["counts"] == plain
    assert label_density(path, kernel_size=1)["density"] == plain


@pytest.mark.parametrize(("width", "spread"), [(1.0, 20), (0.5, 20), (0.1, 8)])
def test_labels_on_a_boundary_are_weighed_by_the_bin_that_counted_them(tmp_path, width, spread):
    """Whole numbers of widths, also as singles and where the division is not exact."""
    random = np.random.RandomState(0)
    steps = np.append(np.round(random.randn(60) * spread).astype(int), [-1, 0, 3, 3, 3])
    path = _write(tmp_path, [_case(i, labs=[1.0], target=float(n * width)) for i, n in enumerate(steps)])

    found = label_density(path, bin_width=width, kernel_size=1)

    expected = np.bincount(steps - steps.min())
    assert found["counts"] == expected.tolist()
    weights = DensityWeightedLoss(**found, reweight="inverse").weights(torch.tensor(steps * width).float()).numpy()
    own = 1 / expected[steps - steps.min()]
    np.testing.assert_allclose(weights, own / own.mean(), rtol=1e-5)


def test_only_labels_next_to_a_boundary_change_their_bin(tmp_path):
    targets = [-2.0, -1.0021, -0.9979, -1.0005, -0.5]
    path = _write(tmp_path, [_case(i, labs=[1.0], target=target) for i, target in enumerate(targets)])

    assert label_density(path)["counts"] == [2, 3]


@pytest.mark.parametrize("options", [{"bin_width": 0}, {"sigma": 0}, {"kernel_size": 4}])
def test_a_density_of_wrong_options_is_refused(tmp_path, options):
    path = _write(tmp_path, [_case(0, labs=[1.0], target=0.0)])

    with pytest.raises(MedmdError, match="bin_width, sigma, kernel_size"):
        label_density(path, **options)
