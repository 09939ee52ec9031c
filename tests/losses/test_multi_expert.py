"""What experts and aggregator minimise, against loops over cases and experts."""

import math
from collections import namedtuple

import numpy as np
import pytest
import torch

from medmd.losses import MultiExpertLoss
from medmd.utils import MedmdError

Output = namedtuple("Output", "extras")
CENTRES, COUNTS = [-9.5, -8.5, -7.5, -6.5], [1.0, 0.0, 4.0, 16.0]


def output(rows=5, experts=3, seed=0, names=("fusion", "oct")):
    random = torch.Generator().manual_seed(seed)
    extras = {}
    for name in names:
        extras[f"experts_{name}"] = torch.randn(rows, experts, generator=random) - 8
        extras[f"shares_{name}"] = torch.randn(rows, experts, generator=random).softmax(1)
    return Output({name: value.requires_grad_() for name, value in extras.items()})


def rarity(label):
    """Number of cases in the label's bin; an empty one is as rare as the rarest."""
    count = COUNTS[int(np.clip(math.floor(label), -10, -7)) + 10]
    return count or 1.0


def written_out(experts, shares, labels):
    number = experts.shape[1]
    total = 0.0
    for m in range(number):
        power = m / max(1, number - 1)
        scale = sum(n * n**-power for n in COUNTS if n) / sum(COUNTS)
        for row, label in enumerate(labels):
            total += rarity(label) ** -power / scale * (experts[row, m] - label) ** 2 / len(labels)
    for row, label in enumerate(labels):
        mixture = sum(shares[row, m] * experts[row, m] for m in range(number))
        total += (mixture - label) ** 2 / len(labels)
    return total


@pytest.mark.parametrize("experts", [1, 2, 3, 5])
def test_losses_written_out(experts):
    found = output(experts=experts)
    labels = [-9.7, -8.0, -7.0, -6.5, 2.0]
    rows = torch.tensor([0, 2, 3])
    loss = MultiExpertLoss(centres=CENTRES, density=COUNTS, experts=experts)
    fusion, unimodal = loss.losses(found, torch.tensor(labels), {"oct": rows})
    for name, value, chosen in (("fusion", fusion, range(5)), ("oct", unimodal["oct"], rows.tolist())):
        parts = [found.extras[f"{kind}_{name}"].detach().numpy()[list(chosen)] for kind in ("experts", "shares")]
        assert value.item() == pytest.approx(written_out(*parts, [labels[i] for i in chosen]), rel=1e-4)


def test_the_first_expert_is_plain_and_the_last_weighs_by_the_inverse():
    weights = MultiExpertLoss(centres=CENTRES, density=COUNTS).weights(torch.tensor([-9.5, -7.5, -6.5]))
    assert torch.equal(weights[:, 0], torch.ones(3))
    torch.testing.assert_close(weights[:, 2] / weights[2, 2], torch.tensor([16.0, 4.0, 1.0]))
    torch.testing.assert_close(weights[:, 1] / weights[2, 1], torch.tensor([4.0, 2.0, 1.0]))


def test_whole_numbers_take_the_weight_of_the_bin_that_counted_them():
    labels = torch.tensor([-10.0, -8.0, -8.0, -8.0, -8.0, *[-7.0] * 16])
    weights = MultiExpertLoss(centres=CENTRES, density=COUNTS).weights(labels)
    torch.testing.assert_close(weights[:, 2], 21 / 3 / torch.tensor([1.0, *[4.0] * 4, *[16.0] * 16]))
    torch.testing.assert_close(weights.mean(dim=0), torch.ones(3))


def test_the_aggregator_writes_no_gradient_of_an_expert():
    """The experts' gradient is that of their own errors, whatever the shares are."""
    labels = torch.tensor([-9.7, -8.4, -7.1, -6.5, 2.0])
    loss = MultiExpertLoss(centres=CENTRES, density=COUNTS)
    gradients = []
    for seed in (0, 1):
        found = output()
        shares = output(seed=seed).extras["shares_fusion"].detach().requires_grad_()
        loss.losses(Output({**found.extras, "shares_fusion": shares}), labels, {})[0].backward()
        gradients.append(found.extras["experts_fusion"].grad)
        assert shares.grad.abs().sum() > 0
    assert torch.equal(*gradients)
    experts = found.extras["experts_fusion"].detach()
    torch.testing.assert_close(gradients[0], 2 * loss.weights(labels) * (experts - labels[:, None]) / 5)


def test_no_rows_and_nan_elsewhere():
    found = output()
    with torch.no_grad():
        found.extras["experts_oct"][[1, 4]] = torch.nan
    loss = MultiExpertLoss(centres=CENTRES, density=COUNTS)
    labels = torch.linspace(-9, -6, 5)
    value = loss.losses(found, labels, {"oct": torch.tensor([0, 2, 3])})[1]["oct"]
    value.backward()
    assert found.extras["experts_oct"].grad.isfinite().all()
    assert found.extras["shares_oct"].grad.isfinite().all()
    assert loss.losses(found, labels, {"oct": torch.tensor([], dtype=torch.long)})[1]["oct"] == 0


def test_another_network_is_named():
    loss = MultiExpertLoss(centres=CENTRES, density=COUNTS, experts=4)
    with pytest.raises(MedmdError, match="expected 4 experts_fusion, got 3"):
        loss.losses(output(), torch.zeros(5), {})
    with pytest.raises(MedmdError, match="got none"):
        loss.losses(Output({}), torch.zeros(5), {})


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="experts"):
        MultiExpertLoss(centres=CENTRES, density=COUNTS, experts=0)
    with pytest.raises(ValueError, match="density"):
        MultiExpertLoss(centres=CENTRES, density=[1.0])
