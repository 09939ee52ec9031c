"""Reports on classes and tasks from tables alone."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix

from medmd.report import (
    evaluate_classes,
    format_table,
    predictor_columns,
    reference_columns,
    write_predictions,
    write_report,
)
from medmd.utils import MedmdError

GRADES = ["none", "early", "late"]
HEADER = {"name": "eyes", "target": {"name": "grade", "kind": "class", "unit": "", "range": [0, 2], "classes": GRADES}}


def table(n=60, seed=0):
    random = np.random.default_rng(seed)
    target = random.integers(0, 3, n)
    frame = pd.DataFrame(
        {
            "case_id": [f"c{place:03d}" for place in range(n)],
            "patient_id": [f"p{place // 2:03d}" for place in range(n)],
            "split": "testing",
            "laterality": ["RL"[place % 2] for place in range(n)],
            "target": target.astype(float),
        }
    )
    for name, sharpness in (("fusion", 2.0), ("unimodal_oct", 0.5), ("reference_constant", 0.0)):
        logits = sharpness * np.eye(3)[target] + random.normal(size=(n, 3)) * (sharpness > 0)
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        frame[name] = probabilities.argmax(axis=1).astype(float)
        for place in range(3):
            frame[f"{name}_p{place}"] = probabilities[:, place]
    frame.loc[:3, ["unimodal_oct", "unimodal_oct_p0", "unimodal_oct_p1", "unimodal_oct_p2"]] = np.nan
    frame["info_site"] = "a"
    return frame


def test_probabilities_and_tasks_are_no_predictors():
    assert predictor_columns(table().assign(task_left=0.0)) == ["fusion", "unimodal_oct"]
    assert reference_columns(table()) == ["reference_constant"]
    # Without a prediction of that name it is a predictor like any other.
    assert predictor_columns(table()[["case_id", "fusion_p0"]]) == ["fusion_p0"]


def test_an_evaluation_counts_what_it_rests_on():
    found = evaluate_classes(table(), classes=GRADES, replicates=100)
    assert found["predictors"] == ["unimodal_oct", "fusion"]
    assert found["references"] == ["reference_constant"]
    assert sum(found["target"]["counts"]) == found["target"]["n"] == 60
    assert found["overall"]["unimodal_oct"]["dropped"] == 4
    expected = confusion_matrix(table()["target"], table()["fusion"])
    np.testing.assert_array_equal(found["overall"]["fusion"]["confusion"], expected)
    entry = found["overall"]["fusion"]["accuracy"]
    assert entry["low"] < entry["estimate"] < entry["high"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert evaluate_classes(table(), classes=GRADES, replicates=100) == found


def test_names_are_numbers_when_none_are_given():
    assert evaluate_classes(table(), replicates=10)["target"]["classes"] == ["0", "1", "2"]


def test_another_number_of_classes_is_refused():
    with pytest.raises(MedmdError, match="3 probabilities, expected one for each of 2"):
        evaluate_classes(table(), classes=["a", "b"], replicates=10)


def test_the_table_for_the_end_of_a_run():
    text = format_table(evaluate_classes(table(), classes=GRADES, replicates=50))
    lines = text.splitlines()
    assert lines[0].split("  ")[0] == "predictor"
    assert "accuracy [95 % CI]" in lines[0]
    assert "log loss" in lines[0]
    assert lines[0].endswith("without")
    assert len(lines) == 5


def test_a_report_is_reproducible_and_names_the_surest_mistakes(tmp_path):
    for name in ("a", "b"):
        write_report(table(), header=HEADER, out_dir=tmp_path / name, replicates=50)
    page = (tmp_path / "a" / "report.md").read_text()
    wrong = table().query("fusion != target")
    surest = wrong.loc[wrong[["fusion_p0", "fusion_p1", "fusion_p2"]].max(axis=1).idxmax(), "case_id"]
    assert "Surest mistakes" in page
    assert surest in page
    for file in ("report.md", "report.html", "metrics.json", "figures/confusion.png", "figures/predictors.png"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def tasks_table():
    frame = table()
    frame["task_grade_target"] = frame["target"]
    frame["task_grade"] = frame["fusion"]
    for place in range(3):
        frame[f"task_grade_p{place}"] = frame[f"fusion_p{place}"]
    frame["task_md_target"] = np.linspace(-20, 0, len(frame))
    frame["task_md"] = frame["task_md_target"] + np.sin(np.arange(len(frame)))
    return frame


def test_each_task_has_a_report_of_its_kind(tmp_path):
    tasks = [
        {"name": "grade", "kind": "class", "unit": "", "range": [0, 2], "classes": GRADES},
        {"name": "md", "kind": "number", "unit": "dB", "range": [-40, 6]},
    ]
    header = {"name": "both", "target": {"name": "both", "kind": "multi", "unit": "", "tasks": tasks}}
    write_predictions(tmp_path / "predictions.csv", tasks_table())
    found = write_report(tmp_path / "predictions.csv", header=header, out_dir=tmp_path / "out", replicates=50)
    error = tasks_table()["task_md"] - tasks_table()["task_md_target"]
    assert found["tasks"]["md"]["overall"]["fusion"]["mae"]["estimate"] == pytest.approx(error.abs().mean())
    single = evaluate_classes(table(), classes=GRADES, replicates=50)
    assert found["tasks"]["grade"]["overall"]["fusion"] == single["overall"]["fusion"]
    assert "bland_altman" in (tmp_path / "out" / "md" / "report.md").read_text()
    assert "bland_altman" not in (tmp_path / "out" / "grade" / "report.md").read_text()
    page = (tmp_path / "out" / "report.md").read_text()
    assert "| grade | accuracy |" in page
    assert "| md | R2 |" in page
    assert format_table(found).startswith("grade:\n")


def test_a_table_without_the_tasks_is_refused(tmp_path):
    tasks = [{"name": "grade", "kind": "class", "classes": GRADES}]
    with pytest.raises(MedmdError, match="task_grade"):
        write_report(table(), header={"target": {"kind": "multi", "tasks": tasks}}, out_dir=tmp_path)
