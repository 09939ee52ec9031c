import pytest

SGM = {"_target_": "medmd.balancing.SGM"}
RUN = {"run": ["@x"]}


@pytest.mark.parametrize(
    ("component", "kind", "path", "text"),
    [
        ({**SGM, "rhoo": 1.0}, "unknown-argument", "x#rhoo", "did you mean rho?"),
        ({**SGM, "_disable_": True}, "unknown-argument", "x#_disable_", "did you mean _disabled_?"),
        ({**SGM, "zzz": 1}, "unknown-argument", "x#zzz", "leave it out"),
        ({"_target_": "medmd.balancing.JointLoss", "a": 1}, "unknown-argument", "x#a", "it takes no arguments"),
        ({"_target_": "medmd.balancing.MMPareto", "zzz": 1}, "unknown-argument", "x#zzz", "it takes eps, gamma"),
        ({**SGM, "steps": "two"}, "wrong-type", "x#steps", "expected int; got 'two'"),
        ({**SGM, "ratio_clip": [1, "x"]}, "wrong-type", "x#ratio_clip", "expected Sequence of float"),
        ({"_target_": "medmd.balancing.SGN"}, "unknown-target", "x#_target_", "did you mean medmd.balancing.SGM?"),
        ({**SGM, "_mode_": "calable"}, "wrong-value", "x#_mode_", "did you mean callable?"),
        ({**SGM, "_disabled_": "yes"}, "wrong-type", "x#_disabled_", "true or false"),
        ({"_target_": "medmd.losses.SmapeR2Loss"}, "missing-argument", "x", "'train_variance'"),
        ({"_taget_": "medmd.balancing.SGM"}, "unknown-key", "x#_taget_", "did you mean _target_?"),
        ({"target": "medmd.balancing.SGM"}, "unknown-key", "x#target", "did you mean _target_?"),
        (
            {"_target_": "medmd.transforms.RandIntensityd", "keys": "oct", "per": "slices"},
            "wrong-type", "x#per", "'image' or 'channel' or 'slice'",
        ),
        ({"_target_": "monai.data.DataLoader", "dataset": [1], "drop_lst": True}, "unknown-argument", "x#drop_lst",
         "drop_last"),
    ],
)  # fmt: skip
def test_one_fault_is_one_finding(check, component, kind, path, text):
    (finding,) = check({**RUN, "x": component}).errors
    assert (finding.kind, "#".join(finding.path)) == (kind, path)
    assert text in str(finding)


@pytest.mark.parametrize(
    "component",
    [
        {**SGM, "_disabled_": True, "rhoo": 1},
        {**SGM, "_disabled_": "@flag"},
        {**SGM, "_desc_": "text", "_requires_": ["@flag"], "_mode_": "@mode", "_debug_": False},
        {**SGM, "rho": "$1 / 3", "steps": "@flag2"},
        {"_target_": "medmd.losses.SmapeR2Loss", "_mode_": "callable"},
        {"_target_": "torch.optim.AdamW", "_mode_": "callable", "lr": 1},
        {"_target_": "$@flag", "anything": 1},
        {"_target_": "os.system", "anything": 1},
        {"_target_": "torch.device", "type": "cpu"},
        {"_target_": "torch.float32"},
        {"_target_": "LoadImaged", "keys": ["a", "b"], "some_option_of_a_reader": 1},
        {"_note_": "MONAI takes such keys as remarks", "_x": 1},
    ],
)
def test_what_may_be_right_is_no_finding(found, component):
    more = {"flag": False, "flag2": "$2", "mode": "default", "_remark_": "@nowhere but in words"}
    assert found({"run": ["@x", "@flag", "@flag2", "@mode"], "x": component, **more}) == []


def test_what_is_not_imported_is_noted(check):
    report = check({**RUN, "x": {"_target_": "scripts.net.Net"}})
    assert [(finding.level, finding.kind) for finding in report.findings] == [("note", "not-checked")]
    assert report.exit_code == 0


def test_the_place_of_a_wrong_type_is_where_the_value_is_written(check):
    report = check({**RUN, "x": {**SGM, "steps": "@a", "ratio_clip": ["@b", 3]}, "a": "@b", "b": "many"})
    named, listed = report.errors
    assert listed.path == ("b",)
    assert "'steps' in x#steps" in listed.what
    assert named.path == ("x", "ratio_clip")
    assert "['many', 3]" in named.got


def test_a_number_on_the_command_line_may_be_a_name(found):
    config = {**RUN, "x": {"_target_": "medmd.handlers.ShowProgress", "stage": "@name"}, "name": "first"}
    assert found(config, name=2024) == []
    assert found({**config, "name": 2024}) == [("error", "wrong-type", "name", 9)]
    assert [entry[1] for entry in found(config, name=True)] == ["wrong-type"]
