"""A plan is checked whole before anything runs."""

import pytest
import yaml
from benchmark_cohort import METHODS, plan_content, small_plan

from medmd.benchmark import make_plan, read_plan
from medmd.commands.bundle_path import bundle_folder
from medmd.utils import MedmdError

DATASET = {"name": "d", "overlays": ["data/grape"], "epochs": 6}
METHOD = {"name": "m", "overlays": ["sgm"]}
PEER = {"name": "p", "peer": "ridge"}
SPACE = {"batch_size": {"choices": [4, 8]}}
TUNING = {"trials": 2, "space": {}}


def content(**changes):
    return {"name": "p", "seeds": 2, "datasets": [DATASET], "methods": [METHOD], **changes}


def test_a_plan_is_read(tmp_path):
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan_content(tmp_path)))
    plan = read_plan(tmp_path / "plan.yaml")

    assert plan == small_plan(tmp_path)
    assert plan.seeds == (0, 1)
    assert plan.datasets[0].overlays == (str(tmp_path / "numbers.json"),)
    assert [method.overlays for method in plan.methods] == [
        ("methods/uniform_sum", "methods/no_pretraining"),
        ("methods/sgm",),
    ]


def test_files_are_meant_from_where_the_plan_lies(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "own.json").write_text("{}")
    dataset = {**DATASET, "overlays": ["here/own.json"], "dataset_dir": "cohort"}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(content(datasets=[dataset])))
    (found,) = read_plan(tmp_path / "plan.yaml").datasets

    assert found.overlays == (str(tmp_path / "here" / "own.json"),)
    assert found.dataset_dir == str(tmp_path / "cohort")


