"""What the page of reliability says: distances of predictions, commands, words."""

from benchmarks import _reliability_words as words
from benchmarks import reliability as script
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


def test_the_command_names_no_folder():
    words_ = ["--work", "/home/mueller/w", "--parts", "kills", "--out", "x", "--places", "inside saving"]
    told = " ".join(script._without_places(words_))
    assert told == '--work WORK --parts kills --out OUT --places "inside saving"'


def test_words_when_two_threads_change_nothing():
    threads = {"twice_equal": True, "leaves": 3, "leaves_that_differ": 0, "predictions": {}}
    assert words.threads_words(threads) == [
        "2 threads gave the same twice, bit for bit, and nothing differs from 1 thread."
    ]
