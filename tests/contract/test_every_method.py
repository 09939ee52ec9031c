"""What every method of the bundle owes a run, whatever it does: each overlay of `methods/` is trained for a few steps.

New overlays are covered as they come. Where a method may differ from the rule, a table says so, and why.
"""

import copy
import fnmatch
import functools

import method_runs
import pytest
import torch
from ignite.engine import Events
from method_runs import METHODS, STAGES, Training, differences, not_finite, resume, saved_at
from torch.utils.flop_counter import FlopCounterMode

from medmd.engines import ContrastiveTrainer
from medmd.utils import MedmdError
from medmd.workflows.check_config import check_config

# Parameters of a stage that take no gradient on purpose.
WITHOUT_GRADIENT = {
    ("joint_loss", "train"): {"unimodal_heads.*": "the fused loss alone is minimised"},
    ("echomen", "pretrain"): {
        "unimodal_heads.*.experts.*": "experts are trained in stage 2, on frozen encoders",
        "unimodal_heads.*.aggregator.*": "likewise",
    },
    ("contrastive_weight_0", "pretrain"): {"projector.*": "there is no contrastive loss"},
    ("remd_plus", "pretrain"): {"projector.*": "there is no contrastive loss"},
}
# Methods that take another number of modalities than this, and must say so.
REFUSED = {("stage2024", 1): "exchanges maps between two", ("stage2024", 3): "exchanges maps between two"}
# Draws random numbers after the forward pass on purpose: the noise of GE.
DRAWS = {"ogm_ge"}
# Plain steps that a step costs, as the docstrings of the balancers say.
COST = {
    "JointLoss": 1.0,
    "UniformSum": 1.0,
    "OGMGE": 1.0,
    "MMPareto": 1.67,
    "PCGrad": 1.67,
    "MGDA": 1.67,
    "CAGrad": 1.67,
    "NashMTL": 1.67,
    "SAM": 2.0,
    "ASAM": 2.0,
    "ImbSAM": 2.67,
    "SSESAM": 3.67,
    "SGM": 2.34,
}
# The first layer has no gradient of its input, which weighs more in small networks than in those that were measured.
SMALL = 1.05
# What a step moves by the method's own rule.
MOVED = ("network", "optimizer", "scheduler", "balancer")
UNIFORM = {"balancer": {"_target_": "medmd.balancing.UniformSum"}, "train#trainer#tail_threshold": None}
every = pytest.mark.parametrize("method", METHODS)


@pytest.fixture(scope="module")
def datalist(tmp_path_factory):
    return method_runs.write_cohort(tmp_path_factory.mktemp("cohort"))


class Reference:
    """One training of all stages, and what was seen of it."""

    def __init__(self, method, datalist):
        training = Training(method, datalist)
        self.stages = training.stages
        self.values, self.files, self.states = {}, {}, {}
        self.trained = {stage: {} for stage in self.stages}
        for stage in self.stages:
            trainer = training.trainer(stage)
            trainer.add_event_handler(Events.ITERATION_COMPLETED, functools.partial(self._note, stage))
            files = saved_at(trainer, 4)
            self.values |= training.run(stage)
            self.files[stage] = files[0]
            self.states[stage] = training.state(stage)

    def _note(self, stage, engine):
        """By parameter that this stage trains, whether a gradient has ever moved it."""
        named = [(name, each) for name, each in engine.network.named_parameters() if each.requires_grad]
        if isinstance(engine, ContrastiveTrainer):
            named = [(name, each) for name, each in named if name.startswith(("encoders.", "unimodal_heads."))]
            for track in engine.tracks:
                named += [(f"projector.{track.name}.{name}", each) for name, each in track.projector.named_parameters()]
        for name, each in named:
            moves = each.grad is not None and bool(each.grad.any())
            self.trained[stage][name] = self.trained[stage].get(name, False) or moves


@pytest.fixture(scope="module")
def reference(datalist):
    return functools.cache(lambda method: Reference(method, datalist))


def losses(values):
    return {step: {k: v for k, v in found.items() if "loss" in k} for step, found in values.items()}


@every
def test_the_configuration_is_sound(method):
    files = [method_runs.BUNDLE / name for name in ("train.json", "presets/tiny.json", f"methods/{method}.json")]
    report = check_config([str(file) for file in files])
    assert report.ok, report.findings


