"""A loss or weight that is no number ends a stage with the case's name, and reaches no checkpoint."""

import dataclasses
import json
import logging
import math

import pytest
import torch
from torch import Tensor

from medmd.handlers import RequireFinite
from medmd.handlers._finite import not_finite
from medmd.losses import SmapeR2Loss
from medmd.utils import MedmdError, sha256_file

READS = ("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__")
VICTIM = "c003"


class Steep(SmapeR2Loss):
    """Finite everywhere, with a slope without bound for one target."""

    def __init__(self, target):
        super().__init__(train_variance=16.0)
        self.target = target

    def forward(self, prediction, target):
        other = (target != self.target).all().to(prediction.dtype)
        return super().forward(prediction, target) + (prediction - prediction.detach() + other).sqrt().mean()


def spoil(made, *, epoch, name="oct", value=math.nan):
    """From `epoch` on, one number of the victim's input is `value`, after every check of the data."""
    prepare = made.trainer.prepare_batch

    def spoiled(*arguments, **keywords):
        batch = prepare(*arguments, **keywords)
        if VICTIM in batch.case_ids and made.trainer.state.epoch >= epoch:
            if name == "target":
                batch = dataclasses.replace(batch, target=batch.target.clone())
                batch.target[batch.case_ids.index(VICTIM)] = value
            else:
                batch.inputs[name][batch.case_ids.index(VICTIM)].view(-1)[0] = value
        return batch

    made.trainer.prepare_batch = spoiled
    return made


@pytest.fixture
def guarded(stage):
    """`guarded(folder, …)`: a stage with the guard, as the bundle has it."""

    def make(folder, *, name="train", replay=None, max_skipped=10, **options):
        def guard(recorder):
            return RequireFinite(recorder=recorder, stage=name, folder=replay, max_skipped=max_skipped)

        made = stage(folder, stage=name, before=(guard,), **options)
        finite = next(
            handler.__self__
            for handlers in made.trainer._event_handlers.values()
            for handler, *_ in handlers
            if isinstance(getattr(handler, "__self__", None), RequireFinite)
        )
        made.checkpoint.objects["finite"] = finite
        return made

    return make


def names(made):
    return [path.name for path in made.checkpoint.files()]


@pytest.mark.parametrize("name", ["train", "pretrain"])
@pytest.mark.parametrize("log_every", [1, 100])
def test_the_stage_ends_with_stage_step_loss_and_case(guarded, tmp_path, name, log_every):
    good = guarded(tmp_path, name=name, epochs=1, log_every=log_every, scheduler=None).run()
    before = {path.name: sha256_file(path) for path in good.checkpoint.files()}
    made = spoil(guarded(tmp_path, name=name, epochs=3, every=1, log_every=log_every, scheduler=None, init=5), epoch=2)
    with pytest.raises(MedmdError) as caught:
        made.run()

    text, bad = str(caught.value), made.trainer.seen.iteration
    first = next(entry for entry in made.history if entry.name.endswith("loss") and not math.isfinite(entry.value))
    assert text.startswith(f"{name}: stopped at step {first.iteration} of epoch 2: ")
    assert ("oct/regression nan" if name == "pretrain" else "loss_fusion nan and loss_oct nan") in text
    assert f"Not finite: the input oct of case {VICTIM}. Nothing was saved after it." in text
    assert first.iteration <= bad <= 6
    assert {path.name: sha256_file(path) for path in made.checkpoint.files()}.items() >= before.items() or (
        # With room for two, steps of this epoch before the bad one may have taken the place.
        max(names(made)) == f"checkpoint-{first.iteration - 1:08d}.pt"
    )
    assert all(int(path.stem[-8:]) < first.iteration for path in made.checkpoint.files())
    for path in made.checkpoint.files():
        state = torch.load(path, weights_only=True)["objects"]["network"]
        assert all(value.isfinite().all() for value in state.values())


def test_the_same_command_goes_on_once_the_cause_is_mended(guarded, same, tmp_path):
    whole = guarded(tmp_path / "whole").run()
    with pytest.raises(MedmdError):
        spoil(guarded(tmp_path / "stopped"), epoch=2).run()
    mended = guarded(tmp_path / "stopped", init=99).run()

    assert same(whole.everything(), mended.everything()) == []


