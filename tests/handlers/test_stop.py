"""A signal ends a stage after the running step, and the next start makes the run that was never stopped."""

import itertools
import logging
import signal
from types import FunctionType

import pytest
import torch
from ignite.engine import Events

from medmd.balancing import Balancer, ImbSAM
from medmd.utils import STOP, Stopped, stop_signals

STEPS = 9
OPTIONS = {"SGM": [{}, {"window": 4, "window_warmup": 1, "apply": "update", "probe_every": 2}]}


def balancers():
    """Every method that there is, SGM with its options too: a new one is tested without being named here."""
    import medmd.balancing as folder

    found = [getattr(folder, name) for name in folder.__all__]
    methods = [it for it in found if isinstance(it, type) and issubclass(it, Balancer) and it is not Balancer]
    return [pytest.param(m, o, id=f"{m.__name__} {o}") for m in methods for o in OPTIONS.get(m.__name__, [{}])]


def interrupt(run, event, number=signal.SIGTERM):
    """Train `run` until the signal that comes with `event` of the trainer, or of (engine, event), ends it."""
    engine, event = event if isinstance(event, tuple) else (run.trainer, event)
    engine.add_event_handler(event, lambda: signal.raise_signal(number))
    with pytest.raises(Stopped) as caught, stop_signals() as stop, stop.held():
        run.trainer.run()
    assert caught.value.signum == number
    return run


def final(run):
    """All that the run leaves, its newest checkpoint too."""
    newest = run.checkpoint.files()[-1]
    return {"run": run.everything(), "file": torch.load(newest, weights_only=True), "name": newest.name}


def stop_again_and_again(make, folder, places, **options):
    """Start, stop at the first place, start, stop at the second, …, and let the last start end; options made anew."""

    def settings():
        return {name: value() if callable(value) else value for name, value in options.items()}

    first = []
    for init, place in enumerate(places):
        run = make(folder, init=init, **settings())
        interrupt(run, place(run) if isinstance(place, FunctionType) else place)
        first.append(run.trainer.state.iteration)
    return final(make(folder, init=99, **settings()).run()), first


def at(iteration):
    return Events.ITERATION_STARTED(once=iteration)


def awaiting(iteration):
    """While the batch after that iteration is loaded."""
    return Events.GET_BATCH_STARTED(lambda engine, _: engine.state.iteration == iteration)


def in_validation(epoch):
    """The second of the batches of the validation after `epoch`."""

    def place(run):
        return run.evaluator, Events.ITERATION_STARTED(
            lambda engine, _: run.trainer.state.epoch == epoch and engine.state.iteration == 2
        )

    return place


def what_it_needs(method):
    """Options of the trainer."""
    return {"tail_threshold": -8.0} if issubclass(method, ImbSAM) else {}


@pytest.mark.parametrize(("method", "arguments"), balancers())
def test_each_method_stopped_within_epochs(stage, same, tmp_path, method, arguments):
    options = {"balancer": lambda: method(**arguments), **what_it_needs(method)}
    whole = final(stage(tmp_path / "whole" / "train", balancer=method(**arguments), **what_it_needs(method)).run())
    stopped, iterations = stop_again_and_again(stage, tmp_path / "cut" / "train", [at(2), at(7), at(8)], **options)

    assert iterations == [2, 7, 8]
    assert same(whole, stopped) == []


@pytest.mark.parametrize(
    ("name", "options"), [("train", {}), ("pretrain", {"queue": 6}), ("pretrain", {"views": 2, "queue": 6})], ids=str
)
def test_stopped_after_every_step_and_in_every_validation(stage, same, tmp_path, name, options):
    whole = stage(tmp_path / "whole" / name, stage=name, **options).run()
    steps, length = whole.trainer.state.iteration, whole.trainer.state.epoch_length
    places = []
    for iteration in range(1, steps + 1):
        places.append(at(iteration))
        if iteration % length == 0:
            places.append(in_validation(iteration // length))
    stopped, iterations = stop_again_and_again(stage, tmp_path / "cut" / name, places, stage=name, **options)

    assert iterations == sorted([*range(1, steps + 1), *range(length, steps + 1, length)])
    assert same(final(whole), stopped) == []


# On a busy machine a worker may be told to end while it still starts; PyTorch then complains from a destructor.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("name", "options"), [("train", {}), ("pretrain", {"queue": 6, "views": 2})], ids=str)
def test_with_workers(stage, same, tmp_path, name, options):
    whole = final(stage(tmp_path / "whole" / name, stage=name, **options).run())
    places = [at(2), in_validation(1), at(8)]
    stopped, _ = stop_again_and_again(stage, tmp_path / "cut" / name, places, stage=name, workers=2, **options)

    assert same(whole, stopped) == []


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("method", "arguments"), balancers())
def test_each_method_stopped_after_every_step(stage, same, tmp_path, method, arguments, workers):
    whole = final(stage(tmp_path / "whole" / "train", balancer=method(**arguments), **what_it_needs(method)).run())
    places = list(itertools.chain(map(at, range(1, STEPS + 1)), [in_validation(3)]))
    options = {"balancer": lambda: method(**arguments), "workers": workers, **what_it_needs(method)}
    stopped, _ = stop_again_and_again(stage, tmp_path / "cut" / "train", places, **options)

    assert same(whole, stopped) == []


def test_while_a_batch_is_awaited_no_further_step_is_made(stage, same, tmp_path):
    whole = final(stage(tmp_path / "whole" / "train").run())
    done = [2, 3, 4]
    places = [awaiting(number) for number in done]
    stopped, iterations = stop_again_and_again(stage, tmp_path / "cut" / "train", places)

    assert iterations == done
    assert same(whole, stopped) == []


def test_before_the_first_step_there_is_nothing_to_save(stage, tmp_path):
    run = interrupt(stage(tmp_path / "train"), awaiting(0))

    assert run.trainer.state.iteration == 0
    assert run.checkpoint.files() == []


def test_patience_that_runs_out_in_a_validation_that_was_broken_off(stage, same, tmp_path):
    options = {"stage": "pretrain", "patience": 1, "epochs": 12}
    whole = stage(tmp_path / "whole" / "pretrain", **options).run()
    last = whole.trainer.state.epoch
    assert last < 12
    stopped, _ = stop_again_and_again(stage, tmp_path / "cut" / "pretrain", [in_validation(last)], **options)

    assert same(final(whole), stopped) == []


def test_a_signal_at_the_end_of_a_stage_that_stops_early(stage, same, tmp_path):
    options = {"patience": 1, "epochs": 12}
    whole = stage(tmp_path / "whole" / "train", **options).run()
    last = Events.EPOCH_COMPLETED(once=whole.trainer.state.epoch)
    stopped, _ = stop_again_and_again(stage, tmp_path / "cut" / "train", [last], **options)

    assert same(final(whole), stopped) == []


def test_the_end_is_told_and_saved_without_the_option_of_checkpoints_inside_an_epoch(stage, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        run = interrupt(stage(tmp_path / "train"), at(5), signal.SIGINT)

    assert [path.name for path in run.checkpoint.files()] == ["checkpoint-00000003.pt", "checkpoint-00000005.pt"]
    assert "train: ends on request after step 5." in caplog.text
    assert not STOP.installed