@pytest.mark.parametrize("path", sorted((bundle_folder() / "plans").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_plans_of_the_bundle_can_be_read(path):
    plan = read_plan(path)

    assert plan.name == path.stem
    assert list(plan.pairs())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seed": 1}, "unknown key 'seed'. Did you mean 'seeds'?"),
        ({"seeds": [0, 0]}, "seeds: expected a list of different whole numbers"),
        ({"seeds": True}, "seeds: expected"),
        ({"seeds": 0}, "seeds: expected"),
        ({"name": "../up"}, "name: expected a name"),
        ({"methods": []}, "methods: expected a list of at least one"),
        ({"methods": 5}, "methods: expected a list, got 5"),
        ({"methods": ["sgm"]}, "method 1: expected keys and values, got str"),
        ({"methods": [METHOD, METHOD]}, "method m: the name stands twice"),
        (
            {"methods": [{**METHOD, "overlays": ["sgn"]}]},
            "the bundle has no 'methods/sgn'. Did you mean 'methods/sgm'?",
        ),
        ({"methods": [{**METHOD, "overlays": ["own.json"]}]}, "no file own.json"),
        ({"methods": [{"name": "m"}]}, "expected overlays, peer or of"),
        ({"methods": [{"name": "m", "peer": "ridge", "overlays": ["sgm"]}]}, "expected overlays or peer, got both"),
        ({"methods": [{"name": "m", "peer": "ridje"}]}, "peer: expected one of constant, ridge"),
        ({"methods": [METHOD, {"name": "n", "of": "x"}]}, "no method 'x' is run"),
        ({"methods": [METHOD, {"name": "n", "of": "m", "overlays": ["sgm"]}]}, "is not run: no peer, overlays"),
        ({"methods": [METHOD, {"name": "n", "of": "m", "blend": "fusion", "column": "late_average"}]}, "is one row"),
        ({"methods": [METHOD, {"name": "n", "of": "m", "weights": "validation"}]}, "are those of a blend"),
        ({"methods": [METHOD, {"name": "n", "of": "m", "blend": "fusion", "weights": "best"}]}, "one of equal, valid"),
        ({"methods": [{**METHOD, "ensemble": True}]}, "blend and ensemble are for a row"),
        ({"methods": [METHOD, {"name": "n_*", "of": "m", "column": "fusion"}]}, "stands in both name and column"),
        ({"methods": [{**METHOD, "name": "m_*", "column": "pretrain_*"}]}, "is for a row `of` another"),
        ({"methods": [{**METHOD, "column": "fusoin"}]}, "column: expected a column such as fusion"),
        ({"methods": [{**METHOD, "label": "best"}]}, "label: expected one of core"),
        ({"methods": [{**METHOD, "datasets": ["e"]}]}, "there is no 'e' in the plan"),
        ({"methods": [{**METHOD, "stage_one": 2}]}, "stage_one: expected a number from 0.0 to 1.0"),
        ({"methods": [{**METHOD, "space": {"a": {"low": 1}}}]}, "space: a: expected {low"),
        ({"methods": [{**METHOD, "space": {"a": {"low": 0, "high": 1, "log": True}}}]}, "space: a: expected"),
        ({"methods": [{**METHOD, "overrides": [1]}]}, "overrides: expected settings by name"),
        ({"datasets": [{"name": "d"}]}, "dataset d: epochs is missing"),
        ({"datasets": [{**DATASET, "epochs": 1.5}]}, "epochs: expected a whole number from 1"),
        ({"datasets": [{**DATASET, "folds": 2}]}, "folds: expected a whole number from 3"),
        ({"datasets": [{**DATASET, "complete": 1}]}, "complete: expected true or false"),
        ({"datasets": [{**DATASET, "phantom": {"n": 9}, "dataset_dir": "x"}]}, "dataset_dir or phantom, got both"),
        ({"tuning": {"trials": 3}}, "tuning: space is missing"),
        ({"tuning": {}}, "tuning: trials is missing"),
        ({"methods": [{**METHOD, "space": SPACE}], "tuning": TUNING}, "space: only core methods are searched"),
        ({"methods": [{**METHOD, "space": SPACE, "label": "core"}]}, "space: the plan searches nothing"),
        ({"methods": [{**PEER, "space": SPACE, "label": "core"}], "tuning": TUNING}, "space: a peer is not searched"),
        ({"methods": [{**PEER, "stage_one": 0.5}]}, "stage_one: a peer is not trained in stages"),
        (
            {"methods": [METHOD, {"name": "n", "of": "m", "stage_one": 0.0}]},
            "no peer, overlays, overrides, space, stage",
        ),
        (
            {"methods": [METHOD, {"name": "n", "of": "m", "blend": "fusion", "shrinkage": 0.5}]},
            "shrinkage: equal weights are drawn to nothing",
        ),
        ({"tuning": {"trials": 3, "space": {}, "datasets": ["x"]}}, "tuning: datasets: there is no 'x'"),
        ({"limits": {"thread": 1}}, "limits: unknown key 'thread'. Did you mean 'threads'?"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, changes, told):
    with pytest.raises(MedmdError) as caught:
        make_plan(content(**changes), folder=tmp_path)

    assert told in str(caught.value)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(MedmdError) as caught:
        make_plan(content(sedes=1, methods=[{"nam": "m"}]))

    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [("a: [", "no YAML"), ("name: a\nname: b\n", "line 2: name stands twice"), ("- a", "expected keys and values")],
)
def test_what_is_no_plan_is_refused(tmp_path, text, told):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(MedmdError, match=told):
        read_plan(tmp_path / "p.yaml")


def test_an_absent_plan_is_told(tmp_path):
    with pytest.raises(MedmdError, match=r"no\.yaml: cannot be read"):
        read_plan(tmp_path / "no.yaml")


def test_only_core_methods_are_tuned(tmp_path):
    peers = [{"name": "constant", "peer": "constant", "label": "peer"}, {**METHOD, "label": "default"}]
    tuning = {"trials": 2, "space": {"learning_rate": {"low": 0.001, "high": 0.1, "log": True}}}
    plan = small_plan(tmp_path, methods=[*METHODS, *peers], tuning=tuning)

    assert [method.name for dataset, method in plan.pairs() if plan.is_tuned(dataset, method)] == [
        "uniform_sum",
        "remd",
    ]
