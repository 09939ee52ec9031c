import contextlib
import sys

import monai
import pytest
import torch

from medmd.balancing import SGM
from medmd.workflows.check_config._targets import NotLocatedError, locate


def test_targets_are_found_as_monai_finds_them():
    assert locate("medmd.balancing.SGM") is SGM
    assert locate("torch.optim.AdamW") is torch.optim.AdamW
    assert locate("SimpleInferer") is monai.inferers.SimpleInferer
    assert locate("monai.utils.set_determinism") is monai.utils.set_determinism


@pytest.mark.parametrize(
    ("target", "what", "near"),
    [
        ("medmd.balancing.SGN", "medmd.balancing has no 'SGN'", "did you mean medmd.balancing.SGM?"),
        ("medmd.balansing.SGM", "medmd has no 'balansing'", "did you mean medmd.balancing.SGM?"),
        ("SimpleInfererr", "MONAI has no component", "did you mean SimpleInferer?"),
        ("tourch.optim.Adam", "no package 'tourch'", "did you mean torch.optim.Adam?"),
        ("torch.nn.modules.linear.Linearr", "has no 'Linearr'", "did you mean torch.nn.modules.linear.Linear?"),
    ],
)
def test_a_target_that_is_not_there_comes_with_the_nearest(target, what, near):
    with pytest.raises(NotLocatedError) as caught:
        locate(target)
    assert what in caught.value.args[0]
    assert caught.value.args[1] == near


@pytest.mark.parametrize(
    "target", ["os.system", "this", "antigravity.fly", "dict", "builtins.dict", "scripts.net.Net", ""]
)
def test_nothing_else_is_imported(target):
    before = set(sys.modules)
    try:
        assert locate(target) is None
    except NotLocatedError:
        assert target == ""
    assert not {"this", "antigravity", "scripts"} & (set(sys.modules) - before)


@pytest.mark.parametrize("target", ["monai.bundle.__main__", "torch.__init__", "torch.utils.bottleneck.__main__.main"])
def test_no_program_is_started(target):
    assert locate(target) is None
    assert "torch.utils.bottleneck.__main__" not in sys.modules


@pytest.mark.parametrize("name", ["__main__", "1x", "a b", "", "."])
def test_strange_names_are_not_there(name):
    with contextlib.suppress(NotLocatedError):
        assert locate(name) is None


def test_a_library_that_cannot_be_imported_is_not_there(monkeypatch):
    monkeypatch.setattr("pydoc.locate", lambda path: 1 / 0)
    with pytest.raises(NotLocatedError, match="no package 'torch'"):
        locate("torch.optim.OnlyHere")
