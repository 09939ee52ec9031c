import json

import pytest

RUN = {"run": ["$@x"]}


def test_references_that_lead_somewhere_are_no_finding(found):
    assert (
        found({"run": ["$@x + @y#z#1 + @y::w", "@l#0"], "x": 1, "y": {"z": [1, 2], "w": "@x"}, "l": ["@#1", 2]}) == []
    )


@pytest.mark.parametrize(
    ("config", "path", "what", "fix"),
    [
        ({"run": ["$@learning_rat"], "learning_rate": 1}, "run#0", "@learning_rat leads nowhere", "learning_rate"),
        ({"run": ["@a#b#ccc"], "a": {"b": {"cccd": 1}}}, "run#0", "a#b has no key 'ccc'", "a#b#cccd"),
        ({"run": ["@a#3"], "a": [1, 2]}, "run#0", "a is a list of 2, without an entry '3'", ""),
        ({"run": ["@a#b"], "a": 5}, "run#0", "a is 5, which has no entries for MONAI", ""),
        ({"run": [{"x": "@#######up"}]}, "run#0#x", "goes up further", ""),
        ({"run": ["%nowhere"]}, "run#0", "macro: the configuration has no key 'nowhere'", ""),
        ({"run": ["%none.json::a"]}, "run#0", "the macro's file none.json cannot be read", "working directory"),
    ],
)
def test_a_reference_that_leads_nowhere_is_found_with_the_nearest(check, config, path, what, fix):
    errors = [finding for finding in check(config).errors if finding.kind in ("unresolved-reference", "absent-file")]
    (finding,) = errors
    assert "#".join(finding.path) == path
    assert what in finding.what
    assert fix in finding.fix
    assert finding.place.line > 1


@pytest.mark.parametrize(
    ("config", "circle"),
    [
        ({"run": ["@a"], "a": "@a"}, "a -> a"),
        ({"run": ["@a"], "a": "@b", "b": ["$@c + 1"], "c": {"d": "@a"}}, "a -> b -> b#0 -> c -> a"),
        ({"run": ["@t#h"], "t": {"h": {"_target_": "list", "x": "@t"}}}, "t -> t#h -> t"),
        ({"run": ["@t"], "t": {"_target_": "dict", "h": {"x": "$@t"}}}, "t -> t"),
    ],
)
def test_circles_are_found_as_monai_finds_them(check, config, circle):
    from monai.bundle import ConfigParser

    found = [finding.what for finding in check(config).errors if finding.kind == "circular-reference"]
    assert any(circle in what for what in found)
    with pytest.raises((ValueError, RecursionError)):
        ConfigParser(json.loads(json.dumps(config))).get_parsed_content("run")


def test_a_reference_beside_itself_is_no_circle(found):
    config = {"run": ["@t#best"], "t": {"best": "@t#h#0", "h": [{"_target_": "builtins.dict", "x": "@t#n"}], "n": 1}}
    assert found(config) == []


def test_a_matrix_product_is_no_expression_for_monai(check):
    (finding,) = check({"run": ["$torch.eye(2) @ torch.eye(2)"]}).errors
    assert "torch.matmul" in finding.fix


def test_a_macro_brings_its_content_and_its_own_references(check, tmp_path):
    (tmp_path / "m.json").write_text(json.dumps({"net": {"lr": "@rate", "n": [1]}}))
    file = tmp_path / "m.json"
    config = {"run": ["@net", "@copy"], "net": f"%{file}::net", "copy": "%net", "rate": 1}
    assert check(config).findings == []
    report = check({**config, "rat": 1, "run": ["@net", "@copy", "@net#m"]})
    assert ["#".join(finding.path) for finding in report.errors if finding.kind != "unused-setting"] == ["run#2"]
    (finding,) = check({**config, "copy": f"%{file}::nett"}).errors
    assert "no key 'nett'" in finding.what
    assert "did you mean net?" in finding.fix
    assert check({"run": ["@a"], "a": f"%{file}"}).errors[0].kind == "unresolved-reference"
