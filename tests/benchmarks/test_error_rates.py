"""The simulations without a difference: what they draw, and what they count."""

import json

import numpy as np
import pytest

from benchmarks import error_rates as script


def test_the_differences_are_around_zero_and_vary_as_asked():
    random = np.random.default_rng(1)
    drawn = np.stack([script.draw(script.World("", 2.0, 1.0, 0.5), 4, 30, random) for _ in range(2000)])
    assert drawn.mean() == pytest.approx(0.0, abs=0.06)
    assert drawn.var() == pytest.approx(4 + 1 + 0.25, rel=0.05)
    # The mean over seeds loses that of the patients alone.
    assert drawn.mean(axis=(1, 2)).var() == pytest.approx(4 / 30 + 1 / 4 + 0.25 / 120, rel=0.1)


def test_a_difference_that_is_there_is_counted():
    sure = script._told_apart(np.full((20, 3), 5.0) + np.random.default_rng(0).normal(size=(20, 3)), 0)
    assert sure == (True, True)


def test_the_page_has_the_shares_of_the_record(tmp_path):
    assert script.main(["--out", str(tmp_path), "--simulations", "20", "--seeds", "3"]) == 0
    kept = json.loads((tmp_path / "error_rates.json").read_text())
    assert [row["world"]["title"] for row in kept["rows"]] == [world.title for world in script.WORLDS]
    text = (tmp_path / "error_rates.md").read_text()
    for row in kept["rows"]:
        assert row["both"] <= min(row["interval"], row["permutation"])
        assert f"| 3 | {100 * row['interval']:.1f} | {100 * row['permutation']:.1f} |" in text