@pytest.mark.parametrize(("name", "value"), [("target", math.nan), ("fundus", math.inf)])
def test_other_causes(guarded, tmp_path, name, value):
    with pytest.raises(MedmdError, match=rf"the (input )?{name} of case {VICTIM}\. .* `medmd check`"):
        spoil(guarded(tmp_path), epoch=1, name=name, value=value).run()


def test_an_infinite_learning_rate_is_told_with_its_settings(guarded, stage, tmp_path):
    network = stage(tmp_path / "other").network
    optimizer = torch.optim.SGD(network.parameters(), lr=1e38)
    made = guarded(tmp_path, network=network, optimizer=optimizer, scheduler=None, interval=99)
    with pytest.raises(MedmdError, match=r"learning_rate \(now 1e\+38\) or set gradient_clip \(now off; 1.0, say\)"):
        made.run()
    assert names(made) == []


def test_the_learning_rate_is_told_as_it_was_set_not_as_a_schedule_left_it(guarded, stage, tmp_path):
    network = stage(tmp_path / "other").network
    optimizer = torch.optim.SGD(network.parameters(), lr=1e38)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.0 if step else 1.0)
    made = guarded(tmp_path, network=network, optimizer=optimizer, scheduler=scheduler, interval=99)
    with pytest.raises(MedmdError, match=r"learning_rate \(now 1e\+38\)"):
        made.run()


def order(stage, folder):
    """The dataset and the cases of the first epoch in their order."""
    loader = stage(folder).trainer.data_loader
    loader.sampler.set_epoch(1)
    return loader.dataset, [case for batch in loader for case in batch["case_id"]]


def target_of(dataset, case):
    return next(item["target"] for item in (dataset[i] for i in range(len(dataset))) if item["case_id"] == case)


@pytest.mark.parametrize("every", [0, 1])
def test_weights_that_a_finite_loss_made_infinite_are_not_saved(guarded, stage, tmp_path, every):
    # In the last step of an epoch: no loss after it could tell.
    dataset, cases = order(stage, tmp_path / "probe")
    steep = Steep(target_of(dataset, cases[-1]))
    made = guarded(tmp_path / "run", epochs=2, every=every, interval=99, loss_function=steep)
    with pytest.raises(MedmdError) as caught:
        made.run()

    text = str(caught.value)
    assert made.trainer.seen.iteration == 3
    assert all(math.isfinite(value) for value in made.trainer.seen.loss_values().values())
    assert text.startswith(
        "train: stopped at step 3 of epoch 1: finite losses, but values that are not after it (network."
    )
    assert cases[-1] in text
    assert names(made) == [f"checkpoint-{number:08d}.pt" for number in (1, 2)] * bool(every)


def test_weights_that_a_finite_loss_made_infinite_are_told_at_the_next_step(guarded, stage, tmp_path):
    dataset, cases = order(stage, tmp_path / "probe")
    made = guarded(tmp_path / "run", loss_function=Steep(target_of(dataset, cases[0])), log_every=100)
    with pytest.raises(MedmdError, match=r"step 2 of epoch 1: loss_fusion nan.* So the step before left weights that"):
        made.run()


def test_nothing_waits_for_the_device_between_two_reads(guarded, tmp_path, monkeypatch):
    made = guarded(tmp_path, log_every=100)
    guard = made.checkpoint.objects["finite"]
    after, seen = guard._after_iteration, []

    def watched(engine):
        with monkeypatch.context() as patch:
            for name in READS:
                patch.setattr(Tensor, name, lambda *_, name=name: seen.append(name))
            after(engine)

    made.trainer._event_handlers[_iteration_completed()] = [
        (watched if getattr(handler, "__func__", None) is RequireFinite._after_iteration else handler, *rest)
        for handler, *rest in made.trainer._event_handlers[_iteration_completed()]
    ]
    made.run()
    assert made.trainer.state.iteration == 9
    assert seen == []


def _iteration_completed():
    from ignite.engine import Events

    return Events.ITERATION_COMPLETED


