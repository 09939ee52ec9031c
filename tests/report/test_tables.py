import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medmd.report import predictor_columns, read_history, read_predictions, reference_columns, write_predictions
from medmd.utils import MedmdError


def small(**columns):
    base = {
        "case_id": ["0001", "0002"],
        "patient_id": ["007", "NA"],
        "split": ["testing"] * 2,
        "laterality": ["R", "L"],
    }
    return pd.DataFrame(base | {"target": [-1.0, -2.5], "fusion": [-1.5, -2.0]} | columns)


def test_round_trip_of_a_run(tmp_path, table):
    write_predictions(tmp_path / "p.csv", table)
    read = read_predictions(tmp_path / "p.csv")
    pd.testing.assert_frame_equal(read, table, check_exact=True, check_dtype=False)
    assert predictor_columns(read) == ["pretrain_oct", "pretrain_fundus", "late_average", "fusion"]
    assert reference_columns(read) == ["reference_label_noise"]


# Names that a guessing reader would turn into numbers, dates, missing values or other columns.
names = st.lists(
    st.one_of(
        st.sampled_from(
            ["0001", "1e5", "NA", "nan", "None", "-", "True", "2020-01-01", 'a"b', "a,b", " x ", "a;b", "ü"]
        ),
        st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8),
    ),
    min_size=2,
    max_size=2,
    unique=True,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names, st.lists(st.floats(allow_nan=True, allow_infinity=False), min_size=2, max_size=2))
def test_names_stay_and_numbers_come_back_bit_for_bit(tmp_path, ids, numbers):
    table = small(case_id=ids, patient_id=ids, fusion=numbers)
    write_predictions(tmp_path / "p.csv", table)
    read = read_predictions(tmp_path / "p.csv")
    assert read["case_id"].tolist() == ids
    assert read["patient_id"].tolist() == ids
    finite = ~np.isnan(numbers)
    assert read["fusion"].to_numpy()[finite].tobytes() == np.array(numbers)[finite].tobytes()
    assert np.isnan(read["fusion"].to_numpy()[~finite]).all()


def test_equal_tables_are_equal_bytes_and_the_argument_is_untouched(tmp_path, table):
    before = table.copy()
    write_predictions(tmp_path / "a.csv", table)
    write_predictions(tmp_path / "b.csv", table)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    pd.testing.assert_frame_equal(table, before)
    assert b"\r" not in (tmp_path / "a.csv").read_bytes()


def test_absent_laterality_and_integers_and_info(tmp_path):
    table = small(fusion=[-1, -2], info_device=["Zeiss", None]).drop(columns="laterality")
    write_predictions(tmp_path / "p.csv", table)
    read = read_predictions(tmp_path / "p.csv")
    assert read["laterality"].tolist() == ["", ""]
    assert read["info_device"].tolist() == ["Zeiss", ""]
    assert read["fusion"].dtype == np.float64
    assert predictor_columns(read) == ["fusion"]
    (tmp_path / "q.csv").write_text("case_id,patient_id,split,target,fusion\n1,1,testing,-1,-1\n")
    assert read_predictions(tmp_path / "q.csv")["laterality"].tolist() == [""]


def test_laterality_none_is_an_empty_field(tmp_path):
    write_predictions(tmp_path / "p.csv", small(laterality=["R", None]))
    assert read_predictions(tmp_path / "p.csv")["laterality"].tolist() == ["R", ""]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    write_predictions(tmp_path / "p.csv", small())
    before = (tmp_path / "p.csv").read_bytes()
    with pytest.raises(MedmdError, match="stands twice"):
        write_predictions(tmp_path / "p.csv", small(case_id=["1", "1"]))
    assert (tmp_path / "p.csv").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (small().drop(columns="target"), "target missing"),
        (small().drop(columns="fusion"), "no column of predictions"),
        (small(case_id=["1", "1"]), "case '1' stands twice"),
        (small(patient_id=["a", ""]), "patient_id is empty in row 2"),
        (small(patient_id=["a", None]), "patient_id is empty in row 2"),
        (small(fusion=["x", "y"]), "column 'fusion' must hold numbers"),
        (small(fusion=[True, False]), "column 'fusion' must hold numbers"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path, table, words):
    with pytest.raises(MedmdError, match=words):
        write_predictions(tmp_path / "p.csv", table)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "got nothing"),
        ("case_id,patient_id,split,fusion\n1,1,testing,0\n", "expected the columns case_id, patient_id, split, target"),
        ("case_id,patient_id,split,target,target\n1,1,testing,0,0\n", "each once"),
        ("case_id,patient_id,split,target,fusion\n1,1,testing,0\n", "row 2 has 4 fields, expected 5"),
        ("case_id,patient_id,split,target,fusion\n1,1,testing,0,abc\n", "column 'fusion', row 1: expected a number"),
        ("case_id,patient_id,split,target,fusion\n1,,testing,0,1\n", "patient_id is empty in row 1"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, content, words):
    (tmp_path / "p.csv").write_text(content)
    with pytest.raises(MedmdError, match=words):
        read_predictions(tmp_path / "p.csv")


def test_unreadable_files(tmp_path):
    with pytest.raises(MedmdError, match="no such file"):
        read_predictions(tmp_path / "absent.csv")
    (tmp_path / "p.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MedmdError, match="not a CSV file in UTF-8"):
        read_predictions(tmp_path / "p.csv")


def test_history_round_trip(tmp_path, history):
    history.to_csv(tmp_path / "h.csv", index=False)
    pd.testing.assert_frame_equal(read_history(tmp_path / "h.csv"), history, check_dtype=False, check_exact=True)
    (tmp_path / "h.csv").write_text("stage,epoch\ntrain,1\n")
    with pytest.raises(MedmdError, match="expected the columns stage, epoch, iteration, name, value"):
        read_history(tmp_path / "h.csv")
