"""Finished runs whose overlay has changed since are kept, and told."""

from __future__ import annotations

import json

from benchmark_cohort import METHODS, small_plan

from medmd.benchmark import run_plan


def test_a_changed_overlay_is_told_and_its_runs_are_kept(tmp_path, caplog):
    plan = small_plan(tmp_path, methods=METHODS[:1])
    run_plan(plan, tmp_path / "work", jobs=0, tracking=False)
    result = next((tmp_path / "work" / "runs").rglob("result.json"))
    before = result.read_bytes()
    with caplog.at_level("WARNING"):
        run_plan(plan, tmp_path / "work", jobs=0, tracking=False)
    assert "another configuration" not in caplog.text

    (overlay,) = (path for path in tmp_path.glob("*.json") if "modalities" in path.read_text())
    content = json.loads(overlay.read_text())
    overlay.write_text(json.dumps({**content, "learning_rate": 0.02}))
    with caplog.at_level("WARNING"):
        run_plan(plan, tmp_path / "work", jobs=0, tracking=False)
    told = [record.getMessage() for record in caplog.records if "another configuration" in record.getMessage()]
    assert len(told) == 1
    assert told[0].endswith("delete runs/numbers/uniform_sum.")
    assert result.read_bytes() == before
