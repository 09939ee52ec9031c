import pytest

from medmd.workflows.preflight import PreflightReport, Problem
from medmd.workflows.preflight._report import size


def problem(setting="a", level="refusal", **fields):
    return Problem(setting=setting, **{"what": "w", "found": "f", "expected": "e", "fix": "Do.", **fields}, level=level)


def test_a_problem_is_one_line_and_its_details_more():
    assert str(problem()) == "a: w; found f, expected e. Do."
    assert str(problem(details=["x", "y"])).splitlines()[1:] == ["    x", "    y"]


def test_a_sentence_that_names_its_setting_names_it_once():
    assert str(Problem(setting="device", what="device: none.")) == "device: none."
    assert str(Problem(setting="device", what="none.")) == "device: none."


def test_only_refusals_stop():
    report = PreflightReport(problems=[problem("a", "warning"), problem("b")], facts={"cases": 3, "cache": 5 << 20})
    assert not report.ok
    assert [each.setting for each in report.warnings] == ["a"]
    assert report.error_text() == "b: w; found f, expected e. Do."
    two = PreflightReport(problems=[problem("b"), problem("c")]).error_text().splitlines()
    assert two[0] == "2 problems before the start, nothing was written."
    assert [line[:6] for line in two[1:]] == ["  b: w", "  c: w"]
    assert report.summary() == "3 cases, cache 5 MiB"
    assert PreflightReport(problems=[problem("a", "warning")]).ok


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (2048, "2 KiB"),
        (37 << 20, "37 MiB"),
        (int(1.25 * 2**30), "1.2 GiB"),
        (200 << 30, "200 GiB"),
    ],
)
def test_sizes_are_short(number, text):
    assert size(number) == text
