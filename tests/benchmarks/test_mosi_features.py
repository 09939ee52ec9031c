import json

import numpy as np
import pytest

from benchmarks import mosi_features
from medmd.data import Case, Datalist, Header, InputSpec, TargetSpec, write_datalist

HELD_OUT, TO_TEST = "held-out videos of train", "train to test"


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """An input that tells all, one that tells nothing, and one that was told train's opinions and knows no others."""
    folder = tmp_path_factory.mktemp("mosi")
    random = np.random.default_rng(0)
    splits = {"training": range(0, 10), "validation": range(10, 12), "testing": range(12, 20)}
    inputs = {name: InputSpec(kind="vector", details={"length": 3}) for name in ("honest", "empty", "told")}
    lists = {
        split: [case(random, video, place, split) for video in videos for place in range(12)]
        for split, videos in splits.items()
    }
    header = Header(
        name="mosi",
        description="made up",
        inputs=inputs,
        target=TargetSpec(name="opinion", unit="points", range=(-9.0, 9.0)),
        source="a test",
        converter="a test",
    )
    write_datalist(folder / "datalist.json", Datalist(header=header, splits=lists))
    mosi_features.main(["--data", str(folder), "--out", str(folder / "out"), "--samples", "200"])
    assert "| told |" in (folder / "out" / "mosi_features.md").read_text()
    return json.loads((folder / "out" / "mosi_features.json").read_text())["rows"]


def case(random, video, place, split):
    y = random.normal()
    known = {
        "honest": y * np.ones(3) + random.normal(size=3) * 0.3,
        "empty": random.normal(size=3),
        "told": random.normal(size=3) + (split != "testing") * 3 * y,
    }
    return Case(
        case_id=f"c-{video}-{place}",
        patient_id=f"v-{video}",
        inputs={name: value.tolist() for name, value in known.items()},
        target=float(y),
    )


def test_what_was_made_with_the_opinions_is_told_from_what_was_not(rows):
    assert rows["honest"][HELD_OUT]["r2"] > 0.9 < rows["honest"][TO_TEST]["r2"]
    assert rows["empty"][HELD_OUT]["r2"] < 0.1 > rows["empty"][TO_TEST]["r2"]
    assert rows["told"][HELD_OUT]["r2"] > 0.9
    assert rows["told"][TO_TEST]["r2"] < 0.1
    assert rows["told"]["held-out videos of test"]["r2"] < 0.1


def test_intervals_hold_the_estimate(rows):
    cells = [cell for row in rows.values() for cell in row.values()]
    assert len(cells) == 4 * 4
    assert all(cell["low"] <= cell["r2"] <= cell["high"] for cell in cells)
