import json
import logging

import pandas as pd
import pytest

from medmd.data import load_datalist
from medmd.utils import MedmdError, read_json, write_json
from medmd.workflows import Evaluation, Inference, Predictor, cases_to_predict

INPUTS = {"oct": "volume", "fundus": "image"}


@pytest.fixture(scope="module")
def predictor(untrained_run):
    return Predictor(untrained_run / "model")


def test_a_table_is_written_with_a_modality_missing(predictor, make_datalist, tmp_path):
    path = make_datalist(patients=2, unsplit=True, missing={1: "oct"})
    items = cases_to_predict(path, INPUTS)
    shown = Inference(predictor=predictor, items=items, output_file=tmp_path / "out" / "p.csv").run()
    table = pd.read_csv(tmp_path / "out" / "p.csv")
    assert list(table) == ["case_id", "md", "md_oct", "md_fundus"]
    assert list(table["case_id"]) == ["c000", "c001", "c002", "c003"]
    assert table["md_oct"].isna().tolist() == [False, True, False, False]
    pd.testing.assert_frame_equal(table, shown, check_exact=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["p.csv"]


def test_the_split_that_is_meant(make_datalist):
    path = make_datalist()
    testing = [case.case_id for case in load_datalist(path).splits["testing"]]
    assert [item["case_id"] for item in cases_to_predict(path, INPUTS)] == testing
    assert [item["case_id"] for item in cases_to_predict(path.parent, INPUTS)] == testing
    assert len(cases_to_predict(path, INPUTS, "training")) == 8
    with pytest.raises(MedmdError, match="expected a list 'unsplit'"):
        cases_to_predict(path, INPUTS, "unsplit")


def test_cases_that_the_model_cannot_take_are_left_out(make_datalist, caplog):
    path = make_datalist(missing={10: "oct"})
    with caplog.at_level(logging.WARNING):
        assert len(cases_to_predict(path, {"oct": "volume"})) == 1
    assert "testing: 1 of 2 cases left out" in caplog.text


def test_what_does_not_exist_is_said(tmp_path):
    with pytest.raises(MedmdError, match="no such file or folder"):
        cases_to_predict(tmp_path / "absent", INPUTS)
    with pytest.raises(MedmdError, match="No case in the folder"):
        cases_to_predict(tmp_path, INPUTS)


def test_evaluation_measures_what_the_predictor_predicts(predictor, make_datalist, tmp_path):
    path = make_datalist(patients=6, missing={1: "fundus"})
    document = json.loads(path.read_text())
    for case in document["training"]:
        case["reference"] = {"label_noise": case["target"]}
    path.write_text(json.dumps(document))
    Evaluation(predictor=predictor, source=path.parent, output_dir=tmp_path / "e", split="training").run()
    table = pd.read_csv(tmp_path / "e" / "predictions.csv")
    expected = predictor.predict(cases_to_predict(path, INPUTS, "training"))
    assert list(table["case_id"]) == list(expected["case_id"])
    assert list(table["fusion"]) == list(expected["md"])
    assert table["unimodal_fundus"].isna().sum() == 1
    assert list(table["reference_label_noise"]) == list(table["target"])
    measured = read_json(tmp_path / "e" / "report" / "metrics.json")["overall"]["fusion"]["mae"]["estimate"]
    assert measured == pytest.approx((table["fusion"] - table["target"]).abs().mean())
    assert (tmp_path / "e" / "report" / "report.html").exists()


def test_evaluation_needs_measured_values_of_the_same_target(predictor, make_datalist, tmp_path):
    with pytest.raises(MedmdError, match="evaluation needs a datalist"):
        Evaluation(predictor=predictor, source=tmp_path, output_dir=tmp_path / "e").run()
    path = make_datalist()
    document = read_json(path)
    document["target"]["name"] = "ms"
    write_json(path, document)
    with pytest.raises(MedmdError, match="predicts 'md', the datalist's target is 'ms'"):
        Evaluation(predictor=predictor, source=path, output_dir=tmp_path / "e").run()
    assert not (tmp_path / "e").exists()
