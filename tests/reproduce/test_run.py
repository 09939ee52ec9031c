"""What `--run` hands to the benchmark: the item's own lines on the data set that was asked for, as it was planned."""

import pytest

from medmd.benchmark import load_runs, make_plan, run_plan
from medmd.reproduce import Item, Line, plan_for, run_missing
from medmd.utils import MedmdError, read_json, write_json

# Nothing is trained for it.
CONSTANT = Line(name="constant", title="constant", peer="constant")
SGM = Line(name="remd", title="Re-M3Dr", overlays=(("sgm",),))


def item(*lines):
    return Item(name="fig1", title="", claim="", kind="bars", lines=lines)


def finished(work):
    return {(run.dataset, run.method, run.seed) for run in load_runs(work).results.itertuples()}


@pytest.fixture
def work(tmp_path):
    """Two data sets of which one is at hand, and a network that no item of these tests asks for."""
    methods = [{"name": "network", "overlays": ["methods/sgm"]}, {"name": "lines", "peer": "ridge"}]
    datasets = [{"name": "small", "epochs": 6, "folds": 3}, {"name": "mosi", "epochs": 2, "overlays": ["grape"]}]
    plan = make_plan({"name": "mine", "seeds": 2, "datasets": datasets, "methods": methods})
    write_json(tmp_path / "work/plan.json", plan.to_dict())
    return tmp_path / "work"


def test_only_the_lines_of_the_item_are_run_on_the_data_set_of_the_page(work, eyes):
    assert run_missing(item(CONSTANT), work, {"name": "small"}, jobs=0, data=eyes) == []
    assert {(dataset, method) for dataset, method, _ in finished(work)} == {("small", "constant")}
    added = read_json(work / "plan.json")["methods"][-1]
    assert (added["name"], added["datasets"]) == ("constant", ["small"])
    kept = {path: path.stat().st_mtime_ns for path in work.rglob("result.json")}
    run_missing(item(CONSTANT), work, {"name": "small", "epochs": 6, "folds": 3}, jobs=0, data=eyes)
    assert kept == {path: path.stat().st_mtime_ns for path in work.rglob("result.json")}


def test_data_that_is_not_at_hand_is_asked_for_in_words_of_this_command(work):
    with pytest.raises(MedmdError, match=r"small: no data. .* name it with --data DIR"):
        run_missing(item(CONSTANT), work, {"name": "small"}, jobs=0)


def test_a_line_that_is_planned_for_another_data_set_is_planned_for_this_one_too():
    base = {"datasets": [{"name": "a"}, {"name": "b"}], "methods": []}
    first, _ = plan_for(item(SGM), [{"name": "a"}], base=base)
    assert [method["datasets"] for method in first["methods"]] == [["a"]]
    second, _ = plan_for(item(SGM), [{"name": "b"}], base=first)
    assert [method["datasets"] for method in second["methods"]] == [["a", "b"]]
    again, _ = plan_for(item(SGM), [{"name": "a"}], base=second)
    assert again["methods"] == second["methods"]


def test_a_line_that_was_run_elsewhere_is_run_here(work, eyes):
    for name in ("small", "large"):
        dataset = {"name": name} if name == "small" else {"name": name, "epochs": 2}
        run_missing(item(CONSTANT), work, dataset, seeds=2, jobs=0, data=eyes)
    assert {(dataset, method) for dataset, method, _ in finished(work)} == {
        ("small", "constant"),
        ("large", "constant"),
    }


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"epochs": 99}, "--epochs: small is planned with epochs 6, got 99"),
        ({"folds": 5}, "--folds: small is planned with folds 3, got 5"),
        ({"overlays": ["data/grape"]}, "--overlay: small is planned with overlays none, got data/grape"),
        ({"phantom": {"n": 40}}, "--eyes: small is planned with phantom none, got n 40"),
    ],
)
def test_what_is_planned_otherwise_is_refused(work, eyes, asked, said):
    before = read_json(work / "plan.json")
    with pytest.raises(MedmdError, match=said):
        run_missing(item(CONSTANT), work, {"name": "small", **asked}, jobs=0, data=eyes)
    assert read_json(work / "plan.json") == before
    assert finished(work) == set()


def test_an_overlay_may_be_named_shortly(work, eyes):
    run_missing(item(CONSTANT), work, {"name": "mosi", "overlays": ["grape"]}, jobs=0, data=eyes)
    assert {(dataset, method) for dataset, method, _ in finished(work)} == {("mosi", "constant")}


def test_more_seeds_are_added_and_fewer_are_refused(work, eyes):
    run_missing(item(CONSTANT), work, {"name": "small"}, jobs=0, data=eyes)
    with pytest.raises(MedmdError, match=r"--seeds: the plan in .* has the seeds 0, 1; got 1"):
        run_missing(item(CONSTANT), work, {"name": "small"}, seeds=1, jobs=0, data=eyes)
    run_missing(item(CONSTANT), work, {"name": "small"}, seeds=3, jobs=0, data=eyes)
    assert read_json(work / "plan.json")["seeds"] == [0, 1, 2]
    assert {seed for *_, seed in finished(work)} == {0, 1, 2}


def test_a_new_data_set_has_what_was_asked_for_and_the_defaults(tmp_path, eyes):
    run_missing(item(CONSTANT), tmp_path / "a", {"name": "small", "folds": 3}, seeds=1, jobs=0, data=eyes)
    plan = read_json(tmp_path / "a/plan.json")
    planned = plan["datasets"][0]
    assert (planned["epochs"], planned["folds"], planned["phantom"], plan["seeds"]) == (30, 3, None, [0])
    run_missing(item(CONSTANT), tmp_path / "b", {"name": "phantom", "phantom": {"n": 40}}, seeds=1, jobs=0)
    assert read_json(tmp_path / "b/plan.json")["datasets"][0]["phantom"] == {"n": 40, "seed": 42}


def test_the_folder_of_another_benchmark_can_be_gone_on_with(tmp_path, eyes):
    content = {"name": "mine", "seeds": 1, "datasets": [{"name": "small", "epochs": 2}]}
    plan = make_plan({**content, "methods": [{"name": "mean", "peer": "constant"}]})
    run_plan(plan, tmp_path, jobs=0, data={"small": eyes}, tracking=False)
    run_missing(item(CONSTANT), tmp_path, {"name": "small"}, jobs=0, data=eyes)
    assert finished(tmp_path) == {("small", "mean", 0)}, "it is there already, under a name of its own"


def test_settings_say_which_data_sets_they_have(tmp_path, eyes):
    settings = Item(name="settings", title="", claim="", kind="settings")
    with pytest.raises(MedmdError, match=r"one of the paper's settings \(stage2, .*\), got mine"):
        run_missing(settings, tmp_path, {"name": "mine"}, jobs=0, data=eyes)
    content, _ = plan_for(settings, [{"name": "phantom_small"}])
    assert any(method["name"] == "sgm" for method in content["methods"])
