"""SGM's options, each against its definition."""

import copy

import pytest
import torch

from medmd.balancing import SGM, Losses, UniformSum


def step(model, seed=0, **options):
    torch.manual_seed(100 + seed)
    sgm = options.pop("sgm", None) or SGM(**{"window_warmup": 0, **options})
    return sgm.backward(model, model.closure(seed))


def grads(model, parameters=None):
    return [p.grad.clone() for p in (parameters or model.shared_parameters())]


def flat(tensors):
    return torch.cat([each.flatten() for each in tensors])


@pytest.fixture
def conflict(toy):
    """A model and seed whose gradients conflict."""
    for seed in range(50):
        model = toy(seed=seed, dropout=0.0)
        if step(copy.deepcopy(model))["conflict"].item() == 1:
            return model
    pytest.fail("no conflict found")
    return None


@pytest.fixture
def agreement(toy):
    for seed in range(50):
        model = toy(seed=seed, dropout=0.0)
        if step(copy.deepcopy(model))["conflict"].item() == 0:
            return model
    pytest.fail("no agreement found")
    return None


def test_forward_passes_are_as_few_as_promised(toy):
    expected = {"paper": 3, "curvature": 3, "curvature_1p": 2, "sam_max": 2, "grad_norm": 1}
    for kind, number in expected.items():
        model = toy()
        step(model, sharpness=kind)
        assert model.calls == number, kind
    model = toy()
    step(model, steps=3)
    assert model.calls == 1 + 2 * 3


def test_without_conflict_it_is_gamma_times_the_uniform_sum(agreement):
    plain = copy.deepcopy(agreement)
    torch.manual_seed(100)
    UniformSum().backward(plain, plain.closure())
    log = step(agreement)
    torch.testing.assert_close(flat(grads(agreement)), log["gamma"] * flat(grads(plain)), rtol=1e-9, atol=1e-12)
    for ours, theirs in zip(agreement.head_parameters(), plain.head_parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-12, atol=1e-14)


def test_curvature_is_the_hessians(toy):
    """(L+ + L- - 2 L0) / rho² tends to d'Hd along the gradient; the paper's s to twice the slope."""
    model, rho = toy(dropout=0.0), 1e-3
    parameters = [p for name, p in model.named_parameters() if p.requires_grad and name != "unused"]
    loss = model.closure()().total({})
    slope = torch.autograd.grad(loss, parameters, create_graph=True)
    norm = flat(slope).norm()
    direction = [g.detach() / norm.detach() for g in slope]
    product = torch.autograd.grad(sum((g * d).sum() for g, d in zip(slope, direction, strict=True)), parameters)
    curvature = sum((p * d).sum() for p, d in zip(product, direction, strict=True))
    log = step(copy.deepcopy(model), rho=rho)
    assert log["curvature"].item() / rho**2 == pytest.approx(curvature.item(), rel=1e-3)
    assert log["sharpness"].item() == pytest.approx(2 * rho * norm.item(), rel=1e-4)
    assert log["gradient_norm"].item() == pytest.approx(norm.item(), rel=1e-10)
    log = step(copy.deepcopy(model), rho=rho, sharpness="curvature_1p")
    assert log["sharpness"].item() / rho**2 == pytest.approx(curvature.item(), rel=1e-2)


def test_adaptive_move_has_the_asam_slope(toy):
    model, rho = toy(dropout=0.0), 1e-3
    probes = step(copy.deepcopy(model), rho=rho, adaptive=True)
    free = step(copy.deepcopy(model), rho=rho, adaptive=True, sharpness="grad_norm")
    assert probes["sharpness"].item() == pytest.approx(free["sharpness"].item(), rel=1e-4)
    scaled = [p.detach() * p.grad for p in model.parameters() if p.grad is not None]
    assert not scaled
    torch.manual_seed(100)
    UniformSum().backward(model, model.closure())
    expected = flat([p.detach() * p.grad for p in model.parameters() if p.requires_grad]).norm()
    assert free["gradient_norm"].item() == pytest.approx(expected.item(), rel=1e-10)


def test_a_path_of_steps_climbs_higher(toy):
    """Following the gradient reaches at least as high, and falls at least as low, as one straight move."""
    model = toy(dropout=0.0)
    straight = step(copy.deepcopy(model), rho=0.5)["sharpness"]
    path = step(copy.deepcopy(model), rho=0.5, steps=5)["sharpness"]
    assert path > straight


