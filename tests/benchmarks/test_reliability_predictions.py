"""How far the predictions of two runs are apart."""

from benchmarks._reliability_equality import _prediction_distance


def test_predictions_are_compared_and_lateralities_are_not(tmp_path):
    for name, shift in (("a", 0.0), ("b", 0.5)):
        (tmp_path / name).mkdir()
        rows = "".join(f"c{i},R,{i},{i + shift},{i}\n" for i in range(3))
        (tmp_path / name / "predictions.csv").write_text(f"case_id,laterality,target,fusion,late_average\n{rows}")

    found = _prediction_distance(tmp_path / "a", tmp_path / "b")

    assert found == {
        "fusion": {"largest_db": 0.5, "rms_db": 0.5},
        "late_average": {"largest_db": 0.0, "rms_db": 0.0},
    }
