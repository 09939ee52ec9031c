"""A setting that nothing takes is refused before anything runs."""

from types import SimpleNamespace

import pytest
from benchmark_cohort import METHODS, plan_content, small_plan, write_overlay

from medmd.benchmark import DatasetPlan, MethodPlan, describe_work, make_plan, read_plan, run_plan
from medmd.benchmark._check_settings import check_settings
from medmd.benchmark._compose import _references, parser_of, put_in_place
from medmd.benchmark._job import Job
from medmd.benchmark._owned import why_lost
from medmd.benchmark._schedule import Start
from medmd.benchmark._train import BOTH, _put_data
from medmd.benchmark._work import Work
from medmd.commands.bundle_path import bundle_folder
from medmd.utils import MedmdError

# Of the bundle's first steps those that a run takes, and its parts that hold settings of their own.
INITIALIZE = ("set_determinism", "network_on_device")
STAGES_OF_THE_BUNDLE = ("pretrain", "train", "validate", "evaluate")
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
        (
            {"methods": [{**SGM, "overrides": {"threads": 4}}]},
            "method remd: overrides: threads: the benchmark sets it itself. Use the plan's threads, under limits.",
        ),
        (
            {"dataset": {"overrides": {"num_workers": 4}}},
            "dataset numbers: overrides: num_workers: has no effect in a benchmark: each case is prepared once",
        ),
        (
            {"tuning": {"trials": 2, "space": {"cache_workers": {"choices": [1, 2]}}}},
            "tuning: space: cache_workers: has no effect in a benchmark",
        ),
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


LOST = [
    "pretrain#max_epochs", "train::max_epochs", "train#trainer#max_epochs", "stages", "phantom#n", "experiment",
    "method", "device", "cache", "output_dir", "resume", "debug", "log_every", "track", "run", "initialize#2#enabled",
    "session", "train#data#split", "train#dataset", "validate#dataset#cache", "validate#dataloader",
    "evaluate#dataloader#batch_size", "evaluate#evaluation#loaders", "train#dataloader#drop_last",
    "train#handlers#4#every", "pretrain#handlers#7#every",
]  # fmt: skip
USED = [
    "learning_rate", "train#left_out", "train#preprocessing#transforms", "validate#preprocessing#transforms",
    "patience", "pretrain#contrastive_loss#queue_size", "pretrain#dataloader#batch_size", "train#sampler#shuffle",
    "train#handlers#3#patience", "evaluate#evaluation#target_statistics", "pretraining", "train#trainer#nonfinite",
    "val_interval",
]  # fmt: skip


@pytest.mark.parametrize("name", LOST)
def test_what_a_benchmark_would_lose_is_told(name):
    assert why_lost(name, 1)


@pytest.mark.parametrize("name", USED)
def test_what_a_benchmark_uses_may_be_set(name):
    assert why_lost(name, 1) is None


def test_a_handler_in_the_place_of_one_that_is_left_out_is_used():
    assert why_lost("train#handlers#7", {"_target_": "medmd.handlers.Checkpoint"})
    assert why_lost("train#handlers#7", {"_target_": "own.Handler"}) is None


def test_every_setting_that_no_part_of_a_run_refers_to_is_refused(tmp_path):
    """What a run builds, and all that this refers to, is walked through; the rest of the bundle has no effect."""
    dataset, method = DatasetPlan(name="d", epochs=3), MethodPlan(name="m", overlays=("methods/sgm",))
    job = Job(work=tmp_path, dataset=dataset, method=method, datalist=tmp_path / "d.json", fold=0, seed=0)
    parser = parser_of(job)
    put_in_place(parser, job.datalist)
    fold = SimpleNamespace(training=SimpleNamespace(), batches=dict.fromkeys(BOTH, list))
    _put_data(parser, fold, job, "transforms", BOTH)
    taken = [step for step in parser.config["initialize"] if any(word in str(step) for word in INITIALIZE)]
    waiting = [f"{stage}#{part}" for stage in ("pretrain", "train") for part in ("trainer", "best", "preprocessing")]
    waiting = ["network_on_device", "evaluate#evaluation", "validate#preprocessing", *waiting[:2], *waiting[3:]]
    waiting += _references(taken)
    reached = set()
    while waiting:
        name = waiting.pop()
        value = parser[name]
        if name not in reached:
            reached.add(name)
            # What the benchmark has put in the place of a description refers to nothing.
            waiting += _references(value) if isinstance(value, (dict, list, str)) else []
    settings = {name for name in parser.config if not name.startswith("_") and name not in STAGES_OF_THE_BUNDLE}
    idle = settings - {name.split("#")[0] for name in reached} - {"pretraining"}

    assert idle
    assert [name for name in sorted(idle) if why_lost(name, 1) is None] == []
    # And none is refused that does something, but for those that the plan says.
    refused = {name for name in settings - idle if why_lost(name, 1) is not None}
    assert refused == {
        "datalist", "device", "history", "num_workers", "pretrain_epochs", "seed", "session", "steady_worker",
        "train_epochs",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["smoke", "small_data", "ingredients", "phenomenon"])
def test_no_plan_of_the_bundle_sets_what_is_lost(name):
    plan = read_plan(bundle_folder() / "plans" / f"{name}.yaml")
    given = [*plan.datasets, *plan.methods]
    spaces = [each.space for each in (*plan.methods, *([plan.tuning] if plan.tuning else ()))]
    settings = [pair for each in (*(each.overrides for each in given), *spaces) for pair in each.items()]

    assert [name for name, value in settings if why_lost(name, value)] == []


@pytest.mark.parametrize("name", ["smoke", "small_data"])
def test_the_plans_of_the_bundle_are_not_refused(name, tmp_path):
    check_settings(read_plan(bundle_folder() / "plans" / f"{name}.yaml"), Work(tmp_path), Start())


def test_a_dry_run_on_a_folder_of_another_plan_is_refused(tmp_path):
    peer = [{"name": "constant", "peer": "constant"}]
    run_plan(small_plan(tmp_path, methods=peer), tmp_path / "work", jobs=0, tracking=False)
    other = make_plan({**plan_content(tmp_path, methods=peer), "name": "other"})

    with pytest.raises(MedmdError, match="holds runs of another plan"):
        describe_work(other, tmp_path / "work")
