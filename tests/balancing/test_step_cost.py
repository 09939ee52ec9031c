"""The cost of a step in FLOPs, which are exact, on the paper's encoders."""

import importlib.util
import inspect
import json
from pathlib import Path

import pytest
import torch

from medmd import balancing

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "step_cost.py"


@pytest.fixture(scope="module")
def step_cost():
    spec = importlib.util.spec_from_file_location("step_cost", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_flops_stay_within_the_limits(step_cost, capsys):
    results = step_cost.main(["--sizes", "32", "--batch", "2", "--rounds", "0", "--no-memory"])
    rows = results["sizes"]["32"]
    for name, limit in step_cost.LIMITS.items():
        assert rows[name]["flop_ratio"] <= limit + 1e-4, name
    assert rows["sgm_paper"]["flop_ratio"] > 2.3
    assert rows["uniform"]["flops"] == rows["plain"]["flops"]
    assert rows["ogm_ge"]["flop_ratio"] == pytest.approx(1.0, abs=1e-4)
    assert "| sgm_paper |" in capsys.readouterr().out


def test_small_run_writes_its_results(step_cost, tmp_path, capsys):
    step_cost.main(["--small", "--output", str(tmp_path / "cost")])
    rows = json.loads((tmp_path / "cost.json").read_text())["sizes"]["32"]
    assert all(row["wall_ratio"] > 0 for row in rows.values())
    assert rows["plain"]["processor_ratio"] == 1
    assert (tmp_path / "cost.md").read_text() in capsys.readouterr().out


def test_memory_of_this_process(step_cost):
    assert 100 < step_cost.memory_of(step_cost.parse(["--small", "--memory-of", "sgm_paper"])) < 100_000


@pytest.mark.slow
def test_memory_of_a_fresh_process(step_cost):
    assert 100 < step_cost.measure_memory(step_cost.parse(["--small"]), "plain", 32) < 10_000


def test_every_balancer_is_measured(step_cost):
    public = [getattr(balancing, name) for name in balancing.__all__]
    known = {each for each in public if isinstance(each, type) and issubclass(each, balancing.Balancer)}
    measured = {type(balancer) for balancer in step_cost.balancers().values()}
    assert {each for each in known if not inspect.isabstract(each)} == measured - {type(None)}
    assert step_cost.LIMITS.keys() | {"plain", "joint"} == step_cost.balancers().keys()
