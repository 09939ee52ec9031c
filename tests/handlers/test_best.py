import math

import pytest
import torch
from ignite.engine import Events

from medmd.balancing import SGM
from medmd.handlers import KeepBest
from medmd.utils import MedmdError


def _script(stage, name, values):
    """Replace a metric of the stage's evaluator by the next of `values` at each validation."""
    rest = iter(values)
    # Before the engine that trains reads it, after the evaluator measured it.
    stage.evaluator.add_event_handler(
        Events.EPOCH_COMPLETED, lambda engine: engine.state.metrics.update({name: next(rest)})
    )


def _weights_by_epoch(stage):
    found = {}

    def keep(engine):
        found[engine.state.epoch] = {name: value.clone() for name, value in stage.network.state_dict().items()}

    stage.trainer.add_event_handler(Events.EPOCH_COMPLETED, keep)
    return found


def _equal(a, b):
    return all(torch.equal(value, b[name]) for name, value in a.items())


def test_the_network_ends_with_its_best_weights(stage, tmp_path):
    run = stage(tmp_path, epochs=4)
    _script(run, "val_fusion_mse", [5.0, 3.0, 4.0, 3.0])
    weights = _weights_by_epoch(run)
    run.run()

    assert run.best.best.epoch == 2
    assert run.best.best.value == 3.0
    assert _equal(run.network.state_dict(), weights[2])
    assert not _equal(weights[4], weights[2])


def test_a_stage_ends_after_its_patience(stage, tmp_path, caplog):
    run = stage(tmp_path, epochs=9, patience=2)
    _script(run, "val_fusion_mse", [5.0, 3.0, 3.0, 4.0, 1.0])
    with caplog.at_level("INFO"):
        run.run()

    assert run.trainer.state.epoch == 4
    assert run.best.best.epoch == 2
    assert "No better val_fusion_mse since epoch 2" in caplog.text


def test_patience_counts_validations(stage, tmp_path):
    run = stage(tmp_path, epochs=20, patience=2, interval=3)
    _script(run, "val_fusion_mse", [3.0, 4.0, 5.0, 6.0])
    run.run()

    assert run.trainer.state.epoch == 9


def test_what_is_no_number_is_never_the_best(stage, tmp_path):
    run = stage(tmp_path, epochs=3)
    _script(run, "val_fusion_mse", [math.nan, 7.0, math.nan])
    run.run()

    assert run.best.best.epoch == 2


def test_without_any_validation_the_last_weights_stay(stage, tmp_path):
    run = stage(tmp_path, epochs=2, interval=5)
    weights = _weights_by_epoch(run)
    run.run()

    assert run.best.best.weights == {}
    assert _equal(run.network.state_dict(), weights[2])


def test_a_name_that_no_metric_has_is_refused(stage, tmp_path):
    run = stage(tmp_path)
    run.best.monitor = "val_fusion_mrse"

    with pytest.raises(MedmdError, match=r"no metric 'val_fusion_mrse', it has \['val_"):
        run.run()


def test_a_worse_epoch_after_a_resume_does_not_replace_the_best(stage, tmp_path):
    # MONAI's CheckpointSaver with save_key_metric forgets the best value on a resume.
    first = stage(tmp_path, epochs=4)
    _script(first, "val_fusion_mse", [5.0, 1.0, 2.0, 2.0])
    weights = _weights_by_epoch(first)
    first.run(stop_at=8)
    resumed = stage(tmp_path, epochs=4, init=9)
    _script(resumed, "val_fusion_mse", [1.5, 1.4])
    resumed.run()

    assert resumed.best.best.epoch == 2
    assert resumed.best.best.value == 1.0
    assert _equal(resumed.network.state_dict(), weights[2])


def test_each_modality_stops_by_itself_and_keeps_its_own_best(stage, tmp_path, caplog):
    run = stage(tmp_path, stage="pretrain", epochs=9, patience=2)
    _script(run, "val_oct_mse", [5.0, 6.0, 7.0, 1.0, 1.0, 1.0, 1.0])
    _script(run, "val_fundus_mse", [5.0, 4.0, 3.0, 2.0, 3.0, 3.0, 1.0])
    weights = _weights_by_epoch(run)
    active = []
    run.trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda e: active.append([t.name for t in e.tracks.active]))
    with caplog.at_level("INFO"):
        run.run()

    assert active == [["oct", "fundus"]] * 2 + [["fundus"]] * 3 + [[]]
    assert {name: best.epoch for name, best in run.best.best.items()} == {"oct": 1, "fundus": 4}
    final = run.network.state_dict()
    for part in ("encoders", "unimodal_heads"):
        own = {name: value for name, value in final.items() if name.startswith(f"{part}.oct.")}
        assert _equal(own, weights[1])
        own = {name: value for name, value in final.items() if name.startswith(f"{part}.fundus.")}
        assert _equal(own, weights[4])
    oct_after_stop = {name: value for name, value in weights[6].items() if ".oct." in name}
    assert _equal(oct_after_stop, weights[3])
    assert {entry.name for entry in run.history if entry.epoch == 5 and entry.name.startswith("oct/")} == set()
    assert "oct: no better validation since epoch 1" in caplog.text


def test_stage_two_starts_from_the_best_of_each(stage, tmp_path):
    one = stage(tmp_path / "one", stage="pretrain", epochs=3)
    _script(one, "val_oct_mse", [5.0, 6.0, 7.0])
    _script(one, "val_fundus_mse", [5.0, 4.0, 6.0])
    weights = _weights_by_epoch(one)
    one.run()
    two = stage(tmp_path / "two", network=one.network, history=one.history, balancer=SGM())
    start = {}
    two.trainer.add_event_handler(
        Events.STARTED, lambda _: start.update({k: v.clone() for k, v in two.network.state_dict().items()})
    )
    two.run()

    assert _equal({name: v for name, v in start.items() if name.startswith("encoders.oct.")}, weights[1])
    assert _equal({name: v for name, v in start.items() if name.startswith("encoders.fundus.")}, weights[2])
    assert {entry.stage for entry in two.history} == {"pretrain", "train"}


def test_a_state_comes_back(stage, tmp_path):
    run = stage(tmp_path, epochs=2).run()
    fresh = KeepBest(evaluator=run.evaluator, network=run.network)
    fresh.load_state_dict(run.best.state_dict())

    assert (fresh.best.value, fresh.best.epoch, fresh.best.waited) == (
        run.best.best.value,
        run.best.best.epoch,
        run.best.best.waited,
    )
    assert _equal(fresh.best.weights, run.best.best.weights)
