import copy
import math

import pytest
import torch
from ignite.engine import Events
from monai.engines.utils import IterationEvents

from medmd.balancing import OGMGE, SGM, Balancer, JointLoss, MMPareto, UniformSum
from medmd.losses import HuberLoss, MeanSquaredErrorLoss, SmapeR2Loss
from medmd.utils import MedmdError

BALANCERS = {"joint": JointLoss, "uniform": UniformSum, "ogm-ge": OGMGE, "mmpareto": MMPareto, "sgm": SGM}


class Watch(Balancer):
    """Keeps what the closures return, then does as `UniformSum`."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.narrow = None

    def backward(self, model, closure, *more):
        self.narrow = torch.is_autocast_enabled("cpu")
        inner = [closure, *more]

        def keep(each):
            def call():
                losses = each()
                self.seen.append(losses)
                return losses

            return call

        return UniformSum().backward(model, *map(keep, inner))


def _record(trainer):
    outputs = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: outputs.append(engine.state.output))
    trainer.run()
    return outputs


def test_one_step_equals_the_formula_written_out(tiny):
    network, cases = tiny.network(), tiny.cases(4, missing={1: "oct"})
    expected = copy.deepcopy(network)
    output = _record(tiny.fusion(network, cases))[0]

    target = torch.stack([case["target"] for case in cases])
    inputs = {name: torch.stack([case[name] for case in cases]) for name in ("oct", "fundus")}
    found = expected(inputs, torch.stack([case["present"] for case in cases]))
    rows = [0, 2, 3]
    loss = (found.fusion - target).square().mean() + (found.unimodal["fundus"] - target).square().mean()
    loss = loss + (found.unimodal["oct"][rows] - target[rows]).square().mean()
    loss.backward()

    assert output["loss"].item() == pytest.approx(loss.item(), rel=1e-6)
    torch.testing.assert_close(output["pred"], found.fusion.detach())
    assert torch.equal(output["label"], target)
    for before, after in zip(expected.parameters(), network.parameters(), strict=True):
        step = 0.0 if before.grad is None else 1e-3 * before.grad
        torch.testing.assert_close(after, before - step)


@pytest.mark.parametrize("name", BALANCERS)
def test_every_balancer_trains_volumes_with_batch_norm_and_missing_inputs(tiny, name):
    network = tiny.volume_network()
    cases = tiny.cases(8, missing={0: "oct", 5: "fundus"})
    for index, case in enumerate(cases):
        case["oct"] = torch.randn(1, 8, 8, 8, generator=torch.Generator().manual_seed(index))
    before = tiny.weights(network)
    outputs = _record(tiny.fusion(network, cases, balancer=BALANCERS[name](), max_epochs=2))
    after = tiny.weights(network)

    assert all(math.isfinite(value) for output in outputs for value in map(float, output["logs"].values()))
    assert {"loss", "loss_fusion", "loss_oct", "loss_fundus"} <= set(outputs[0]["logs"])
    assert all(torch.isfinite(value).all() for value in after.values())
    assert not torch.equal(
        before["encoders.oct." + _first(network.encoders["oct"])],
        after["encoders.oct." + _first(network.encoders["oct"])],
    )
    # One main forward an iteration: probes leave no trace in the statistics.
    counters = [value for key, value in after.items() if key.endswith("num_batches_tracked")]
    assert counters
    assert {int(value) for value in counters} == {4}


def _first(module):
    return next(iter(module.state_dict()))


@pytest.mark.parametrize("name", BALANCERS)
@pytest.mark.parametrize("absent", ["one", "all"])
def test_a_batch_may_lack_a_modality(tiny, name, absent):
    missing = {2: "oct"} if absent == "one" else dict.fromkeys(range(4), "oct")
    network = tiny.network(norm="batch")
    before = tiny.weights(network)
    output = _record(tiny.fusion(network, tiny.cases(4, missing=missing), balancer=BALANCERS[name]()))[0]

    assert math.isfinite(output["loss"].item())
    assert (output["logs"]["loss_oct"].item() == 0.0) == (absent == "all")
    assert torch.isfinite(output["pred"]).all()
    after = tiny.weights(network)
    assert all(torch.isfinite(value).all() for value in after.values())
    untouched = all(torch.equal(after[key], before[key]) for key in before if key.startswith("encoders.oct."))
    assert untouched == (absent == "all")


@pytest.mark.parametrize("parts", [2, 3, 4])
@pytest.mark.parametrize("missing", [{}, {0: "oct", 1: "oct", 6: "fundus"}], ids=["complete", "missing"])
@pytest.mark.parametrize("loss", [MeanSquaredErrorLoss(), HuberLoss()], ids=["mse", "huber"])
def test_micro_batches_give_the_gradient_of_the_whole_batch(tiny, parts, missing, loss):
    cases = tiny.cases(8, missing=missing)
    whole, cut = tiny.network(), tiny.network()
    one = _record(tiny.fusion(whole, cases, batch_size=8, loss_function=loss))[0]
    many = _record(tiny.fusion(cut, cases, batch_size=8, loss_function=loss, micro_batches=parts))[0]

    expected, found = tiny.gradients(whole), tiny.gradients(cut)
    assert expected.keys() == found.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-5)
    for name in ("loss", "loss_fusion", "loss_oct", "loss_fundus"):
        torch.testing.assert_close(many["logs"][name], one["logs"][name])
    torch.testing.assert_close(many["pred"], one["pred"])


@pytest.mark.parametrize("parts", [2, 3])
def test_the_errors_of_ogm_ge_do_not_depend_on_how_a_batch_is_cut(tiny, parts):
    cases = tiny.cases(8, missing={0: "oct", 1: "oct", 2: "oct", 6: "fundus"})
    logs = []
    for number in (1, parts):
        trainer = tiny.fusion(tiny.network(), cases, batch_size=8, balancer=OGMGE(noise=False), micro_batches=number)
        logs.append(_record(trainer)[0]["logs"])
    for name in ("error_oct", "error_fundus", "coefficient_oct", "coefficient_fundus"):
        torch.testing.assert_close(logs[1][name], logs[0][name], msg=name)


def test_sgm_takes_micro_batches(tiny):
    output = _record(tiny.fusion(tiny.network(), tiny.cases(8), batch_size=8, balancer=SGM(), micro_batches=3))[0]

    assert output["pred"].shape == (8,)
    assert output["logs"]["sharpness"].item() > 0


def test_the_prediction_is_that_of_the_first_forward(tiny):
    network = tiny.network()
    cases = tiny.cases(4)
    inputs = {name: torch.stack([case[name] for case in cases]) for name in ("oct", "fundus")}
    expected = network(inputs).fusion.detach()
    output = _record(tiny.fusion(network, cases, balancer=SGM(rho=5.0)))[0]

    assert torch.equal(output["pred"], expected)


def test_a_factor_on_the_update_moves_the_encoders_alone(tiny):
    class Twice(UniformSum):
        def backward(self, model, closure, *more):
            return {**super().backward(model, closure, *more), "update_scale": torch.tensor(2.0)}

    moved = {}
    for name, balancer in (("once", UniformSum()), ("twice", Twice())):
        network = tiny.network()
        before = tiny.weights(network)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=0.1)
        output = _record(tiny.fusion(network, tiny.cases(4), balancer=balancer, optimizer=optimizer))[0]
        assert "update_scale" not in output["logs"]
        moved[name] = {key: value - before[key] for key, value in tiny.weights(network).items()}

    for key, once in moved["once"].items():
        factor = 2.0 if key.startswith("encoders.") else 1.0
        torch.testing.assert_close(moved["twice"][key], factor * once, rtol=1e-4, atol=1e-6)


def test_sgm_on_the_update_differs_from_sgm_on_the_gradient_under_adam(tiny):
    found = {}
    for apply in ("gradient", "update"):
        network = tiny.network()
        before = tiny.weights(network)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        _record(tiny.fusion(network, tiny.cases(4), balancer=SGM(apply=apply), optimizer=optimizer))
        key = "encoders.fundus.layers.0.0.weight"
        found[apply] = (tiny.weights(network)[key] - before[key]).norm().item()

    # In the first step gamma is gamma_base = 1.5, which Adam cancels and the update keeps.
    assert found["update"] == pytest.approx(1.5 * found["gradient"], rel=1e-3)


def test_the_balancer_knows_that_autocast_is_on_and_losses_stay_float32(tiny):
    watch = Watch()
    network = tiny.network()
    output = _record(tiny.fusion(network, tiny.cases(4), balancer=watch, autocast_dtype="bfloat16"))[0]
    plain = _record(tiny.fusion(tiny.network(), tiny.cases(4)))[0]

    assert watch.narrow is True
    assert watch.seen[0].fusion.dtype == torch.float32
    assert output["pred"].dtype == torch.float32
    assert all(p.grad.dtype == torch.float32 for p in network.parameters())
    assert output["loss"].item() == pytest.approx(plain["loss"].item(), rel=0.02)
    assert output["loss"].item() != plain["loss"].item()


@pytest.mark.parametrize("sharpness", ["paper", "grad_norm", "curvature", "sam_max"])
def test_probes_stay_in_full_precision_under_autocast(tiny, sharpness):
    def run(dtype):
        balancer = SGM(sharpness=sharpness, rho=1e-2)
        return _record(tiny.fusion(tiny.network(), tiny.cases(4), balancer=balancer, autocast_dtype=dtype))[0]

    narrow, wide = run("bfloat16"), run(None)
    # bfloat16 has 8 bits: differences of losses near 80 would be lost in steps of 0.3.
    assert narrow["logs"]["sharpness"].item() == pytest.approx(wide["logs"]["sharpness"].item(), rel=0.05)


def test_a_loss_of_torch_is_computed_in_full_precision_too(tiny):
    watch = Watch()
    _record(
        tiny.fusion(
            tiny.network(),
            tiny.cases(4),
            balancer=watch,
            autocast_dtype="bfloat16",
            loss_function=lambda prediction, target: (prediction[None] @ target[:, None]).squeeze(),
        )
    )

    assert watch.seen[0].fusion.dtype == torch.float32


@pytest.mark.parametrize("loss", [MeanSquaredErrorLoss(), SmapeR2Loss(train_variance=16.0)], ids=["mse", "smape-r2"])
@pytest.mark.parametrize("parts", [1, 3])
def test_contributions_sum_to_the_total_and_the_tail_is_marked(tiny, loss, parts):
    watch = Watch()
    cases = tiny.cases(8, missing={1: "oct", 2: "fundus", 7: "oct"})
    plain, split = tiny.network(), tiny.network()
    options = {"batch_size": 8, "loss_function": loss, "micro_batches": parts}
    expected = _record(tiny.fusion(plain, cases, **options))[0]
    output = _record(tiny.fusion(split, cases, balancer=watch, tail_threshold=-12.0, **options))[0]

    assert len(watch.seen) == parts
    for losses in watch.seen:
        torch.testing.assert_close(losses.per_sample.sum(), losses.total({}))
        assert losses.per_sample.requires_grad
    tail = torch.cat([losses.tail for losses in watch.seen])
    assert tail.tolist() == [bool(case["target"] < -12.0) for case in cases]
    assert tail.any()
    assert not tail.all()
    torch.testing.assert_close(output["loss"], expected["loss"])
    for name, value in tiny.gradients(plain).items():
        torch.testing.assert_close(tiny.gradients(split)[name], value, rtol=1e-4, atol=1e-6)
    assert loss.reduction == "mean"


def test_contributions_exist_when_a_batch_lacks_a_modality_altogether(tiny):
    watch = Watch()
    cases = tiny.cases(4, missing=dict.fromkeys(range(4), "oct"))
    _record(tiny.fusion(tiny.network(), cases, balancer=watch, tail_threshold=-12.0))

    assert watch.seen[0].per_sample.shape == (4,)
    assert watch.seen[0].unimodal["oct"].item() == 0.0
    torch.testing.assert_close(watch.seen[0].per_sample.sum(), watch.seen[0].total({}))


def test_without_a_threshold_there_are_no_contributions(tiny):
    watch = Watch()
    _record(tiny.fusion(tiny.network(), tiny.cases(4), balancer=watch))

    assert watch.seen[0].per_sample is None
    assert watch.seen[0].tail is None


def test_a_threshold_needs_a_loss_with_contributions(tiny):
    with pytest.raises(MedmdError, match="got MSELoss"):
        tiny.fusion(tiny.network(), tiny.cases(), loss_function=torch.nn.MSELoss(), tail_threshold=-8.0)


def test_scores_are_mean_absolute_errors_of_the_rows_present(tiny):
    watch, network = Watch(), tiny.network()
    cases = tiny.cases(4, missing={0: "oct"})
    target = torch.stack([case["target"] for case in cases])
    inputs = {name: torch.stack([case[name] for case in cases]) for name in ("oct", "fundus")}
    own = network(inputs, torch.stack([case["present"] for case in cases])).unimodal["oct"].detach()
    _record(tiny.fusion(network, cases, balancer=watch))

    torch.testing.assert_close(watch.seen[0].scores["oct"], (own - target)[1:].abs().mean())


def test_the_gradient_is_clipped_after_balancing_and_its_length_logged(tiny):
    network, free = tiny.network(), tiny.network()
    output = _record(tiny.fusion(network, tiny.cases(4), gradient_clip=1e-2))[0]
    _record(tiny.fusion(free, tiny.cases(4)))

    length = torch.cat([each.flatten() for each in tiny.gradients(free).values()]).norm()
    torch.testing.assert_close(output["logs"]["gradient_norm_unclipped"], length)
    clipped = torch.cat([each.flatten() for each in tiny.gradients(network).values()]).norm()
    assert clipped.item() == pytest.approx(1e-2, rel=1e-3)


def test_handlers_of_the_backward_event_see_this_iterations_output(tiny):
    seen = []
    trainer = tiny.fusion(tiny.network(), tiny.cases(8))
    trainer.add_event_handler(
        IterationEvents.BACKWARD_COMPLETED, lambda engine: seen.append(engine.state.output["label"].clone())
    )
    trainer.run()

    assert torch.equal(torch.cat(seen), torch.stack([case["target"] for case in tiny.cases(8)]))


def test_the_schedule_steps_every_iteration(tiny):
    network = tiny.network()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    trainer = tiny.fusion(network, tiny.cases(12), optimizer=optimizer, scheduler=scheduler, max_epochs=2)
    trainer.run()

    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 * 0.5**6)
    assert set(trainer.checkpointables()) == {"network", "optimizer", "balancer", "skipped", "scheduler"}


def test_no_micro_batch_is_refused(tiny):
    with pytest.raises(MedmdError, match="micro_batches must be at least 1, got 0"):
        tiny.fusion(tiny.network(), tiny.cases(), micro_batches=0)


def test_training_lowers_the_loss(tiny):
    network = tiny.network()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    outputs = _record(tiny.fusion(network, tiny.cases(16), balancer=SGM(), optimizer=optimizer, max_epochs=15))

    first, last = (sum(o["loss"].item() for o in part) for part in (outputs[:4], outputs[-4:]))
    assert last < 0.5 * first