def test_only_the_encoders_move(toy):
    model = toy(dropout=0.0)
    everything = step(copy.deepcopy(model), rho=1e-3, sharpness="grad_norm")["sharpness"]
    shared = step(copy.deepcopy(model), rho=1e-3, sharpness="grad_norm", perturb="shared")["sharpness"]
    probed = step(copy.deepcopy(model), rho=1e-3, perturb="shared")["sharpness"]
    assert shared < everything
    assert probed.item() == pytest.approx(shared.item(), rel=1e-4)


def test_global_norm_keeps_direction_and_length(conflict):
    plain, per_tensor = copy.deepcopy(conflict), copy.deepcopy(conflict)
    torch.manual_seed(100)
    UniformSum().backward(plain, plain.closure())
    log = step(conflict, norm="global", ratio_cap=None)
    step(per_tensor, norm="per_tensor", ratio_cap=None)
    ours, base = flat(grads(conflict)), flat(grads(plain))
    assert (ours.norm() / base.norm()).item() == pytest.approx(log["gamma"].item(), rel=1e-9)
    # Per tensor each length is kept, hence the direction is not.
    for a, b in zip(grads(per_tensor), grads(plain), strict=True):
        assert a.norm().item() == pytest.approx(1.5 * b.norm().item(), rel=1e-6, abs=1e-10)
    assert torch.cosine_similarity(ours, flat(grads(per_tensor)), dim=0) < 1 - 1e-6


def test_encoder_norm_keeps_each_encoders_length(conflict):
    plain = copy.deepcopy(conflict)
    torch.manual_seed(100)
    UniformSum().backward(plain, plain.closure())
    step(conflict, norm="encoder", ratio_cap=None)
    for name in conflict.names:
        ours, base = (flat(grads(m, list(m.encoders[name].parameters()))) for m in (conflict, plain))
        assert (ours.norm() / base.norm()).item() == pytest.approx(1.5, rel=1e-9)


def test_mmpareto_norm_never_shortens(conflict):
    capped = copy.deepcopy(conflict)
    log = step(conflict, norm="mmpareto", ratio_cap=None)
    tight = step(capped, norm="per_tensor", ratio_cap=0.5)
    assert log["ratio_max"] >= 1
    assert tight["ratio_max"].item() == pytest.approx(0.5)
    # A bias in front of BatchNorm has next to no gradient: there eps keeps the ratio below the cap.
    assert tight["ratio_capped"] >= 0.5


def test_update_leaves_gamma_to_the_caller(conflict):
    other = copy.deepcopy(conflict)
    log, plain = step(conflict, apply="update"), step(other)
    assert torch.equal(log["update_scale"], plain["gamma"])
    assert "update_scale" not in plain
    for a, b in zip(grads(conflict), grads(other), strict=True):
        torch.testing.assert_close(a * log["update_scale"], b, rtol=1e-12, atol=1e-14)


def test_cosine_by_encoder(toy):
    model = toy(dropout=0.0)
    log = step(model, cosine="encoder")
    cosines = torch.stack([log["cosine_oct"], log["cosine_fundus"]])
    assert log["cosine"].item() == pytest.approx(cosines.mean().item())
    assert log["conflict"].item() == pytest.approx((cosines < 0).double().mean().item())


def test_unimodal_weights(toy):
    model, zero = toy(dropout=0.0), toy(dropout=0.0)
    step(model, unimodal_weights={"oct": 0.0, "fundus": 2.0})
    assert all((p.grad == 0).all() for p in model.heads["oct"].parameters())
    step(zero)
    for a, b in zip(model.heads["fundus"].parameters(), zero.heads["fundus"].parameters(), strict=True):
        torch.testing.assert_close(a.grad, 2 * b.grad)
    with pytest.raises(ValueError, match="octa"):
        step(toy(), unimodal_weights={"octa": 1.0})


def test_gamma_is_kept_between_probes(toy):
    model, sgm = toy(), SGM(probe_every=3, window_warmup=0)
    gammas, calls = [], []
    for number in range(7):
        before = model.calls
        gammas.append(step(model, seed=number, sgm=sgm)["gamma"].item())
        calls.append(model.calls - before)
    assert calls == [3, 1, 1, 3, 1, 1, 3]
    assert gammas[0] == gammas[1] == gammas[2] == 1.5
    assert gammas[3] == gammas[4] == gammas[5] != gammas[6]


