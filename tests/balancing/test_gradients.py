import pytest
import torch
from torch import nn

from medmd.balancing import SGM, JointLoss, Losses, MMPareto, UniformSum


class _Narrow(nn.Module):
    """An encoder that follows autocast and a head that does not, as in the multimodal regressor."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(8, 8)
        self.head = nn.Linear(8, 1)

    def encoder_parameters(self):
        return {"oct": list(self.encoder.parameters())}

    def shared_parameters(self):
        return list(self.encoder.parameters())

    def loss(self, x):
        features = self.encoder(x)
        with torch.autocast("cpu", enabled=False):
            return self.head(features.float()).square().mean()


@pytest.mark.parametrize("balancer", [UniformSum(), JointLoss(), MMPareto(gamma=1.0), SGM(gamma_base=1.0)])
def test_the_backward_pass_of_the_head_is_not_narrowed_by_the_callers_autocast(balancer):
    torch.manual_seed(0)
    model, x = _Narrow(), torch.randn(16, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
        expected = model.loss(x)
    expected.backward()
    gradients = [parameter.grad.clone() for parameter in model.head.parameters()]
    with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
        balancer.backward(model, lambda: Losses(fusion=model.loss(x), unimodal={}))
    for parameter, gradient in zip(model.head.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, gradient)
