"""A setting that nothing takes is refused before anything runs."""

import pytest
from benchmark_cohort import METHODS, plan_content, small_plan, write_overlay

from medmd.benchmark import describe_work, make_plan, read_plan, run_plan
from medmd.benchmark._check_settings import check_settings
from medmd.benchmark._schedule import Start
from medmd.benchmark._work import Work
from medmd.commands.bundle_path import bundle_folder
from medmd.utils import MedmdError

SGM = {"name": "remd", "overlays": ["sgm"], "label": "core"}


def refused(folder, **changes):
    plan = small_plan(folder, **changes)
    with pytest.raises(MedmdError) as caught:
        run_plan(plan, folder / "work", jobs=0, tracking=False)
    assert not (folder / "work").exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"methods": [{**SGM, "overrides": {"learning_rat": 0.1}}]},
            "method remd: overrides: learning_rat: nothing uses a setting of this name; fix: did you mean "
            "learning_rate?",
        ),
        (
            {"methods": [{**SGM, "overrides": {"balancer#rhoo": 0.1}}]},
            "method remd: overrides: balancer#rhoo: medmd.balancing.SGM takes no argument 'rhoo'",
        ),
        (
            {"methods": [{**SGM, "overrides": {"train#trainerr#max_epochs": 2}}]},
            "did you mean train#trainer?",
        ),
        ({"methods": [{**SGM, "overrides": {"batch_size": "eight"}}]}, "batch_size: wrong type; expected int"),
        ({"dataset": {"overrides": {"batch_sise": 4}}}, "dataset numbers: overrides: batch_sise: nothing uses"),
        (
            {"tuning": {"trials": 2, "space": {"learning_rat": {"low": 0.1, "high": 0.2}}}},
            "tuning: space: learning_rat: nothing uses",
        ),
        (
            {
                "methods": [{**SGM, "space": {"balancer#rhoo": {"choices": [0.1, 0.2]}}}],
                "tuning": {"trials": 2, "space": {}},
            },
            "method remd: space: balancer#rhoo",
        ),
        ({"methods": [{**SGM, "overrides": {"train_epochs": 9}}]}, "train_epochs: the benchmark sets it itself"),
        ({"dataset": {"overrides": {"seed": 9}}}, "dataset numbers: overrides: seed: the benchmark sets it itself"),
        ({"dataset": {"dataset_dir": None, "phantom": {"n": 9, "sed": 1}}}, "unknown key 'sed'. Did you mean 'seed'?"),
        ({"dataset": {"dataset_dir": None, "phantom": {"n": 0}}}, "dataset numbers: phantom: n: expected"),
        ({"dataset": {"dataset_dir": None, "phantom": {"n": [9]}}}, "dataset numbers: phantom: "),
    ],
)
def test_a_setting_that_nothing_takes_is_refused(tmp_path, changes, told):
    text = refused(tmp_path, **changes)

    assert told in text
    assert "?." not in text
    # Said once, although it concerns all methods and all seeds.
    assert len(text.splitlines()) == 1


def test_all_faults_are_told_at_once_also_before_a_dry_run(tmp_path):
    methods = [{**SGM, "overrides": {"learning_rat": 0.1}}, {**METHODS[0], "overrides": {"batch_sizes": 4}}]
    plan = small_plan(tmp_path, methods=methods)
    with pytest.raises(MedmdError, match=r"(?s)learning_rate\?.*batch_size\?"):
        describe_work(plan, tmp_path / "work")
    assert describe_work(make_plan(plan_content(tmp_path)), tmp_path / "work")


def test_a_mistyped_setting_of_an_own_overlay_is_told_with_its_line(tmp_path):
    own = write_overlay(tmp_path, "own", learning_rat=0.1)
    text = refused(tmp_path, methods=[{"name": "own", "overlays": ["sgm", own]}])

    assert text.startswith("numbers, own: ")
    assert "own.json:1:2: learning_rat: nothing uses" in text


def test_what_is_not_asked_for_is_not_judged(tmp_path):
    plan = small_plan(tmp_path, methods=[*METHODS, {**SGM, "name": "wrong", "overrides": {"learning_rat": 0.1}}])

    check_settings(plan, Work(tmp_path / "work"), Start(only=["uniform_sum", "remd"]))
    with pytest.raises(MedmdError, match="method wrong"):
        check_settings(plan, Work(tmp_path / "work"), Start())


@pytest.mark.parametrize("name", ["smoke", "grape"])
def test_the_plans_of_the_bundle_are_not_refused(name, tmp_path):
    check_settings(read_plan(bundle_folder() / "plans" / f"{name}.yaml"), Work(tmp_path), Start())


def test_a_dry_run_on_a_folder_of_another_plan_is_refused(tmp_path):
    peer = [{"name": "constant", "peer": "constant"}]
    run_plan(small_plan(tmp_path, methods=peer), tmp_path / "work", jobs=0, tracking=False)
    other = make_plan({**plan_content(tmp_path, methods=peer), "name": "other"})

    with pytest.raises(MedmdError, match="holds runs of another plan"):
        describe_work(other, tmp_path / "work")
