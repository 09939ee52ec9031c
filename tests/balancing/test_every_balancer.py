"""What every balancer owes its caller."""

import copy
import io

import pytest
import torch

from medmd.balancing import (
    ASAM,
    MGDA,
    OGMGE,
    SAM,
    SGM,
    SSESAM,
    CAGrad,
    ImbSAM,
    JointLoss,
    Losses,
    MMPareto,
    NashMTL,
    PCGrad,
    UniformSum,
)

MAKERS = {
    "joint": JointLoss,
    "uniform": UniformSum,
    "ogm_ge": OGMGE,
    "ogm": lambda: OGMGE(noise=False),
    "mmpareto": MMPareto,
    "sam": SAM,
    "asam": ASAM,
    "imb_sam": ImbSAM,
    "sse_sam": SSESAM,
    "sse_sam_switches": lambda: SSESAM(switch_after=2),
    "pcgrad": PCGrad,
    "mgda": MGDA,
    "cagrad": CAGrad,
    "cagrad_plain": lambda: CAGrad(c=0.9, rescale=False, scale="mean"),
    "nash_mtl": NashMTL,
    "nash_mtl_long": lambda: NashMTL(max_norm=None),
    **{
        f"sgm_{kind}": (lambda kind=kind: SGM(sharpness=kind, window_warmup=0))
        for kind in ("paper", "grad_norm", "curvature", "curvature_1p", "sam_max")
    },
    "sgm_adaptive": lambda: SGM(adaptive=True, rho=0.5),
    "sgm_path": lambda: SGM(steps=3),
    "sgm_lazy": lambda: SGM(probe_every=3, window_warmup=1),
    "sgm_encoder": lambda: SGM(cosine="encoder", norm="encoder", perturb="shared"),
    "sgm_global": lambda: SGM(norm="global", apply="update", ratio_cap=None),
}
every = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
tasks = pytest.mark.parametrize(
    "make",
    [m for n, m in MAKERS.items() if not n.startswith("ogm")],
    ids=[n for n in MAKERS if not n.startswith("ogm")],
)


def gradients(model):
    return [p.grad.clone() for p in model.parameters() if p.requires_grad]


def assert_equal(first, second):
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


@every
@pytest.mark.parametrize("names", [("oct",), ("oct", "fundus"), ("oct", "fundus", "octa")])
def test_writes_every_gradient(toy, make, names):
    model = toy(names)
    for p in model.parameters():
        p.grad = torch.full_like(p, torch.nan)
    log = make().backward(model, model.closure())
    for name, p in model.named_parameters():
        if name == "frozen":
            assert p.grad.isnan().all()
        elif name == "unused":
            assert (p.grad == 0).all()
        else:
            assert p.grad.shape == p.shape
            assert p.grad.isfinite().all(), name
    assert any(p.grad.abs().sum() > 0 for p in model.shared_parameters())
    assert {"loss", "loss_fusion", *(f"loss_{name}" for name in names)} <= set(log)
    for name, value in log.items():
        assert value.ndim == 0, name
        assert not value.requires_grad, name
        assert value.isfinite(), name


@every
def test_weights_buffers_and_generators_move_once(toy, make):
    """Weights stay bitwise; buffers and torch's generator are as after one plain forward pass."""
    model = toy(seed=4)
    plain, weights = copy.deepcopy(model), [p.detach().clone() for p in model.parameters()]
    torch.manual_seed(5)
    plain.closure()()
    drawn = torch.get_rng_state()
    torch.manual_seed(5)
    balancer = make()
    balancer.backward(model, model.closure())
    assert_equal(model.parameters(), weights)
    assert_equal(model.buffers(), plain.buffers())
    if not isinstance(balancer, OGMGE):  # its noise is drawn after the forward pass, on purpose
        assert torch.equal(torch.get_rng_state(), drawn)


@every
def test_absent_modality(toy, make):
    """A loss of zero without a graph leaves its head at zero gradient and everything finite."""
    model = toy()
    make().backward(model, model.closure(absent=("fundus",)))
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
    assert all((p.grad == 0).all() for p in model.heads["fundus"].parameters())
    assert any(p.grad.abs().sum() > 0 for p in model.encoders["fundus"].parameters())


@every
def test_no_loss_has_a_graph(toy, make):
    model = toy()
    zero = torch.zeros((), dtype=torch.float64)
    names = ("oct", "fundus")
    rows = {"per_sample": torch.zeros(3, dtype=torch.float64), "tail": torch.tensor([True, False, False])}
    losses = Losses(zero, dict.fromkeys(names, zero), dict.fromkeys(names, zero), **rows)
    make().backward(model, lambda: losses)
    assert all((p.grad == 0).all() for p in model.parameters() if p.requires_grad)


@tasks
def test_tasks_without_fusion(toy, make):
    model = toy()
    log = make().backward(model, model.closure(fusion=False))
    assert "loss_fusion" not in log
    assert log["loss"].item() == pytest.approx((log["loss_oct"] + log["loss_fundus"]).item(), rel=1e-12)
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
    assert any(p.grad.abs().sum() > 0 for p in model.encoders["fundus"].parameters())


