import pytest

from data_prep._report import ConversionReport, Tally, versions


def make_report():
    tally = Tally("rows", total=10, converted=3)
    for number in range(6):
        tally.exclude("absent", f"case-{number}")
    tally.exclude("strange", "case-9")
    return ConversionReport(
        converter="tests",
        arguments={"seed": 1},
        source={"file": "x"},
        tallies=[tally],
        reasons={"absent": "it is not there", "unused": "never"},
        facts={"duplicates": []},
        summary=["last line"],
    )


def test_everything_that_came_in_stands_in_the_report():
    content = make_report().as_json()
    assert content["rows"]["total"] == 10
    assert content["rows"]["converted"] == 3
    assert content["rows"]["excluded"]["absent"] == {"count": 6, "items": [f"case-{number}" for number in range(6)]}
    assert content["reasons"] == {"absent": "it is not there", "strange": "strange"}
    assert (content["converter"], content["arguments"], content["source"]) == ("tests", {"seed": 1}, {"file": "x"})
    assert content["duplicates"] == []


def test_the_text_counts_and_names_the_first():
    assert make_report().text().splitlines() == [
        "rows: 10 in = 3 converted + 7 excluded",
        "      6  it is not there (case-0, case-1, case-2, case-3, case-4, … and 1 more in the report)",
        "      1  strange (case-9)",
        "last line",
    ]


@pytest.mark.parametrize("converted", [2, 4])
def test_numbers_that_do_not_add_up_are_a_fault(converted):
    report = make_report()
    report.tallies[0].converted = converted
    with pytest.raises(RuntimeError, match=f"rows: 10 in, but {converted} converted \\+ 7 excluded"):
        report.as_json()


def test_usable_is_what_the_first_tally_converted():
    assert make_report().usable == 3


def test_what_is_merged_counts_and_the_word_is_the_converters():
    tally = Tally("files", total=6, converted=1, merged=4, word="quarantined")
    tally.exclude("odd", "x")
    tally.check()
    assert tally.lines({})[0] == "files: 6 in = 1 converted + 4 merged + 1 quarantined"
    assert tally.as_json() == {
        "total": 6,
        "converted": 1,
        "merged": 4,
        "quarantined": {"odd": {"count": 1, "items": ["x"]}},
    }
    tally.merged = 3
    with pytest.raises(RuntimeError, match="6 in, but 1 converted \\+ 3 merged \\+ 1 quarantined"):
        tally.check()


def test_fixes_of_used_reasons_stand_in_the_report_and_harmless_ones_are_no_fault():
    report = make_report()
    report.fixes = {"absent": "fetch it", "unused": "no"}
    assert report.as_json()["fixes"] == {"absent": "fetch it"}
    assert report.faulty
    report.harmless = frozenset({"absent", "strange"})
    assert not report.faulty


def test_versions_name_what_the_result_may_depend_on():
    found = versions("numpy")
    assert list(found) == ["python", "medmd", "numpy"]
    assert all(found.values())
