"""Every balancer on networks in which a loss reaches more, or other, parameters than in the plain one."""

import math

import pytest
import torch
from ignite.engine import Events
from monai.data import DataLoader

from medmd.balancing import MGDA, OGMGE, SAM, SGM, CAGrad, JointLoss, MMPareto, NashMTL, PCGrad, UniformSum
from medmd.losses import EvidentialLoss, MeanSquaredErrorLoss
from medmd.networks import CrossConvRegressor, EvidentialRegressor, ResNetEncoder, SliceChannelEncoder, VectorEncoder

BALANCERS = [JointLoss, UniformSum, OGMGE, MMPareto, SGM, SAM, PCGrad, MGDA, CAGrad, NashMTL]
SMALL = {"depth": 10, "planes": [16, 16, 32, 64], "stem_size": 3, "stem_stride": 1}


def mid_fusion(norm="batch"):
    torch.manual_seed(0)
    return CrossConvRegressor(
        {
            "oct": SliceChannelEncoder(slices=2, norm=norm, **SMALL),
            "fundus": ResNetEncoder(spatial_dims=2, in_channels=3, norm=norm, **SMALL),
        }
    )


def with_volumes(cases):
    for index, case in enumerate(cases):
        generator = torch.Generator().manual_seed(index)
        case["oct"] = torch.randn(1, 2, 16, 16, generator=generator) * float(case["present"][0])
    return cases


def logs_of(trainer):
    found = []
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda engine: found.append(dict(engine.state.output["logs"]))
    )
    trainer.run()
    return found


@pytest.mark.parametrize("balancer", BALANCERS)
def test_mid_fusion_under_every_balancer(tiny, balancer):
    network = mid_fusion()
    cases = with_volumes(tiny.cases(8, missing={0: "oct", 5: "fundus"}))
    before = tiny.weights(network)
    logs = logs_of(tiny.fusion(network, cases, balancer=balancer(), max_epochs=2))
    assert all(math.isfinite(value) for each in logs for value in map(float, each.values()))
    after = tiny.weights(network)
    assert all(torch.isfinite(value).all() for value in after.values())
    for name in ("encoders.oct.resnet.stem.0.weight", "encoders.fundus.stem.0.weight", "crosses.oct.2.0.weight"):
        assert not torch.equal(before[name], after[name])
    # One main forward an iteration: probes leave no trace in the statistics, those of the exchange included.
    counters = {int(value) for name, value in after.items() if name.endswith("num_batches_tracked")}
    assert counters == {4}


def test_the_unimodal_sum_of_mid_fusion_reaches_both_encoders(tiny):
    """What makes it mid-fusion: the photograph's loss alone moves the volume's encoder."""
    network = mid_fusion()
    cases = with_volumes(tiny.cases(4))
    before = tiny.weights(network)

    class PhotographOnly(UniformSum):
        def _objective(self, losses):
            return losses.unimodal["fundus"]

    tiny.fusion(network, cases, balancer=PhotographOnly()).run()
    after = tiny.weights(network)
    assert not torch.equal(before["encoders.oct.resnet.stem.0.weight"], after["encoders.oct.resnet.stem.0.weight"])
    assert torch.equal(before["unimodal_heads.oct.output.weight"], after["unimodal_heads.oct.output.weight"])


@pytest.mark.parametrize("parts", [2, 4])
def test_micro_batches_of_mid_fusion_give_the_gradient_of_the_whole(tiny, parts):
    cases = with_volumes(tiny.cases(4, missing={1: "oct"}))
    whole, cut = mid_fusion("group"), mid_fusion("group")
    for network, micro in ((whole, 1), (cut, parts)):
        tiny.fusion(network, cases, loss_function=MeanSquaredErrorLoss(), micro_batches=micro).run()
    expected, found = (torch.cat([each.flatten() for each in tiny.gradients(n).values()]) for n in (whole, cut))
    # Norms over two values are sensitive: what counts is the error against the gradient's own size.
    assert (found - expected).norm() < 1e-4 * expected.norm()


def evidential():
    torch.manual_seed(0)
    names = ("oct", "fundus")
    network = EvidentialRegressor({name: VectorEncoder(in_features=6, out_features=8) for name in names}, hidden=16)
    network.set_target_statistics({"mean": -8.0, "std": 4.0})
    return network


def with_vectors(cases):
    """Both show the target, the second one through ten times the noise."""
    for index, case in enumerate(cases):
        generator = torch.Generator().manual_seed(index)
        signal = (case["target"] + 8) / 4
        for name, noise in (("oct", 0.1), ("fundus", 1.0)):
            here = float(case["present"][0 if name == "oct" else 1])
            case[name] = here * (signal + noise * torch.randn(6, generator=generator))
    return cases


@pytest.mark.parametrize("balancer", BALANCERS)
def test_evidential_losses_under_every_balancer(tiny, balancer):
    network = evidential()
    cases = with_vectors(tiny.cases(8, missing={0: "oct", 1: "fundus"}))
    loss = EvidentialLoss(std=4.0, ranking=1.0)
    logs = logs_of(tiny.fusion(network, cases, loss_function=loss, balancer=balancer(), max_epochs=2))
    assert all(math.isfinite(value) for each in logs for value in map(float, each.values()))
    assert {"loss", "loss_fusion", "loss_oct", "loss_fundus"} <= set(logs[0])


def trained(tiny, ranking):
    """Predictions for the 64 cases that an evidential network has learnt, and their targets."""
    network = evidential()
    cases = with_vectors(tiny.cases(64))
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    loss = EvidentialLoss(std=4.0, regulariser=0.01, ranking=ranking)
    tiny.fusion(network, cases, batch_size=16, loss_function=loss, optimizer=optimizer, max_epochs=60).run()
    batch = next(iter(DataLoader(cases, batch_size=64)))
    with torch.no_grad():
        return network.eval()({name: batch[name] for name in network.modalities}), batch["target"]


def test_evidential_training_learns_who_is_to_be_believed(tiny):
    found, target = trained(tiny, 0.0)
    assert (found.fusion - target).square().mean() < 0.2 * target.var()
    # The clear input is surer of itself, and the spread is of the order of the errors made.
    assert found.extras["variance_oct"].mean() < 0.8 * found.extras["variance_fundus"].mean()
    ratio = found.extras["variance_fundus"].mean() / (found.unimodal["fundus"] - target).square().mean()
    assert 0.3 < ratio < 10


def test_ranking_ends_where_all_are_equally_sure(tiny):
    """The mixture's variance is the mean of the parts': no part can then be surer than the mixture."""
    found, target = trained(tiny, 1.0)
    assert (found.fusion - target).square().mean() < 0.2 * target.var()
    extras = found.extras
    torch.testing.assert_close(extras["variance_oct"].mean(), extras["variance_fundus"].mean(), rtol=0.15, atol=0)