@every
def test_micro_batches_add_up(toy, make):
    """Two closures of half the loss on the same rows give the step of the whole loss (without dropout)."""
    model = toy(dropout=0.0)
    other = copy.deepcopy(model)

    def half(closure):
        def run():
            losses = closure()
            return Losses(
                losses.fusion / 2,
                {k: v / 2 for k, v in losses.unimodal.items()},
                losses.scores,
                per_sample=losses.per_sample / 2,
                tail=losses.tail,
            )

        return run

    torch.manual_seed(0)
    one = make().backward(model, model.closure())
    torch.manual_seed(0)
    two = make().backward(other, half(other.closure()), half(other.closure()))
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=1e-8, atol=1e-8, msg=name)
    for a, b in zip(gradients(model), gradients(other), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


@every
def test_same_seed_same_bits(toy, make):
    found = []
    for _ in range(2):
        model, balancer = toy(seed=2, dtype=torch.float32), make()
        torch.manual_seed(9)
        for step in range(3):
            balancer.backward(model, model.closure(step))
        found.append(gradients(model))
    assert_equal(*found)


@every
def test_reduction_sees_equally_shaped_lists(toy, make):
    """Two ranks with different data, averaged: gradients of both ranks are then one and the same."""

    def recorder(absent):
        calls = []

        def reduce(tensors):
            calls.append([tuple(each.shape) for each in tensors])
            return tensors

        model, balancer = toy(), make()
        balancer.reduce = reduce
        balancer.backward(model, model.closure(absent=absent))
        return calls

    shapes = [recorder(()), recorder(("fundus",))]
    assert shapes[0] == shapes[1]
    assert shapes[0]


@every
def test_reduction_scales_what_is_written(toy, make):
    """An average that halves everything halves the heads' gradients: nothing goes round the hook."""
    model, other = toy(), toy()
    torch.manual_seed(0)
    make().backward(model, model.closure())
    balancer = make()
    balancer.reduce = lambda tensors: [each / 2 for each in tensors]
    torch.manual_seed(0)
    log = balancer.backward(other, other.closure())
    for a, b in zip(model.head_parameters(), other.head_parameters(), strict=True):
        torch.testing.assert_close(a.grad / 2, b.grad)
    assert log["loss"].isfinite()


@every
def test_stop_and_resume_bit_for_bit(toy, make):
    def run(model, balancer, steps):
        logs = []
        for step in steps:
            torch.manual_seed(step)
            logs.append(balancer.backward(model, model.closure(step)))
            with torch.no_grad():
                for p in model.parameters():
                    if p.requires_grad:
                        p.sub_(0.01 * p.grad)
        return logs

    model, balancer = toy(seed=6, dtype=torch.float32), make()
    run(model, balancer, range(7))
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "balancer": balancer.state_dict()}, file)
    expected = run(model, balancer, range(7, 12))
    file.seek(0)
    stored = torch.load(file, weights_only=True)
    resumed, again = toy(seed=7, dtype=torch.float32), make()
    resumed.load_state_dict(stored["model"])
    again.load_state_dict(stored["balancer"])
    for ours, theirs in zip(run(resumed, again, range(7, 12)), expected, strict=True):
        assert ours.keys() == theirs.keys()
        assert_equal(ours.values(), theirs.values())
    assert_equal(resumed.parameters(), model.parameters())


@every
def test_state_is_a_copy_and_is_checked(toy, make):
    model, balancer = toy(), make()
    state = balancer.state_dict()
    balancer.backward(model, model.closure())
    make().load_state_dict(state)
    with pytest.raises(ValueError, match="expected keys"):
        balancer.load_state_dict({"unknown": 1})


@every
def test_waits_for_nothing(toy, make, monkeypatch):
    """Whatever would read a tensor's value on the host raises."""
    model, balancer = toy(), make()
    closure = model.closure()

    def refuse(*_, **__):
        msg = "read a tensor on the host"
        raise AssertionError(msg)

    with monkeypatch.context() as patch:
        for name in (
            "item",
            "tolist",
            "numpy",
            "cpu",
            "nonzero",
            "__bool__",
            "__float__",
            "__int__",
            "__index__",
            "__array__",
        ):
            patch.setattr(torch.Tensor, name, refuse, raising=False)
        for _ in range(3):
            log = balancer.backward(model, closure)
    assert log["loss"].item() > 0


@every
def test_closure_must_return_losses(toy, make):
    with pytest.raises(TypeError, match="Losses"):
        make().backward(toy(), lambda: torch.zeros(()))


@every
def test_loss_must_be_a_scalar(toy, make):
    losses = Losses(torch.ones(3, requires_grad=True) * 1, {}, {"oct": torch.ones(()), "fundus": torch.ones(())})
    with pytest.raises(ValueError, match="scalar"):
        make().backward(toy(), lambda: losses)


@every
def test_half_precision_model(toy, make):
    """bfloat16 weights: norms and weights are computed in float32, gradients keep the weights' type."""
    model = toy(dtype=torch.bfloat16, dropout=0.0)
    log = make().backward(model, model.closure())
    assert log["loss"].dtype is torch.float32
    for p in model.parameters():
        if p.requires_grad:
            assert p.grad.dtype is torch.bfloat16
            assert p.grad.isfinite().all()
