import json

import pytest
from monai.bundle import ConfigParser

from medmd.utils import MedmdError
from medmd.workflows.check_config import explain

GOOD = {"_target_": "medmd.balancing.SGM"}


def told(config, key="x"):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of whatever kind MONAI raises
        ConfigParser(config).get_parsed_content(key)
    return explain(caught.value)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"x": {**GOOD, "rhoo": 1}}, "x: medmd.balancing.SGM takes no argument 'rhoo'; did you mean rho."),
        ({"x": {**GOOD, "rho": -1}}, "x: medmd.balancing.SGM: rho: expected a finite number above 0; got -1."),
        ({"x": ["@y#0"], "y": [{**GOOD, "steps": "@z"}], "z": "two"}, "y#0: medmd.balancing.SGM: "),
        ({"x": {"_target_": "medmd.losses.SmapeR2Loss"}}, "x: medmd.losses.SmapeR2Loss needs 'train_variance', which"),
        ({"x": {"_target_": "medmd.balancing.SGN"}}, "has no 'SGN'; did you mean medmd.balancing.SGM."),
        ({"x": {"_target_": "scripts.Net"}}, "x: 'scripts.Net' cannot be located. Is its package installed?"),
        ({"x": "@yy", "y": 1}, "@yy leads nowhere."),
        ({"x": "@learning_rat", "learning_rate": 1}, "@learning_rat leads nowhere; did you mean learning_rate."),
        ({"x": "@y", "y": "@x"}, "the references of y and x go round in a circle."),
        ({"x": "$1 / 0"}, "x: the expression '$1 / 0' fails: ZeroDivisionError: division by zero."),
        ({"x": "$y"}, "x: the expression '$y' fails: NameError"),
        ({"x": "$1 +"}, "is not Python: invalid syntax"),
        ({"y": 1}, "@x leads nowhere"),
        ({"x": {"_target_": "torch.optim.Adam", "params": "$[torch.zeros(1)]", "lr": -1}}, "torch.optim.Adam: Invalid"),
        ({"x": {"_target_": "torch.optim.Adam", "params": "$[torch.zeros(1)]", "lr": "a"}}, "x: torch.optim.Adam: "),
        (
            {"x": {"_target_": "monai.data.DataLoader", "dataset": [1, 2], "drop_lst": True}},
            "x: monai.data.DataLoader takes no argument 'drop_lst'; did you mean drop_last.",
        ),
    ],
)
def test_what_a_configuration_does_wrong_is_one_line(config, text):
    sentence = told(config)
    assert text in sentence
    assert "\n" not in sentence
    assert sentence.endswith("--debug True shows the traceback.")


def refuse(text):
    raise MedmdError(text)


def stumble(value):
    return helper(value)


def helper(value):
    return value + 1


def test_an_error_of_ours_keeps_its_words_and_tells_where():
    parser = ConfigParser({}, globals={"refuse": refuse})
    for key, content, expected in [
        ("x", "$refuse('eyes: none.')", "eyes: none. (at x)"),
        ("run", ["$refuse('eyes: none.')"], "eyes: none."),
        ("eyes", "$refuse('eyes: none.')", "eyes: none."),
    ]:
        parser[key] = content
        with pytest.raises(RuntimeError) as caught:
            parser.get_parsed_content(key if key != "run" else "run#0")
        assert explain(caught.value) == expected


def test_a_fault_of_the_program_is_not_explained():
    parser = ConfigParser({"x": "$stumble('a')"}, globals={"stumble": stumble})
    with pytest.raises(RuntimeError) as caught:
        parser.get_parsed_content("x")
    assert explain(caught.value) is None
    assert explain(ValueError("x")) is None
    assert explain(KeyError("query key: x")) is None
    assert explain(ModuleNotFoundError("No module named 'x'")) is None
    with pytest.raises(SyntaxError) as wrong:
        compile("1 +", "x", "eval")
    assert explain(wrong.value) is None


def fail_deep(text):
    return json.loads(text)


def test_an_error_from_far_below_a_component_is_left_to_its_traceback():
    parser = ConfigParser({"x": {"_target_": "$@f", "text": "{"}, "f": "$given"}, globals={"given": fail_deep})
    with pytest.raises(RuntimeError) as caught:
        parser.get_parsed_content("x")
    assert explain(caught.value) is None
    parser = ConfigParser({"x": {"_target_": "$@f"}, "f": "$given"}, globals={"given": lambda: {}["k"]})
    with pytest.raises(RuntimeError) as caught:
        parser.get_parsed_content("x")
    assert explain(caught.value) is None
    assert "takes no argument 'q'" in told({"x": {"_target_": "monai.transforms.Identity", "q": 1}})