@every
def test_a_short_training_is_finite_and_deterministic(method, reference, datalist):
    found = reference(method)
    again = Training(method, datalist)
    assert differences(again.run(), found.values) == []
    assert differences(again.state("train"), found.states["train"]) == []
    assert not_finite({str(step): each for step, each in losses(found.values).items()}) == []
    assert not_finite(found.states["train"]["network"]) == []
    assert {stage for stage, _ in found.values} == set(found.stages)


@every
@pytest.mark.parametrize("stage", STAGES)
def test_a_stopped_stage_goes_on_bit_for_bit(method, stage, reference, datalist):
    found = reference(method)
    if stage not in found.stages:
        pytest.skip("the method has no such stage")
    again = Training(method, datalist)
    resume(again.trainer(stage), found.files[stage])
    values = again.run(stage)
    assert differences(again.state(stage), found.states[stage]) == []
    assert values
    assert differences(values, {step: found.values[step] for step in values}) == []


@every
def test_every_parameter_that_should_takes_a_gradient(method, reference):
    found = reference(method)
    for stage in found.stages:
        idle = {name for name, moves in found.trained[stage].items() if not moves}
        patterns = WITHOUT_GRADIENT.get((method, stage), {})
        expected = {name for name in found.trained[stage] if any(fnmatch.fnmatchcase(name, each) for each in patterns)}
        assert idle == expected, stage


@every
@pytest.mark.parametrize("kind", ["absent", "equal", "no_tail"])
def test_odd_batches_give_numbers(method, kind, datalist):
    """One modality missing in all rows, labels all equal, no case of the tail."""
    training = Training(method, datalist, kind=kind, epochs=1)
    values = training.run()
    assert not_finite({str(step): each for step, each in losses(values).items()}) == []
    assert not_finite(training.network.state_dict()) == []
    if kind == "absent" and len(training.names) > 1:
        gone = training.names[1]
        assert all(found.get(f"loss_{gone}", 0.0) == 0.0 for (stage, _), found in values.items() if stage == "train")


@every
@pytest.mark.parametrize("number", [1, 3])
def test_one_modality_and_three(method, number, datalist):
    names = method_runs.NAMES[:number]
    if (method, number) in REFUSED:
        # MONAI says that a component could not be built; what it gives as the cause is for the user.
        with pytest.raises(RuntimeError) as caught:
            Training(method, datalist, names=names)
        assert isinstance(caught.value.__cause__, MedmdError)
        assert "modalities" in str(caught.value.__cause__)
        return
    training = Training(method, datalist, names=names, epochs=1)
    values = training.run()
    assert training.network.modalities == names
    assert not_finite({str(step): each for step, each in losses(values).items()}) == []
    assert not_finite(training.network.state_dict()) == []


@every
def test_bfloat16_is_finite(method, datalist):
    training = Training(method, datalist, epochs=1, settings={"autocast_dtype": "bfloat16"})
    values = training.run()
    assert not_finite({str(step): each for step, each in losses(values).items()}) == []
    assert not_finite(training.network.state_dict()) == []


class FirstStep:
    """What the first step of stage 2 leaves behind besides weights, and what it costs."""

    def __init__(self, method, datalist, settings=None):
        training = Training(method, datalist, epochs=1, settings=settings)
        trainer = training.trainer("train")

        def stop(engine):
            self.generator = torch.get_rng_state()
            items = {name: each for name, each in engine.checkpointables().items() if name not in MOVED}
            states = {"network": dict(engine.network.named_buffers())}
            states |= {name: each.state_dict() for name, each in items.items()}
            self.left = copy.deepcopy(states)
            engine.terminate()

        trainer.add_event_handler(Events.ITERATION_COMPLETED, stop)
        self.balancer = type(trainer.balancer).__name__
        counter = FlopCounterMode(display=False)
        with counter:
            trainer.run()
        self.flops = counter.get_total_flops()


@every
def test_a_step_leaves_and_costs_what_it_should(method, datalist):
    """As one plain forward pass: whatever is looked at again moves no running statistic and draws nothing."""
    ours, plain = FirstStep(method, datalist), FirstStep(method, datalist, UNIFORM)
    assert differences(ours.left, plain.left) == []
    assert torch.equal(ours.generator, plain.generator) == (method not in DRAWS)
    assert ours.balancer in COST, "say in the docstring what a step costs, and here"
    assert ours.flops <= SMALL * COST[ours.balancer] * plain.flops
