import pytest

NETWORK = {
    "_target_": "medmd.networks.MultimodalRegressor",
    "encoders": {
        "oct": {"_target_": "medmd.networks.VectorEncoder", "in_features": 3},
        "fundus": {"_target_": "medmd.networks.VectorEncoder", "in_features": 3, "_disabled_": False},
    },
}
PACK = {"_target_": "medmd.transforms.PackInputsd", "keys": "@modalities", "shapes": {"oct": [3], "fundus": [3]}}
CONFIG = {
    "run": ["@network", "@preprocessing"],
    "modalities": ["oct", "fundus"],
    "network": NETWORK,
    "preprocessing": [PACK],
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"modalities": "$list('ab')"},
        {"modalities": ["oct"], "network#encoders#fundus#_disabled_": True, "preprocessing#0#shapes": {"oct": [3]}},
        {"modalities": ["oct"], "network": "$1", "preprocessing": []},
        {"modalities": ["oct"], "network#encoders": "$1", "preprocessing#0#shapes": "$1"},
        {"modalities": ["oct"], "network": {"_target_": "medmd.balancing.SGM"}, "preprocessing": "$1"},
    ],
)
def test_modalities_that_agree_or_cannot_be_compared_are_no_finding(found, changes):
    assert [entry for entry in found(CONFIG, {**changes, "+run": ["@modalities"]}) if entry[0] == "error"] == []


def test_modalities_that_disagree_are_found_on_both_sides(check):
    errors = check(CONFIG, modalities=["oct", "fundos"]).errors
    assert {("#".join(finding.path), finding.kind) for finding in errors} == {
        ("network#encoders#fundus", "wrong-value"),
        ("network#encoders", "missing-argument"),
        ("preprocessing#0#shapes#fundus", "wrong-value"),
        ("preprocessing#0#shapes", "missing-argument"),
    }
    assert errors[0].fix or errors[1].fix


def test_arguments_that_are_handed_on_are_those_of_the_cohort(check):
    data = {
        "_target_": "medmd.workflows.ensure_datalist",
        "dataset_dir": None,
        "phantom_dir": "p",
        "phantom": "@phantom",
    }
    (finding,) = check({"run": ["@data"], "data": data, "phantom": {"n": 3, "seeds": 1}}).errors
    assert (finding.path, finding.fix) == (("phantom", "seeds"), "did you mean seed?")


def test_an_empty_name_is_not_laid_over_everything(check):
    report = check(CONFIG, {"": {"run": []}})
    assert [finding.kind for finding in report.errors] == ["unknown-key"]
