"""The methods as their papers write them, one backward pass a loss, against the minimal form of the package."""

import copy
import statistics

import pytest
import torch

from medmd.balancing import SGM, MMPareto

TIGHT = {"rtol": 1e-9, "atol": 1e-9}
STEPS = 100


def gradient(loss, parameters):
    """A backward pass of its own; the graph stays."""
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]


def flat(tensors):
    return torch.cat([each.flatten() for each in tensors])


def add(*lists):
    return [sum(each) for each in zip(*lists, strict=True)]


def min_norm(mm, uni):
    return float(((uni @ uni - mm @ uni) / ((mm - uni) @ (mm - uni))).clamp(0, 1))


def literal_sgm(model, seed, history, rng, *, rho=0.05, gamma_base=1.5):
    """K + 2 backward passes on one graph, then two probes on copies; returns gradients by name and what is logged."""
    named = dict(model.named_parameters())
    trainable = [p for p in named.values() if p.requires_grad]
    before = copy.deepcopy(model)
    torch.set_rng_state(rng)
    losses = model.closure(seed)()
    shared = model.shared_parameters()
    mm = gradient(losses.fusion, shared)
    uni = add(*(gradient(loss, shared) for loss in losses.unimodal.values()))
    base = gradient(losses.fusion + sum(losses.unimodal.values()), trainable)
    length = flat(base).norm()

    def probe(sign):
        moved = copy.deepcopy(before)
        torch.set_rng_state(rng)
        with torch.no_grad():
            for p, g in zip([p for p in moved.parameters() if p.requires_grad], base, strict=True):
                p.add_(sign * rho * g / (length + 1e-12))
            found = moved.closure(seed)()
            return float(found.fusion + sum(found.unimodal.values()))

    history.append(probe(1) - probe(-1))
    ratio = history[-1] / statistics.median(history[-50:]) if len(history) > 10 else 1.0
    gamma = gamma_base * min(3.0, max(1 / 3, ratio))
    a, b = flat(mm), flat(uni)
    cosine = float(a @ b / (a.norm() * b.norm()))
    alpha = min_norm(a, b) if cosine < 0 else 0.5
    result = dict(zip(trainable, base, strict=True))
    for p, x, y in zip(shared, mm, uni, strict=True):
        mixed = 2 * alpha * x + 2 * (1 - alpha) * y
        factor = min(10.0, float(result[p].norm() / (mixed.norm() + 1e-12)))
        result[p] = gamma * factor * mixed
    return result, {"gamma": gamma, "cosine": cosine, "alpha_fusion": alpha, "sharpness": history[-1]}


def literal_mmpareto(model, seed, _, rng):
    trainable = [p for p in model.parameters() if p.requires_grad]
    torch.set_rng_state(rng)
    losses = model.closure(seed)()
    result = dict(zip(trainable, gradient(losses.fusion + sum(losses.unimodal.values()), trainable), strict=True))
    cosines = []
    for name, members in model.encoder_parameters().items():
        mm, uni = gradient(losses.fusion, members), gradient(losses.unimodal[name], members)
        a, b = flat(mm), flat(uni)
        cosines.append(float(a @ b / (a.norm() * b.norm())))
        alpha = min_norm(a, b) if cosines[-1] <= 0 else 0.5
        for p, x, y in zip(members, mm, uni, strict=True):
            mixed = 2 * alpha * x + 2 * (1 - alpha) * y
            result[p] = 1.5 * max(1.0, float(result[p].norm() / (mixed.norm() + 1e-12))) * mixed
    return result, {"cosine": sum(cosines) / len(cosines)}, cosines


@pytest.mark.parametrize(("balancer", "literal"), [(SGM(), literal_sgm), (MMPareto(), literal_mmpareto)])
def test_minimal_form_agrees_at_every_step(toy, balancer, literal):
    model = toy(seed=3)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    history, conflicts = [], 0
    for step in range(STEPS):
        torch.manual_seed(step)
        rng = torch.get_rng_state()
        reference = copy.deepcopy(model)
        expected, logged, *cosines = literal(reference, step, history, rng)
        torch.set_rng_state(rng)
        log = balancer.backward(model, model.closure(step))
        conflicts += logged["cosine"] < 0
        for (name, ours), theirs in zip(model.named_buffers(), reference.buffers(), strict=True):
            torch.testing.assert_close(ours, theirs, **TIGHT, msg=f"{name} at step {step}")
        if min(map(abs, [logged["cosine"], *(cosines[0] if cosines else [])])) >= 1e-8:
            for name, value in logged.items():
                assert log[name].item() == pytest.approx(value, rel=1e-9, abs=1e-9), (step, name)
            for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
                if ours.requires_grad:
                    torch.testing.assert_close(ours.grad, expected[theirs], **TIGHT)
        optimizer.step()
    assert 10 < conflicts < STEPS


def test_probe_free_ratio_is_that_of_the_paper(toy):
    """At rho 0.01 the two sharpness values are proportional within 1 %."""
    model = toy(seed=1)
    ratios = {}
    for kind in ("paper", "grad_norm"):
        copied = copy.deepcopy(model)
        sgm = SGM(sharpness=kind, rho=0.01, window_warmup=0, ratio_clip=(1e-6, 1e6), gamma_base=1.0)
        optimizer = torch.optim.SGD(copied.parameters(), lr=0.0)
        for step in range(20):
            torch.manual_seed(step)
            ratios.setdefault(kind, []).append(sgm.backward(copied, copied.closure(step))["gamma"].item())
            optimizer.step()
    assert ratios["paper"] == pytest.approx(ratios["grad_norm"], rel=0.01)
    assert max(ratios["paper"]) > 1.2
