import pytest

from medmd.benchmark import make_plan
from medmd.commands.bundle_path import bundle_folder
from medmd.reproduce import ITEMS, plan_for, select

KNOWN = [f"{path.parent.name}/{path.stem}" for path in bundle_folder().glob("*/*.json")]
DATASET = {"name": "grape", "epochs": 6, "overlays": ["data/grape"]}
FROM_RUNS = [name for name, item in ITEMS.items() if item.needed]


@pytest.mark.parametrize("name", FROM_RUNS)
def test_the_plan_of_every_item_is_one(name, tmp_path):
    content, left_out = plan_for(ITEMS[name], [DATASET], seeds=2, known=KNOWN)
    plan = make_plan(content, folder=tmp_path, where="plan")
    names = [method.name for method in plan.methods]
    assert len(set(names)) == len(names)
    assert plan.seeds == (0, 1)
    assert left_out == [], "an overlay of the paper's rows is missing"


def test_lines_of_one_training_are_run_once():
    content, _ = plan_for(ITEMS["table1"], [DATASET], known=KNOWN)
    said = [(tuple(m.get("overlays", ())), m.get("peer"), m.get("stage_one")) for m in content["methods"]]
    assert len(set(said)) == len(said)
    assert said.count((("methods/sgm",), None, None)) == 1


def test_a_folder_keeps_its_plan_and_gets_what_it_lacks(runs):
    base = runs.plan
    content, _ = plan_for(ITEMS["fig1"], [DATASET], base=base, known=KNOWN)
    assert [method["name"] for method in content["methods"]][: len(base["methods"])] == [
        method["name"] for method in base["methods"]
    ]
    # Everything that Figure 1 needs is there already, under names of the folder's own.
    assert len(content["methods"]) == len(base["methods"])
    assert [dataset["name"] for dataset in content["datasets"]] == ["grape"]
    more, _ = plan_for(ITEMS["table2"], [DATASET], base=base, known=KNOWN)
    added = [method["overlays"] for method in more["methods"][len(base["methods"]) :]]
    assert ["methods/sgm", "methods/fixed_margin"] in added


def test_what_was_planned_is_found_again(runs):
    content, _ = plan_for(ITEMS["fig6"], [{"name": "grape", "epochs": 2}], known=KNOWN)
    plan = {"methods": content["methods"], "datasets": content["datasets"]}
    table = runs.results.iloc[:0].copy()
    folder = runs.results["folder"].iloc[0]
    for method in content["methods"]:
        table.loc[len(table)] = {**runs.results.iloc[0].to_dict(), "method": method["name"], "folder": folder}
    fusion = next(run for run in runs.results["folder"] if "/full/" in run)
    runs.results, runs.plan = table.assign(folder=fusion), plan
    for line in ITEMS["fig6"].needed:
        assert select(runs, [line], "grape").found, line.name


def test_overlays_that_the_bundle_lacks_are_told():
    content, left_out = plan_for(ITEMS["table1"], [DATASET], known=[name for name in KNOWN if "eyemost" not in name])
    assert left_out == ["eyemost", "eyemost_plus"]
    assert not any("eyemost" in method["name"] for method in content["methods"])


def test_settings_run_the_lines_of_their_data_set():
    content, _ = plan_for(ITEMS["settings"], [{"name": "multi_mnist", "epochs": 2}], known=KNOWN)
    assert any("pcgrad" in method["name"] for method in content["methods"])
    assert not any("conr" in method["name"] for method in content["methods"])
