import pytest

from medmd.report import evaluate_predictions, format_table
from medmd.report._format import markdown_table, number, with_interval


@pytest.fixture
def evaluation(table):
    return evaluate_predictions(table, replicates=50)


def test_text_has_one_aligned_ascii_line_a_predictor(evaluation):
    lines = format_table(evaluation, method="Re-M3Dr").split("\n")
    assert lines[0].split("  ")[0] == "predictor"
    assert "R2 [95 % CI]" in lines[0]
    assert "RMSE [dB]" in lines[0]
    assert len(lines) == 2 + 6
    assert len({len(line) for line in lines}) == 1
    assert all(line.isascii() for line in lines)
    assert [line[:26].strip() for line in lines[2:]] == [
        "OCT alone (stage 1)",
        "fundus alone (stage 1)",
        "late average",
        "fusion (Re-M3Dr)",
        "constant (training mean)",
        "ceiling: label noise",
    ]


def test_numbers_stand_where_the_header_says(evaluation):
    lines = format_table(evaluation, ["fusion"]).split("\n")
    entry = evaluation["overall"]["fusion"]
    assert lines[2].split() == [
        "fusion",
        f"{entry['r2']['estimate']:.3f}",
        f"[{entry['r2']['low']:.3f},",
        f"{entry['r2']['high']:.3f}]",
        f"{entry['rmse']['estimate']:.2f}",
        f"{entry['mae']['estimate']:.2f}",
        "60",
    ]


def test_missing_predictions_show_in_a_column_of_their_own(evaluation):
    shown = format_table(evaluation, ["pretrain_fundus", "fusion"]).split("\n")
    assert shown[0].endswith("without")
    assert shown[2].split()[-1] == str(evaluation["overall"]["pretrain_fundus"]["dropped"])
    assert "without" not in format_table(evaluation, ["fusion"])


def test_markdown_has_the_same_cells(evaluation):
    text = format_table(evaluation, ["fusion", "reference_constant"], labels={"fusion": "a|b"}, markdown=True).split(
        "\n"
    )
    assert text[1] == "| --- | ---: | ---: | ---: | ---: |"
    assert text[2].startswith("| a\\|b |")
    plain = format_table(evaluation, ["fusion", "reference_constant"]).split("\n")
    assert text[3].strip("| ").split(" | ")[1:] == [c.strip() for c in plain[3].split("  ") if c.strip()][1:]


def test_no_unit_no_brackets(table):
    found = evaluate_predictions(table, target_name="x", unit="", replicates=20)
    assert "RMSE  " in format_table(found, ["fusion"])


def test_numbers_for_readers():
    assert number(None) == "n/a"
    assert number(-0.001) == "0.00"
    assert number(-1.005, 1) == "-1.0"
    assert with_interval({"estimate": 0.5, "low": None, "high": None}) == "0.50"
    assert with_interval({"estimate": 0.5, "low": -0.001, "high": 0.75}) == "0.50 [0.00, 0.75]"
    assert markdown_table(["a", "b", "c"], [], texts=2).endswith("| --- | --- | ---: |")
    assert markdown_table(["a"], [["1"]]) == "| a |\n| --- |\n| 1 |"
