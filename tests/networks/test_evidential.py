"""The mixture of Student's t distributions and the network that gives them."""

import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.distributions import StudentT

from medmd.networks import EvidentialRegressor, VectorEncoder, mix_student_t
from medmd.networks._evidential import EvidentialHead
from medmd.utils import MedmdError

NAMES = ("oct", "fundus", "age")


def make(count=2, **options):
    torch.manual_seed(0)
    encoders = {name: VectorEncoder(in_features=3, hidden=[6], out_features=4) for name in NAMES[:count]}
    network = EvidentialRegressor(encoders, **{"hidden": 8, **options})
    network.set_target_statistics({"mean": -6.0, "std": 4.0})
    return network


def batch(rows=5, count=2, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(rows, 3, generator=generator) for name in NAMES[:count]}


def parameters(rows=4, count=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(rows, count, 4, generator=generator, dtype=torch.float64)
    return uniform * torch.tensor([-20.0, 5.0, 6.0, 3.0]) + torch.tensor([0.0, 0.1, 1.1, 0.2])


def test_two_are_mixed_by_the_rule_of_the_paper():
    given = parameters()
    location, df, scale, _ = mix_student_t(given, torch.ones(4, 2, dtype=torch.bool))
    for row in range(4):
        _, v, alpha, beta = given[row].unbind(1)
        squared, freedom = beta * (1 + v) / (v * alpha), 2 * alpha
        low, high = freedom.argsort().tolist()
        matched = squared[high] * freedom[high] * (freedom[low] - 2) / ((freedom[high] - 2) * freedom[low])
        assert df[row].item() == pytest.approx(freedom[low].item())
        assert scale[row].item() ** 2 == pytest.approx(((squared[low] + matched) / 2).item())
        assert location[row].item() == pytest.approx((freedom @ given[row, :, 0] / freedom.sum()).item())


def test_the_variance_is_that_of_torch_and_the_mean_of_the_parts():
    given = parameters(count=3)
    location, df, scale, variance = mix_student_t(given, torch.ones(4, 3, dtype=torch.bool))
    torch.testing.assert_close(StudentT(df, location, scale).variance, variance)
    _, v, alpha, beta = given.unbind(2)
    each = StudentT(2 * alpha, 0.0, (beta * (1 + v) / (v * alpha)).sqrt()).variance
    torch.testing.assert_close(variance, each.mean(1))


def test_absent_ones_take_no_part_and_one_alone_is_itself():
    given = parameters(count=3)
    here = torch.tensor([[1, 1, 0], [0, 1, 0], [1, 0, 1], [1, 1, 1]], dtype=torch.bool)
    mixed = mix_student_t(given, here)
    for row in range(4):
        few = given[row : row + 1, here[row]]
        alone = mix_student_t(few, torch.ones(few.shape[:2], dtype=torch.bool))
        torch.testing.assert_close([value[row : row + 1] for value in mixed], list(alone))
    gamma, v, alpha, beta = given[1, 1]
    assert [value[1].item() for value in mixed[:3]] == pytest.approx(
        [gamma.item(), 2 * alpha.item(), math.sqrt(beta * (1 + v) / (v * alpha))]
    )


def test_the_order_of_modalities_does_not_matter():
    given = parameters(count=3)
    here = torch.tensor([[1, 1, 0], [1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=torch.bool)
    order = [2, 0, 1]
    torch.testing.assert_close(mix_student_t(given[:, order], here[:, order]), mix_student_t(given, here))


def test_gradient_of_the_mixture():
    here = torch.tensor([[1, 1], [0, 1], [1, 0], [1, 1]], dtype=torch.bool)
    assert gradcheck(lambda given: mix_student_t(given, here), (parameters().requires_grad_(),))


@pytest.mark.parametrize("size", [1.0, 30.0, 3000.0])
def test_parameters_stay_in_their_bounds_with_a_slope(size):
    torch.manual_seed(0)
    head = EvidentialHead(in_features=4, hidden=6)
    features = (size * torch.randn(200, 4)).requires_grad_()
    _, v, alpha, beta = head(features).unbind(1)
    assert ((v >= 1e-3) & (v <= 20)).all()
    assert ((alpha >= 1 + 0.99e-3) & (alpha <= 20)).all()
    assert (beta >= 0.2).all()
    (slope,) = torch.autograd.grad(v.sum(), features)
    if size <= 30:
        assert (slope.abs().sum(1) > 0).all()


def test_predictions_are_in_the_unit_of_the_target():
    network = make()
    for head in network.unimodal_heads.values():
        for part in head.parts.values():
            torch.nn.init.zeros_(part[2].weight)
    found = network(batch())
    # Nothing known: the mean, with a spread of the order of the training targets'.
    for values in (found.fusion, *found.unimodal.values()):
        torch.testing.assert_close(values, torch.full((5,), -6.0))
    half = math.log(2)
    beta, alpha = (0.2 + half) * 16, 1 + 1e-3 - 18.999 * math.expm1(-half / 18.999)
    torch.testing.assert_close(found.extras["beta_oct"], torch.full((5,), beta))
    torch.testing.assert_close(found.extras["alpha_oct"], torch.full((5,), alpha))
    assert 4 < found.extras["scale_fusion"].mean() < 8


def test_extras_describe_the_distributions():
    network = make(3).eval()
    present = torch.tensor([[1, 1, 1], [0, 1, 1], [1, 0, 0], [1, 1, 0], [1, 1, 1]], dtype=torch.bool)
    found = network(batch(count=3), present)
    extras = found.extras
    given = torch.stack(
        [torch.stack([extras[f"{part}_{name}"] for part in ("gamma", "v", "alpha", "beta")], 1) for name in NAMES], 1
    )
    assert torch.equal(given.isnan().any(2), ~present)
    mixed = mix_student_t(given.nan_to_num(1.5), present)
    expected = [found.fusion, extras["df_fusion"], extras["scale_fusion"], extras["variance_fusion"]]
    torch.testing.assert_close(list(mixed), expected)
    for column, name in enumerate(NAMES):
        assert torch.equal(found.unimodal[name].isnan(), ~present[:, column])
        torch.testing.assert_close(extras[f"gamma_{name}"], found.unimodal[name], equal_nan=True)
        distribution = StudentT(
            2 * extras[f"alpha_{name}"].nan_to_num(2.0),
            0.0,
            (given[:, column, 3] * (1 + given[:, column, 1]) / (given[:, column, 1] * given[:, column, 2]))
            .sqrt()
            .nan_to_num(1.0),
        )
        here = present[:, column]
        torch.testing.assert_close(extras[f"variance_{name}"][here], distribution.variance[here])


def test_one_modality_is_its_own_mixture():
    network = make(1).eval()
    found = network(batch(count=1))
    torch.testing.assert_close(found.fusion, found.unimodal["oct"])
    torch.testing.assert_close(found.extras["df_fusion"], 2 * found.extras["alpha_oct"])
    torch.testing.assert_close(found.extras["variance_fusion"], found.extras["variance_oct"])


def test_the_constants_are_stored_with_the_weights():
    first, second = (
        make(),
        EvidentialRegressor(
            {name: VectorEncoder(in_features=3, hidden=[6], out_features=4) for name in NAMES[:2]}, hidden=8
        ),
    )
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(second(batch()).fusion, first(batch()).fusion)
    first.set_output_bias(-3.0)
    assert float(first.target_mean) == -3.0
    assert float(first.target_std) == 4.0


@pytest.mark.parametrize("statistics", [{"mean": float("nan"), "std": 1.0}, {"mean": 0.0, "std": 0.0}])
def test_statistics_out_of_range(statistics):
    with pytest.raises(MedmdError, match="finite mean and a std above 0"):
        make().set_target_statistics(statistics)
