import pytest
import torch

from medmd.engines import autocast
from medmd.engines._precision import upcast
from medmd.utils import MedmdError


def test_bfloat16_works_on_the_cpu_and_none_changes_nothing():
    layer, x = torch.nn.Linear(3, 2), torch.randn(4, 3)

    with autocast(torch.device("cpu"), "bfloat16"):
        narrow = layer(x)
    with autocast(torch.device("cpu"), None):
        wide = layer(x)

    assert narrow.dtype == torch.bfloat16
    assert torch.equal(wide, layer(x))


def test_moved_weights_are_seen_within_one_context():
    layer, x = torch.nn.Linear(3, 1, bias=False), torch.ones(1, 3)

    with autocast(torch.device("cpu"), "bfloat16"):
        layer(x)
        with torch.no_grad():
            layer.weight.fill_(2.0)
        again = layer(x)

    assert again.item() == 6.0


def test_only_half_precision_is_widened():
    assert upcast(torch.zeros(1, dtype=torch.bfloat16)).dtype == torch.float32
    assert upcast(torch.zeros(1, dtype=torch.float16)).dtype == torch.float32
    assert upcast(torch.zeros(1, dtype=torch.float64)).dtype == torch.float64


def test_another_name_is_refused_before_anything_is_computed(tiny):
    with pytest.raises(MedmdError, match=r"autocast_dtype must be null or one of \['bfloat16'\], got 'float16'"):
        tiny.fusion(tiny.network(), tiny.cases(), autocast_dtype="float16")
    with pytest.raises(MedmdError, match="got 'half'"):
        tiny.contrastive(tiny.network(), tiny.cases(), autocast_dtype="half")


def test_the_amp_of_monai_is_refused(tiny):
    with pytest.raises(MedmdError, match="Set autocast_dtype"):
        tiny.fusion(tiny.network(), tiny.cases(), amp=True)
