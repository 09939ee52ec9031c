import re
from html.parser import HTMLParser

import pytest

from data_prep._html import render
from data_prep._report import ConversionReport, Tally
from medmd.data import Case, Datalist, Header, InputSpec
from medmd.data.check import summarise


def make_report(*, excluded=("broken",), converted=3):
    tally = Tally("eyes", total=converted + 2 + len(excluded), converted=converted, merged=2, word="quarantined")
    for place, reason in enumerate(excluded):
        tally.exclude(reason, f"<eye {place}>")
    return ConversionReport(
        converter="tests",
        arguments={"limit": None, "list": [1, 2]},
        source={"layout": "x & y", "release": "R"},
        tallies=[tally],
        reasons={"broken": "it's cut short"},
        fixes={"broken": "unpack it again"},
        harmless=frozenset({"litter"}),
        facts={"nothing": {}, "empty": [], "nested": {"a": {"b": [1, 2]}}, "pairs": [{"eye": "e", "what": None}]},
        summary=["a < b"],
    )


def cohort():
    cases = [
        Case(case_id=f"c{n}", patient_id=f"p{n}", inputs={"v": [1.0, n]}, target=-1.0 * n, laterality="RL"[n % 2])
        for n in range(4)
    ]
    header = Header(name="n", inputs={"v": InputSpec(kind="vector")})
    return summarise(Datalist(header=header, splits={"unsplit": cases}))


class Checker(HTMLParser):
    """Counts tags and notes whatever would load something."""

    def __init__(self):
        super().__init__()
        self.open, self.loads = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br", "img", "line", "rect"):
            self.open.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href") and not value.startswith("data:")]

    def handle_endtag(self, tag):
        if tag not in ("line", "rect"):
            assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing():
    page = render(make_report(), {"datalist.json": cohort()}, contact_sheet=b"PNG")
    checker = Checker()
    checker.feed(page)
    assert (checker.open, checker.loads) == ([], [])
    assert "<script" not in page
    assert "data:image/png;base64,UE5H" in page


def test_it_tells_counts_reasons_and_what_to_do():
    page = render(make_report(), {"datalist.json": cohort()})
    row = re.search(r"<tr><td>eyes</td>(.*?)</tr>", page)[1]
    assert re.findall(r'class="n">(\d+)', row) == ["6", "3", "2", "1"]
    for text in ("it&#x27;s cut short", "unpack it again", "&lt;eye 0&gt;", "a &lt; b", "x &amp; y", "L: 2, R: 2"):
        assert text in page
    assert "4 known; mean -1.50" in page
    assert "<svg" in page


@pytest.mark.parametrize(
    ("report", "verdict"),
    [
        (make_report(), "done with quarantine"),
        (make_report(excluded=("litter",)), "done"),
        (make_report(converted=0), "nothing usable"),
    ],
)
def test_the_verdict(report, verdict):
    assert f">{verdict}</span>" in render(report, {})


def test_nothing_set_aside_and_no_targets_are_said():
    header = Header(name="n", inputs={"v": InputSpec(kind="vector")})
    cases = [Case(case_id="c", patient_id="p", inputs={"v": [1.0]})]
    page = render(make_report(excluded=()), {"d": summarise(Datalist(header=header, splits={"unsplit": cases}))})
    assert "<p>Nothing.</p>" in page
    assert "No targets." in page