def test_the_power_turns_the_ratio_round(toy):
    logs = {}
    for power in (1.0, 0.0, -1.0, 0.5):
        model, sgm = toy(), SGM(window_warmup=2, ratio_clip=(0.8, 1.5), ratio_power=power)
        logs[power] = torch.stack([step(model, seed=number, sgm=sgm)["gamma"] for number in range(12)]) / 1.5
    # Nothing is stepped, so that all four see the same sharpness.
    assert logs[1.0].min() == pytest.approx(0.8)
    assert logs[1.0].max() == pytest.approx(1.5)
    torch.testing.assert_close(logs[0.0], torch.ones_like(logs[0.0]))
    torch.testing.assert_close(logs[-1.0], 1 / logs[1.0])
    torch.testing.assert_close(logs[0.5], logs[1.0].sqrt())


def test_clip_bounds_gamma(toy):
    model, sgm = toy(), SGM(window_warmup=0, ratio_clip=(0.9, 1.1), gamma_base=2.0)
    gammas = [step(model, seed=number, sgm=sgm)["gamma"].item() for number in range(20)]
    assert min(gammas) == pytest.approx(1.8)
    assert max(gammas) == pytest.approx(2.2)


def test_loss_that_is_not_finite_in_the_probe(toy):
    """The step keeps gamma_base, the window stays clean, weights come back."""
    model, sgm = toy(), SGM(window_warmup=0)
    closure, calls = model.closure(), []

    def broken():
        calls.append(1)
        losses = closure()
        return losses if len(calls) == 1 else Losses(losses.fusion * torch.nan, losses.unimodal)

    weights = [p.detach().clone() for p in model.parameters()]
    log = sgm.backward(model, broken)
    assert log["gamma"].item() == 1.5
    assert log["sharpness_skipped"].item() == 1
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
    assert sgm.state_dict()["window"]["values"].isnan().all()


@pytest.mark.parametrize("failing", [2, 3, 4, 6])
def test_weights_survive_an_exception_in_a_probe(toy, failing):
    model = toy()
    closure, calls = model.closure(), []

    def broken():
        calls.append(1)
        if len(calls) == failing:
            msg = "out of memory"
            raise RuntimeError(msg)
        return closure()

    weights = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(RuntimeError, match="out of memory"):
        SGM(steps=3).backward(model, broken)
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))


def test_probes_run_without_autocast(toy):
    """A first pass in bfloat16: the probes are float32, L0 is probed as well where it is needed."""
    model, seen = toy(dtype=torch.float32, dropout=0.0), []
    closure = model.closure()

    def run():
        seen.append(torch.is_autocast_enabled("cpu"))
        return closure()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        log = SGM().backward(model, run)
    assert seen == [True, False, False, False]
    exact = SGM().backward(model, closure)
    assert log["curvature"].item() == pytest.approx(exact["curvature"].item(), rel=0.2)


def test_a_model_without_encoder_parameters_is_a_plain_step(toy):
    model, plain = toy(dropout=0.0), toy(dropout=0.0)
    for each in (model, plain):
        each.encoders.requires_grad_(False)
    log = step(model)
    UniformSum().backward(plain, plain.closure())
    for ours, theirs in zip(model.head_parameters(), plain.head_parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)
    assert "cosine" not in log


def test_a_path_of_probes_over_frozen_encoders_does_not_move(toy):
    model, plain = toy(dropout=0.0), toy(dropout=0.0)
    for each in (model, plain):
        each.encoders.requires_grad_(False)
    log = SGM(perturb="shared", steps=3).backward(model, model.closure())
    UniformSum().backward(plain, plain.closure())
    assert log["sharpness"] == 0
    for ours, theirs in zip(model.head_parameters(), plain.head_parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize(
    "options",
    [
        {"rho": 0},
        {"rho": float("nan")},
        {"steps": 0},
        {"steps": 1.5},
        {"gamma_base": -1},
        {"ratio_power": float("nan")},
        {"ratio_clip": (2, 1)},
        {"ratio_clip": (0, 1)},
        {"ratio_clip": (1,)},
        {"window": 0},
        {"window_warmup": -1},
        {"sharpness": "hessian"},
        {"probe_every": 0},
        {"cosine": "tensor"},
        {"norm": "none"},
        {"ratio_cap": 0},
        {"apply": "both"},
        {"perturb": "heads"},
        {"eps": 0},
        {"steps": 2, "sharpness": "grad_norm"},
    ],
    ids=str,
)
def test_bad_arguments(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        SGM(**options)


def test_no_losses_at_all(toy):
    with pytest.raises(ValueError, match="at least one loss"):
        SGM().backward(toy(), lambda: Losses(None, {}))
