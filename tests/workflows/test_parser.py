import pytest
from monai.bundle import ConfigParser

from medmd.utils import MedmdError
from medmd.workflows import active_parser, resolve_literals

CONFIG = {
    "size": [4, 8],
    "width": 3,
    "keys": "@names",
    "names": ["a", "b"],
    "part": {
        "_desc_": "remark",
        "steps": [
            {"_target_": "x.A", "size": "@size"},
            {"_target_": "x.B", "_disabled_": True},
            {"_target_": "x.C", "keys": "@keys", "shape": ["@size#1", "@size::0", "@width"], "_disabled_": False},
        ],
        "encoders": {"oct": {"depth": 18}, "fundus": {"_disabled_": " TRUE"}},
    },
}


def test_references_become_literals_and_disabled_components_go():
    assert resolve_literals(CONFIG, "part") == {
        "steps": [
            {"_target_": "x.A", "size": [4, 8]},
            {"_target_": "x.C", "keys": ["a", "b"], "shape": [8, 4, 3]},
        ],
        "encoders": {"oct": {"depth": 18}},
    }
    assert resolve_literals(CONFIG, "part#steps#0#size") == [4, 8]


def test_what_is_disabled_is_what_monai_leaves_out():
    transforms = {"_target_": "monai.transforms.Identity"}
    flags = [True, "true", " True ", False, "false", 1, 0]
    config = {"steps": [transforms | {"_disabled_": flag} for flag in flags]}
    assert len(resolve_literals(config, "steps")) == len(ConfigParser(config).get_parsed_content("steps")) == 3


def test_an_expression_is_refused_with_its_place():
    config = {"part": {"steps": [{"size": "@size"}]}, "size": "$1 + 1"}
    with pytest.raises(MedmdError, match=r"part#steps#0#size is the expression '\$1 \+ 1'"):
        resolve_literals(config, "part")


def test_the_result_shares_nothing_with_the_configuration():
    found = resolve_literals(CONFIG, "names")
    found.append("c")
    assert CONFIG["names"] == ["a", "b"]


class Recorder:
    def __init__(self, value):
        self.value = value
        self.parser = active_parser()


def test_a_component_finds_the_parser_that_makes_it():
    parser = ConfigParser(
        {"x": {"_target_": f"{Recorder.__module__}.Recorder", "value": 1}, "y": "$make(2)"}, globals={"make": Recorder}
    )
    assert parser.get_parsed_content("y").parser is parser
    assert active_parser() is None
