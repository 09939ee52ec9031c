"""The release itself: its known numbers, and a conversion of what is there of it."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import skew

from data_prep._split import SplitOptions
from data_prep.grape import Options, convert, mean_sensitivity, read_visits
from data_prep.grape._visits import WORKBOOK
from medmd.data import load_datalist
from medmd.utils import read_json

pytestmark = pytest.mark.real_data


@pytest.fixture
def grape(real_data):
    folder = real_data / "grape"
    if not (folder / WORKBOOK).is_file():
        pytest.skip("MEDMD_REAL_DATA holds no folder grape with the workbook")
    return folder


def test_the_workbook_holds_what_is_known_of_it(grape):
    found = read_visits(grape / WORKBOOK)
    first = [visit for visit in found.visits if visit.number == 1]
    assert (len(found.visits), len(first), len({visit.subject for visit in first})) == (1115, 263, 144)
    assert found.without_baseline == []
    assert all(visit.sheets_agree for visit in found.visits)
    assert sum(visit.rnfl is not None for visit in first) == 244
    assert max(visit.number for visit in found.visits) == 9

    listed = np.array([mean_sensitivity(visit.field) for visit in found.visits if visit.photograph])
    assert len(listed) == 631
    assert (listed.min(), listed.max()) == pytest.approx((1.98, 29.68), abs=0.005)
    assert skew(listed) == pytest.approx(-1.26, abs=0.005)
    # First visits alone are less skewed.
    assert skew([mean_sensitivity(visit.field) for visit in first]) == pytest.approx(-1.11, abs=0.005)


def test_the_crops_of_first_visits_are_converted(grape, tmp_path):
    report = convert(grape, tmp_path / "out", options=Options(split=SplitOptions(unsplit=True)), workers=2)
    there = {path.name for path in (grape / "ROIs").iterdir()}
    expected = [
        visit for visit in read_visits(grape / WORKBOOK).visits if visit.number == 1 and visit.photograph in there
    ]
    cases = load_datalist(tmp_path / "out" / "datalist.json").splits["unsplit"]
    assert Counter(case.case_id for case in cases) == Counter(visit.case_id for visit in expected)
    content = read_json(tmp_path / "out" / "report.json")
    assert content["visits"]["total"] == 263
    assert content["photographs"]["total"] == len(there)
    assert content["unreadable"] == content["duplicates"] == []
    if len(there) == 474:  # the copy that lacks part of the photographs
        # 202 eyes have a crop; 16 of them have no RNFL values, which leaves 186 with both.
        assert (report.usable, content["subjects"], content["missing_inputs"]["rnfl"]["count"]) == (202, 110, 16)
        assert sum(case.inputs["rnfl"] is not None for case in cases) == 186
