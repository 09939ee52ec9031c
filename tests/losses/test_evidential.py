"""Evidential likelihoods against torch's and SciPy's distributions, and the losses of EyeMoSt and EyeMoSt+."""

import math
from types import SimpleNamespace

import pytest
import torch
from scipy import integrate, stats
from torch.autograd import gradcheck
from torch.distributions import Gamma, Normal, StudentT

from medmd.losses import EvidentialLoss, nig_nll, student_t_nll
from medmd.utils import MedmdError

STD = 4.0
PARTS = ("gamma", "v", "alpha", "beta")


def draw(size=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(4, size, generator=generator, dtype=torch.float64)
    error = 3 * torch.randn(size, generator=generator, dtype=torch.float64)
    return error, 0.05 + 10 * uniform[0], 1.01 + 10 * uniform[1], 0.2 + 3 * uniform[2]


def test_student_t_is_that_of_torch_and_scipy():
    error, scale, df, _ = draw()
    ours = student_t_nll(error, df, scale)
    torch.testing.assert_close(ours, -StudentT(df, torch.zeros(()), scale).log_prob(error), rtol=1e-12, atol=1e-12)
    expected = -stats.t.logpdf(error.numpy(), df.numpy(), scale=scale.numpy())
    torch.testing.assert_close(ours, torch.from_numpy(expected), rtol=1e-10, atol=1e-12)


def test_one_observation_under_the_prior_is_student_t_with_the_root_of_the_squared_scale():
    error, v, alpha, beta = draw()
    squared = beta * (1 + v) / (v * alpha)
    ours = nig_nll(error, v, alpha, beta)
    torch.testing.assert_close(ours, student_t_nll(error, 2 * alpha, squared.sqrt()), rtol=1e-10, atol=1e-10)
    # What the public code computes is another distribution.
    wrong = student_t_nll(error, 2 * alpha, squared)
    assert (ours - wrong).abs().max() > 0.1


def test_the_marginal_is_the_integral_over_the_variance():
    """y ~ N(m, s²), m ~ N(g, s²/v), 1/s² ~ Gamma(alpha, beta): without m, y ~ N(g, s² (1 + 1/v))."""
    error, v, alpha, beta = 1.3, 0.7, 2.4, 1.1

    def density(precision):
        spread = math.sqrt((1 + 1 / v) / precision)
        prior = Gamma(torch.tensor(alpha, dtype=torch.float64), torch.tensor(beta, dtype=torch.float64))
        likelihood = Normal(0.0, spread).log_prob(torch.tensor(error, dtype=torch.float64))
        return math.exp(likelihood + prior.log_prob(torch.tensor(precision, dtype=torch.float64)))

    integral, _ = integrate.quad(density, 1e-9, 60)
    ours = nig_nll(*(torch.tensor(value, dtype=torch.float64) for value in (error, v, alpha, beta)))
    assert ours.item() == pytest.approx(-math.log(integral), rel=1e-5)


def test_gradients_of_both_likelihoods():
    error, v, alpha, beta = (value.requires_grad_() for value in draw(3))
    assert gradcheck(nig_nll, (error, v, alpha, beta))
    assert gradcheck(student_t_nll, (error, alpha, v))


def variance(v, alpha, beta):
    return beta * (1 + v) / (v * (alpha - 1))


def outputs(rows=6, absent=(), seed=0, dtype=torch.float64):
    """Predictions as an evidential network gives them, of oct and fundus in dB; NaN where oct is absent."""
    generator = torch.Generator().manual_seed(seed)
    extras = {}
    for name in ("oct", "fundus"):
        uniform = torch.rand(4, rows, generator=generator, dtype=dtype)
        values = {"gamma": -6 + 4 * uniform[0], "v": 0.1 + uniform[1], "alpha": 1.2 + uniform[2]}
        values["beta"] = STD**2 * (0.2 + uniform[3])
        values["variance"] = variance(values["v"], values["alpha"], values["beta"])
        for part, value in values.items():
            if name == "oct":
                value[list(absent)] = torch.nan
            extras[f"{part}_{name}"] = value
    fusion = torch.stack([extras["gamma_oct"], extras["gamma_fundus"]]).nanmean(0)
    extras["df_fusion"] = 3 + torch.rand(rows, generator=generator, dtype=dtype)
    extras["scale_fusion"] = 2 + torch.rand(rows, generator=generator, dtype=dtype)
    extras["variance_fusion"] = 5 + 30 * torch.rand(rows, generator=generator, dtype=dtype)
    target = -7 + 5 * torch.rand(rows, generator=generator, dtype=dtype)
    return SimpleNamespace(fusion=fusion, extras=extras), target


def rows_of(rows, absent):
    here = [row for row in range(rows) if row not in absent]
    return {"oct": torch.tensor(here, dtype=torch.long), "fundus": None}


@pytest.mark.parametrize("absent", [(), (1, 4), (0, 1, 2, 3, 4, 5)])
@pytest.mark.parametrize("ranking", [0.0, 0.7])
def test_losses_written_out_row_by_row(absent, ranking):
    predictions, target = outputs(absent=absent)
    loss = EvidentialLoss(std=STD, regulariser=0.03, ranking=ranking)
    fusion, unimodal = loss.losses(predictions, target, rows_of(6, absent))
    extras = predictions.extras
    whole, own = [], {"oct": [], "fundus": []}
    for row in range(6):
        z = ((target - predictions.fusion) / STD)[row]
        value = -StudentT(extras["df_fusion"][row], 0.0, extras["scale_fusion"][row] / STD).log_prob(z)
        for name, found in own.items():
            if name == "oct" and row in absent:
                continue
            gamma, v, alpha, beta = (extras[f"{part}_{name}"][row] for part in PARTS)
            error = (target[row] - gamma) / STD
            scale = (beta / STD**2 * (1 + v) / (v * alpha)).sqrt()
            found.append(-StudentT(2 * alpha, 0.0, scale).log_prob(error) + 0.03 * error.abs() * (2 * v + alpha))
            if error.abs() <= z.abs():
                surer = STD**2 / variance(v, alpha, beta) - STD**2 / extras["variance_fusion"][row]
                value = value + ranking * max(surer, torch.zeros(()))
        whole.append(value)
    torch.testing.assert_close(fusion, torch.stack(whole).mean(), rtol=1e-10, atol=1e-10)
    for name, found in own.items():
        expected = torch.stack(found).mean() if found else torch.zeros((), dtype=torch.float64)
        torch.testing.assert_close(unimodal[name], expected, rtol=1e-10, atol=1e-10)


def test_the_unit_does_not_matter():
    predictions, target = outputs()
    first = EvidentialLoss(std=STD, ranking=1.0).losses(predictions, target, rows_of(6, ()))
    squared = ("beta", "variance")
    scaled = {
        name: value * (100 if name.split("_")[0] in squared else 10 if name.startswith(("gamma", "scale")) else 1)
        for name, value in predictions.extras.items()
    }
    other = SimpleNamespace(fusion=10 * predictions.fusion, extras=scaled)
    second = EvidentialLoss(std=10 * STD, ranking=1.0).losses(other, 10 * target, rows_of(6, ()))
    torch.testing.assert_close(first, second)


@pytest.mark.parametrize("ranking", [0.0, 1.0])
def test_absent_rows_take_no_gradient_and_spoil_none(ranking):
    absent = (1, 4)
    predictions, target = outputs(absent=absent)
    for value in predictions.extras.values():
        value.requires_grad_()
    fusion, unimodal = EvidentialLoss(std=STD, ranking=ranking).losses(predictions, target, rows_of(6, absent))
    (fusion + unimodal["oct"] + unimodal["fundus"]).backward()
    for part in PARTS:
        gradient = predictions.extras[f"{part}_oct"].grad
        assert gradient.isfinite().all()
        assert (gradient[list(absent)] == 0).all()
        assert predictions.extras[f"{part}_fundus"].grad.abs().min() > 0


def test_regulariser_takes_evidence_back_where_it_is_wrong():
    predictions, target = outputs()
    values = {name: value.clone().requires_grad_() for name, value in predictions.extras.items()}
    found = SimpleNamespace(fusion=predictions.fusion, extras=values)
    plain = EvidentialLoss(std=STD, regulariser=0.0).losses(found, target, rows_of(6, ()))[1]["oct"]
    strong = EvidentialLoss(std=STD, regulariser=2.0).losses(found, target, rows_of(6, ()))[1]["oct"]
    (slope,) = torch.autograd.grad(strong - plain, values["v_oct"])
    error = (target - values["gamma_oct"]).detach().abs() / STD
    torch.testing.assert_close(slope, 4 * error / 6)


def test_half_precision_is_not_used_inside():
    predictions, target = outputs(dtype=torch.float32)
    plain = EvidentialLoss(std=STD).losses(predictions, target, rows_of(6, ()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow = EvidentialLoss(std=STD).losses(predictions, target, rows_of(6, ()))
    assert torch.equal(plain[0], narrow[0])


@pytest.mark.parametrize("options", [{"std": 0.0}, {"std": 1.0, "regulariser": -1}, {"std": 1.0, "ranking": -0.1}])
def test_arguments_out_of_range(options):
    with pytest.raises(ValueError, match=next(reversed(options))):
        EvidentialLoss(**options)


def test_a_network_of_another_kind_is_refused():
    plain = SimpleNamespace(fusion=torch.zeros(2), extras={})
    with pytest.raises(MedmdError, match="EvidentialRegressor"):
        EvidentialLoss(std=1.0).losses(plain, torch.zeros(2), {"oct": None})
