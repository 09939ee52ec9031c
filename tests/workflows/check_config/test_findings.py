import json

from medmd.workflows.check_config import ConfigReport, Finding, Place


def test_a_finding_is_one_line_with_its_place():
    finding = Finding("error", "wrong-type", ("a", "b"), "wrong", Place("x.json", 3, 5), "int", "'y'", "write 1")
    assert str(finding) == "x.json:3:5: a#b: wrong; expected int; got 'y'; fix: write 1"
    assert finding.sentence == "a#b: wrong; expected int; got 'y'; fix: write 1"
    assert str(Finding("note", "k", (), "what")) == "what"
    assert str(Place("command line")) == "command line"


def test_a_report_is_sorted_and_counts():
    late = Finding("error", "k", ("z",), "late", Place("b.json", 2))
    early = Finding("error", "k", ("y",), "early", Place("a.json", 9))
    warning = Finding("warning", "k", ("w",), "warning", Place("a.json", 1))
    note = Finding("note", "k", ("n",), "note")
    report = ConfigReport(["a.json", "b.json"], [note, warning, late, early, late])
    assert [finding.what for finding in report.findings] == ["early", "late", "warning", "note"]
    assert (report.ok, report.exit_code) == (False, 2)
    assert ConfigReport([], [warning, note]).exit_code == 1
    assert ConfigReport([], [warning]).ok
    assert ConfigReport([], [note]).exit_code == 0
    content = json.loads(report.to_json())
    assert content["findings"][1]["path"] == "z"
    assert content["findings"][1]["place"] == "b.json:2"
    assert content["findings"][1]["line"] == 2
    assert content["ok"] is False