@pytest.mark.parametrize("name", ["train", "pretrain"])
def test_skipped_steps_are_told_and_counted_through_a_resume(guarded, same, tmp_path, name, caplog):
    def make(folder, **options):
        return spoil(guarded(folder, name=name, nonfinite="skip", every=1, **options), epoch=2)

    with caplog.at_level(logging.WARNING, logger="medmd"):
        whole = make(tmp_path / "whole").run()
    lines = [line.getMessage() for line in caplog.records if "skipped" in line.getMessage()]
    make(tmp_path / "stopped").run(stop_at=8)
    resumed = make(tmp_path / "stopped", init=9).run()

    assert len(lines) == 2
    assert f"the input oct of case {VICTIM}" in lines[0]
    assert "2 so far" in lines[1]
    key = "train" if name == "train" else "oct"
    assert resumed.trainer.skipped.total[key] == 2
    assert [e.value for e in whole.history if e.name.endswith("skipped") and "sharp" not in e.name][-1] in (0.0, 2.0)
    assert same(whole.everything(), resumed.everything()) == []


def test_too_many_skipped_steps_in_a_row_end_the_stage(guarded, tmp_path):
    made = guarded(tmp_path, nonfinite="skip", max_skipped=2, replay=None)
    made.trainer.loss_function = None
    made.trainer.measure = lambda prediction, target: (prediction - target).mean() * math.inf
    with pytest.raises(MedmdError, match=r"step 2 of epoch 1: 2 steps in a row were skipped \(max_skipped\), the last"):
        made.run()
    assert made.trainer.skipped.in_a_row == {"train": 2}


def test_the_state_is_empty_and_a_stage_without_faults_is_untouched(guarded, stage, same, tmp_path):
    made = guarded(tmp_path / "with").run()
    plain = stage(tmp_path / "without").run()
    guard = made.checkpoint.objects["finite"]

    assert guard.state_dict() == {}
    guard.load_state_dict({})
    assert RequireFinite(recorder=made.recorder, stage="train").state_dict() == {}
    assert same(made.everything(), plain.everything()) == []


def test_empty_places_of_a_balancer_are_no_fault_but_a_memory_of_the_optimizer_is(stage, tmp_path):
    made = stage(tmp_path, epochs=1).run()
    assert any(value.isnan().any() for value in _window(made))
    assert not_finite(made.trainer) == []
    next(iter(made.trainer.optimizer.state.values()))["exp_avg_sq"][...] = math.inf
    assert not_finite(made.trainer) == ["optimizer.state.0.exp_avg_sq"]


def _window(made):
    return [made.trainer.balancer.state_dict()["window"]["values"]]


def test_max_skipped_must_be_one_at_least(stage, tmp_path):
    with pytest.raises(MedmdError, match="max_skipped must be at least 1, got 0"):
        RequireFinite(recorder=stage(tmp_path).recorder, stage="train", max_skipped=0)


def test_a_replay_is_written_with_the_newest_good_checkpoint(guarded, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    made = spoil(guarded(run / "checkpoints" / "train", replay=run), epoch=2)
    with pytest.raises(
        MedmdError, match=r"`python replay/train-step-(\d)/replay.py` in the run's folder shows"
    ) as caught:
        made.run()

    (place,) = (run / "replay").iterdir()
    facts = json.loads((place / "step.json").read_text())
    assert str(caught.value).startswith(facts["what"])
    assert place.name == f"train-step-{facts['step']}"
    assert facts["losses"]["loss_oct"] == "nan"
    victim = next(case for case in facts["cases"] if case["case_id"] == VICTIM)
    assert victim["input oct"] == "nan"
    assert [path.name for path in (place / "checkpoints" / "train").iterdir()] == ["checkpoint-00000003.pt"]
    assert sha256_file(place / "checkpoints/train/checkpoint-00000003.pt") == sha256_file(made.checkpoint.files()[-1])
    assert (place / "run.json").read_text() == "{}"
    assert str(tmp_path) not in "".join(path.read_text() for path in place.glob("*.*"))
    assert f"train,2,{facts['step']},loss_oct,\n" in (place / "history.csv").read_text()


def test_a_replay_that_cannot_be_written_does_not_hide_the_error(guarded, tmp_path, small_disk):
    run = small_disk("1m")
    small_disk.read_only(run)
    with pytest.raises(MedmdError, match=rf"case {VICTIM}\. .* No replay could be written: .*[Rr]ead-only"):
        spoil(guarded(tmp_path / "checkpoints", replay=run), epoch=1).run()
