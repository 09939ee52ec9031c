import pytest

CONFIG = {
    "run": ["@trainer#fit"],
    "epochs": 3,
    "learning_rate": 0.1,
    "phantom": {"n": 1, "whatever": 2},
    "network_def": 1,
    "trainer": {"fit": ["@epochs", "@phantom", "$@learning_rate"], "_note_": 1},
}


def test_what_is_used_or_known_to_monai_is_no_finding(found):
    assert found(CONFIG) == []
    assert found(CONFIG, {"_remark": 1, "imports": ["$import os"], "train": {"handlers": [], "_x_": 1}}) == []


@pytest.mark.parametrize(
    ("overlay", "level", "path"),
    [
        ({"epoch": 4}, "error", "epoch"),
        ({"zebra": 4}, "warning", "zebra"),
        ({"trainer#fits": 4}, "error", "trainer#fits"),
        ({"trainer#zebra": 4}, "warning", "trainer#zebra"),
        ({"train": {"trainr": 4}}, "error", "train#trainr"),
        ({"initialise": []}, "error", "initialise"),
    ],
)
def test_what_nothing_uses_is_found(found, overlay, level, path):
    assert found(CONFIG, overlay) == [(level, "unused-setting", path, 2 if "train" not in overlay else 3)]


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("stag2_epochs", "epochs"),
        ("epoch", "did you mean epochs?"),
        ("qqq", "leave it out"),
        ("trainer#ft", "trainer#fit"),
    ],
)
def test_an_unknown_override_is_always_refused(check, name, fix):
    (finding,) = check(CONFIG, **{name: 9}).errors
    assert finding.kind == "unused-setting"
    assert str(finding.place) == "command line"
    assert fix in finding.fix or name == "stag2_epochs"


def test_what_another_file_no_longer_uses_is_no_finding(found):
    assert found(CONFIG, {"trainer#fit": ["@epochs"]}) == []
    assert found(CONFIG, {"trainer#fit": ["@epochs"]}, learning_rate=0.2) == []


def test_monais_options_and_tracking_are_no_settings(found):
    assert found(CONFIG, {"go": ["@epochs"]}, run_id="go", logging_file="x.conf", tracking="mlflow") == []
    assert found(CONFIG, {"experiment_name": "x"}, tracking="mlflow") == []


def test_without_anything_to_run_only_that_is_told(check):
    report = check({"epochs": "@nowhere"})
    assert [finding.kind for finding in report.errors] == ["nothing-to-run"]
    assert "laid over first" in report.errors[0].fix
    (finding,) = check({"runn": ["@a"], "a": 1}).errors
    assert (finding.kind, finding.path, finding.fix) == ("nothing-to-run", ("runn",), "did you mean runn?")
