import math
import shutil
import sys

import numpy as np
import pytest
import torch

from medmd.data import load_items
from medmd.utils import MedmdError
from medmd.workflows import Predictor, items_from_folder, load_model_folder

INPUTS = {"oct": "volume", "fundus": "image"}


@pytest.fixture(scope="module")
def predictor(untrained_run):
    return Predictor(untrained_run / "model", batch_size=3)


@pytest.fixture
def items(make_datalist):
    return load_items(make_datalist(missing={0: "fundus", 3: "oct"}), "training")


def test_predictions_are_those_of_the_network_case_by_case(predictor, items):
    table = predictor.predict(items)
    assert list(table) == ["case_id", "md", "md_oct", "md_fundus"]
    assert list(table["case_id"]) == [item["case_id"] for item in items]
    loaded = predictor.model
    for row, item in zip(table.to_dict("records"), items, strict=True):
        packed = loaded.preprocessing(item)
        inputs = {name: packed[name][None] for name in INPUTS}
        with torch.no_grad():
            expected = loaded.network(inputs, packed["present"][None])
        assert row["md"] == pytest.approx(float(expected.fusion), abs=1e-5)
        for name in INPUTS:
            assert row[f"md_{name}"] == pytest.approx(float(expected.unimodal[name]), abs=1e-5, nan_ok=True)
            assert math.isnan(row[f"md_{name}"]) == (name not in item)


def test_it_says_what_it_takes_and_gives(predictor, untrained_run):
    assert predictor.inputs == INPUTS
    assert predictor.modalities == ("oct", "fundus")
    assert predictor.target == "md"
    assert load_model_folder(untrained_run / "model").manifest == predictor.model.manifest


def test_the_size_of_a_batch_changes_nothing(untrained_run, items):
    one, many = (Predictor(untrained_run / "model", batch_size=size).predict(items) for size in (1, 8))
    np.testing.assert_allclose(one.drop(columns="case_id"), many.drop(columns="case_id"), atol=1e-5)


def test_other_keys_of_an_item_are_no_input(predictor, items):
    changed = [item | {"target": 3.0, "age": 90.0, "patient_id": "other"} for item in items]
    without = [{name: item[name] for name in item if name not in ("target", "patient_id")} for item in items]
    assert predictor.predict(changed).equals(predictor.predict(items))
    assert predictor.predict(without).equals(predictor.predict(items))


def test_laterality_mirrors(predictor, items):
    flipped = [item | {"laterality": "L" if item["laterality"] == "R" else "R"} for item in items]
    assert (predictor.predict(flipped)["md"] != predictor.predict(items)["md"]).all()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"laterality": None}, "laterality"),
        ({"oct": "/home/canary/absent.nii.gz"}, "cannot be read"),
        ({"oct": None, "fundus": None}, "none of the modalities"),
    ],
)
def test_an_unusable_case_is_named_and_its_folder_is_not(predictor, items, change, expected):
    with pytest.raises(MedmdError, match=f"(?s)case 'c001'.*{expected}") as caught:
        predictor.predict([items[0], items[1] | change])
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_empty_list_is_refused(predictor):
    with pytest.raises(MedmdError, match="nothing to predict"):
        predictor.predict([])


def test_a_bar_is_shown_on_a_terminal_only(predictor, items, capsys, monkeypatch):
    predictor.predict(items)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    predictor.predict(items)
    assert "Predicting" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["17-R_oct.nii.gz", "17-R_fundus.png"], {"17-R": ("R", ["fundus", "oct"])}),
        (["a_OS_oct.nii", "b-l_fundus.JPG"], {"a_OS": ("L", ["oct"]), "b-l": ("L", ["fundus"])}),
        (["x_y-OD_fundus.tiff", "notes.txt", "x_y-OD_fundus.json"], {"x_y-OD": ("R", ["fundus"])}),
    ],
)
def test_files_are_grouped_by_eye(tmp_path, names, expected):
    for name in names:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "1-R_oct.nii.gz").write_bytes(b"")
    found = items_from_folder(tmp_path, INPUTS)
    assert {i["case_id"]: (i["laterality"], sorted(set(i) & set(INPUTS))) for i in found} == expected
    for item in found:
        assert all(item[name].startswith(str(tmp_path)) for name in set(item) & set(INPUTS))


def test_a_folder_without_a_case_says_what_names_it_expects(tmp_path):
    (tmp_path / "scan.nii.gz").write_bytes(b"")
    with pytest.raises(MedmdError, match=r"<case>_oct\.nii\.gz, <case>_fundus\.png"):
        items_from_folder(tmp_path, INPUTS | {"rnfl": "vector"})


def test_a_case_without_laterality_is_refused(tmp_path):
    (tmp_path / "17_oct.nii.gz").write_bytes(b"")
    with pytest.raises(MedmdError, match="Case 17: its name must end in -R or -L"):
        items_from_folder(tmp_path, INPUTS)


def test_a_case_with_two_files_of_one_modality_is_refused(tmp_path):
    for name in ("17-R_fundus.png", "17-R_fundus.jpg"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(MedmdError, match="Case 17-R: two files of fundus"):
        items_from_folder(tmp_path, INPUTS)


def test_files_give_what_the_datalist_gives(predictor, items, tmp_path):
    complete = [item for item in items if set(INPUTS) <= set(item)][:2]
    for item in complete:
        for name, suffix in (("oct", ".nii.gz"), ("fundus", ".png")):
            shutil.copy(item[name], tmp_path / f"{item['case_id']}-{item['laterality']}_{name}{suffix}")
    found = predictor.predict(items_from_folder(tmp_path, INPUTS))
    assert list(found["md"]) == list(predictor.predict(complete)["md"])
