from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmd.workflows.preflight._case import CaseCost
from medmd.workflows.preflight._free import Free
from medmd.workflows.preflight._memory import (
    MemoryPlan,
    Part,
    data_parts,
    kept_parts,
    memory_problems,
    shared_problems,
    step_parts,
    total_bytes,
)
from medmd.workflows.preflight._network import NetworkCost

MIB = 1 << 20
CASE = CaseCost(training=MIB, validation=2 * MIB, packed=MIB, shapes={})
NETWORK = NetworkCost(weights=11 * MIB, parameters=10 * MIB, activations=50 * MIB, largest=4 * MIB)
PLAN = MemoryPlan(training=100, validation=20, voxels=MIB, batch_size=8)


def parts(plan, case=CASE, network=NETWORK):
    return [*data_parts(plan, case), *kept_parts(plan, network), *step_parts(plan, case, network)]


def by_name(plan, word):
    (part,) = [part for part in parts(plan) if word in part.name]
    return part.bytes


def test_the_cache_holds_every_case_of_both_lists():
    assert by_name(PLAN, "cache") == (100 + 2 * 20) * MIB
    assert by_name(replace(PLAN, cache=False), "cache") == 0


def test_a_voxel_costs_twelve_bytes_in_each_reader():
    assert by_name(replace(PLAN, cache_workers=3), "reading") == 3 * 12 * MIB
    assert by_name(replace(PLAN, cache=False, num_workers=5, cache_workers=3), "reading") == 5 * 12 * MIB
    assert by_name(replace(PLAN, cache=False, num_workers=0), "reading") == 12 * MIB


def test_workers_hold_batches_of_two_loaders():
    assert by_name(PLAN, "processes") == 0
    alone = by_name(replace(PLAN, num_workers=1), "processes")
    assert alone >= 2 * 2 * 8 * MIB
    assert by_name(replace(PLAN, num_workers=4), "processes") == 4 * alone


def test_stage_one_leaves_its_optimizers_and_best_weights():
    without = replace(PLAN, pretraining=False)
    assert by_name(PLAN, "optimizers") - by_name(without, "optimizers") == 3 * NETWORK.parameters
    assert by_name(PLAN, "best") == 2 * by_name(without, "best") == 2 * NETWORK.weights


def test_an_evaluation_holds_no_gradients():
    plan = replace(PLAN, trains=False)
    assert total_bytes(step_parts(plan, CASE, NETWORK)) == NETWORK.weights
    assert by_name(plan, "best") == 0


def test_enough_is_no_problem_and_the_edges_are_those_of_the_text():
    need = total_bytes(parts(PLAN))
    for free, levels in ((need * 10, []), (need + 1, ["warning"]), (need, ["warning"]), (need - 1, ["refusal"])):
        found = memory_problems(parts(PLAN), Free(number=free, where="on this machine"))
        assert [problem.level for problem in found] == levels


@pytest.mark.parametrize(
    ("plan", "network", "setting"),
    [
        (replace(PLAN, training=9000), NETWORK, "cache"),
        (replace(PLAN, batch_size=4000), replace(NETWORK, activations=9000 * MIB), "batch_size"),
        (replace(PLAN, voxels=900 * MIB), NETWORK, "cache_workers"),
        (replace(PLAN, voxels=900 * MIB, cache=False), NETWORK, "num_workers"),
        (replace(PLAN, num_workers=64), NETWORK, "num_workers"),
        (PLAN, replace(NETWORK, weights=999 * MIB, parameters=999 * MIB), "network"),
    ],
)
def test_the_biggest_part_names_the_setting_to_change(plan, network, setting):
    (problem,) = memory_problems(parts(plan, network=network), Free(number=MIB, where="on cuda:0"))
    assert problem.setting == setting
    text = str(problem)
    assert "1 MiB free on cuda:0" in text
    assert problem.fix


@given(
    field=st.sampled_from(["training", "validation", "voxels", "batch_size", "num_workers", "cache_workers"]),
    start=st.integers(0, 50),
    more=st.integers(1, 50),
    cache=st.booleans(),
)
def test_more_of_anything_never_needs_less(field, start, more, cache):
    low, high = (total_bytes(parts(replace(PLAN, cache=cache, **{field: n}))) for n in (start, start + more))
    assert low <= high


def test_shared_memory_matters_with_workers_only():
    plan = replace(PLAN, num_workers=2)
    needed = 2 * 2 * 2 * 8 * MIB
    assert list(shared_problems(PLAN, CASE, 0)) == []
    assert list(shared_problems(plan, CASE, None)) == []
    assert list(shared_problems(plan, CASE, needed)) == []
    (problem,) = shared_problems(plan, CASE, needed - 1)
    assert problem.setting == "num_workers"
    assert "--shm-size" in problem.fix


def test_a_part_says_what_to_do():
    for part in parts(replace(PLAN, num_workers=1)):
        assert isinstance(part, Part)
        assert part.advice.endswith(".")
