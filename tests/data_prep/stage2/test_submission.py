import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score

from data_prep._split import SplitOptions
from data_prep.stage2 import Options, convert, score_submission, write_submission
from medmd.utils import MedmdError


@pytest.fixture(scope="module")
def converted(plain_stage2024, tmp_path_factory):
    out = tmp_path_factory.mktemp("converted") / "out"
    convert(plain_stage2024, out, options=Options(split=SplitOptions(unsplit=True)))
    return out


def predictions(path, numbers, values, column="md"):
    pd.DataFrame({"case_id": [f"stage2024-{n:04d}" for n in numbers], column: values, "md_oct": 0.0}).to_csv(
        path, index=False
    )
    return path


def test_the_result_file_is_as_the_challenge_reads_it(converted, tmp_path):
    table = predictions(tmp_path / "p.csv", (23, 21, 22), (-3.25, -1.0, 0.123456789))
    filled = write_submission(table, converted / "datalist_validation.json", tmp_path / "MD_Results.csv")
    assert filled == []
    text = (tmp_path / "MD_Results.csv").read_bytes().decode()
    assert text == "ID,pred_MD\n0021,-1.000000\n0022,0.123457\n0023,-3.250000\n"


def test_a_runs_own_table_of_predictions_will_do_and_other_parts_are_passed_over(converted, tmp_path):
    table = predictions(tmp_path / "p.csv", (1, 21, 22, 23), (9, -1, -2, -3), column="fusion")
    write_submission(table, converted / "datalist_validation.json", tmp_path / "r.csv")
    assert pd.read_csv(tmp_path / "r.csv", dtype={"ID": str})["ID"].tolist() == ["0021", "0022", "0023"]
    write_submission(table, converted / "datalist_validation.json", tmp_path / "r.csv", column="md_oct")
    assert set(pd.read_csv(tmp_path / "r.csv")["pred_MD"]) == {0.0}


def test_eyes_without_a_prediction_are_refused_or_filled(converted, tmp_path):
    table = predictions(tmp_path / "p.csv", (21,), (-1,))
    with pytest.raises(MedmdError, match=r"2 of 3 eyes have no prediction \(0022, 0023\)"):
        write_submission(table, converted / "datalist_validation.json", tmp_path / "r.csv")
    assert not (tmp_path / "r.csv").exists()
    assert write_submission(table, converted / "datalist_validation.json", tmp_path / "r.csv", fill=-5) == ["0022", "0023"]  # fmt: skip # noqa: E501
    assert pd.read_csv(tmp_path / "r.csv")["pred_MD"].tolist() == [-1, -5, -5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case_id,other\nx,1\n", "expected the columns case_id and md or fusion, got case_id, other"),
        ("", "expected the columns"),
        ("case_id,md\nstage2024-0021,nan\n", "eye 0021: expected a prediction in dB"),
        ("case_id,md\nstage2024-0021,1\nstage2024-0021,2\n", "eye 0021: two predictions"),
    ],
)
def test_tables_that_cannot_be_submitted(converted, tmp_path, text, message):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(MedmdError, match=message):
        write_submission(tmp_path / "p.csv", converted / "datalist_validation.json", tmp_path / "r.csv")


def test_another_datalist_is_refused(tmp_path, make_other):
    with pytest.raises(MedmdError, match="expected a datalist of STAGE"):
        write_submission(predictions(tmp_path / "p.csv", (1,), (1,)), make_other, tmp_path / "r.csv")


@pytest.fixture
def make_other(tmp_path):
    from medmd.data import Case, Datalist, Header, InputSpec, write_datalist

    header = Header(name="clinic", inputs={"v": InputSpec(kind="vector")})
    case = Case(case_id="c", patient_id="p", inputs={"v": [1.0]})
    write_datalist(tmp_path / "other.json", Datalist(header=header, splits={"unsplit": [case]}))
    return tmp_path / "other.json"


def submitted(path, truth, values):
    pd.DataFrame({"ID": [f"{n:04d}" for n in truth.index], "pred_MD": values}).to_csv(path, index=False)
    return path


def test_the_score_is_the_challenges(converted, plain_stage2024, tmp_path):
    labels = plain_stage2024 / "STAGE_training" / "training_GT" / "task1_GT_training.csv"
    truth = pd.read_csv(labels).set_index("ID")["MD"]
    predicted = truth.to_numpy() + np.random.RandomState(0).normal(0, 1, len(truth))
    # Written out here as the participants' public code has it.
    smape = np.mean(2 * np.abs(predicted - truth) / (np.abs(predicted) + np.abs(truth)))
    r2 = r2_score(truth, predicted)
    found = score_submission(submitted(tmp_path / "s.csv", truth, predicted), labels)
    assert found["score"] == pytest.approx(0.5 * 1 / (smape + 0.1) + 0.5 * 10 * r2)
    assert found["mae"] == pytest.approx(np.abs(predicted - truth).mean())
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((predicted - truth) ** 2)))
    assert found["n"] == 10
    assert score_submission(tmp_path / "s.csv", converted / "datalist.json") == found


def test_a_perfect_submission_scores_ten(plain_stage2024, tmp_path):
    labels = plain_stage2024 / "STAGE_training" / "training_GT" / "task1_GT_training.csv"
    truth = pd.read_csv(labels).set_index("ID")["MD"]
    assert score_submission(submitted(tmp_path / "s.csv", truth, truth), labels)["score"] == pytest.approx(10)


@pytest.mark.parametrize(
    ("submission", "labels", "message"),
    [
        ("ID,pred_MD\n0001,-1\n", "ID,MD\n1,-1\n2,-2\n", r"1 eyes with a label have no row \(0002\)"),
        ("ID,pred_MD\n0001,-1\n", "ID,MD\n1,-1\n", "expected two or more eyes with different labels"),
        ("ID,MD\n0001,-1\n", "ID,MD\n1,-1\n2,-2\n", "expected a table with the columns ID,pred_MD"),
        ("", "ID,MD\n1,-1\n2,-2\n", "got an empty file"),
        (None, "ID,MD\n1,-1\n2,-2\n", "got no such file"),
        ("ID,pred_MD\nx,-1\n", "ID,MD\n1,-1\n2,-2\n", "expected the number of an eye, got 'x'"),
        ("ID,pred_MD\n0001,\n", "ID,MD\n1,-1\n2,-2\n", "eye 0001: expected a prediction in dB"),
    ],
)
def test_what_cannot_be_scored(tmp_path, submission, labels, message):
    if submission is not None:
        (tmp_path / "s.csv").write_text(submission)
    (tmp_path / "l.csv").write_text(labels)
    with pytest.raises(MedmdError, match=message):
        score_submission(tmp_path / "s.csv", tmp_path / "l.csv")
