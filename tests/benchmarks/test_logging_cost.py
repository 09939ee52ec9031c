"""The measurement of the cost of tracking: what it compares, and how it sums up."""

import pytest


class FakeLoop:
    def __init__(self, name, seen):
        self.name, self.seen = name, seen

    def block(self, steps):
        self.seen.append((self.name, steps))


def test_blocks_are_interleaved_in_changing_order_after_a_warm_up():
    from benchmarks.logging_cost import measure

    seen = []
    taken = measure({name: FakeLoop(name, seen) for name in ("off", "sqlite")}, 5, 2)
    assert seen == [(name, 5) for name in ("off", "sqlite", "off", "sqlite", "sqlite", "off")]
    assert {len(values) for clocks in taken.values() for values in clocks.values()} == {2}


def test_ratios_are_medians_over_the_rounds():
    from benchmarks.logging_cost import page, summary

    result = summary(
        {
            "off": {"wall": [1.0, 2.0, 4.0], "processor": [1.0, 1.0, 1.0]},
            "sqlite": {"wall": [1.1, 2.1, 8.0], "processor": [1.01, 1.03, 1.01]},
        }
    )
    assert result["sqlite"]["wall_ratio"] == 1.1
    assert result["sqlite"]["wall_ms"] == 2100
    assert result["sqlite"]["wall_fastest_ratio"] == 1.1
    assert result["sqlite"]["processor_ratio"] == 1.01
    assert "1.01, within the 1.02" in page({"seed": 0}, result)
    result["sqlite"]["processor_ratio"] = 1.5
    assert "1.5, beyond the 1.02" in page({"seed": 0}, result)


@pytest.mark.filterwarnings("ignore:.*noload.*loader strategy:DeprecationWarning")
def test_it_measures_a_real_store(tmp_path, monkeypatch):
    from benchmarks import logging_cost
    from medmd.utils import read_json

    words = ["x", "--preset", "tiny", "--steps", "3", "--rounds", "1", "--no-server", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", words)
    logging_cost.main()
    result = read_json(tmp_path / "logging_cost.json")["result"]
    assert set(result) == {"off", "sqlite"}
    assert result["off"]["processor_ratio"] == 1.0
    assert result["sqlite"]["processor_ms"] > 0
    assert (tmp_path / "logging_cost.md").read_text().startswith("# Cost of tracking")
