"""What a trainer keeps of its newest step."""

import math

import pytest
import torch
from ignite.engine import Events

from medmd.balancing import SGM
from medmd.engines._record import spread

MISSING = {1: "oct", 2: "fundus"}


def _records(trainer):
    seen = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: seen.append((engine.seen, dict(engine.logs))))
    trainer.run()
    return seen


@pytest.mark.parametrize("parts", [1, 2])
def test_stage_two_keeps_cases_predictions_and_losses_of_the_first_forward(tiny, parts):
    cases = tiny.cases(8, missing=MISSING)
    trainer = tiny.fusion(tiny.network(), cases, micro_batches=parts, balancer=SGM(window_warmup=0))
    outputs = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: outputs.append(engine.state.output["pred"]))
    (first, logs), (second, _) = _records(trainer)
    table = first.table()

    assert (first.epoch, first.iteration, second.iteration) == (1, 1, 2)
    assert first.case_ids == ["c000", "c001", "c002", "c003"]
    assert list(table) == [
        "target", "input oct", "input fundus", "prediction fusion", "prediction oct", "prediction fundus",
    ]  # fmt: skip
    assert table["prediction fusion"] == outputs[0].double().tolist()
    assert table["target"] == [float(case["target"]) for case in cases[:4]]
    assert table["input oct"] == pytest.approx([float(case["oct"].sum()) for case in cases[:4]], rel=1e-5)
    assert [first.is_present(row, "prediction oct") for row in range(4)] == [True, False, True, True]
    assert [first.is_present(row, "input fundus") for row in range(4)] == [True, True, False, True]
    assert all(first.is_present(row, "prediction fusion") and first.is_present(row, "target") for row in range(4))
    assert first.loss_values() == pytest.approx(
        {name: logs[name].item() for name in ("loss_fusion", "loss_oct", "loss_fundus")}, rel=1e-6
    )


def test_stage_one_keeps_each_modality_in_its_cases_rows(tiny):
    trainer = tiny.contrastive(tiny.network(), tiny.cases(8, missing=MISSING))
    outputs = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: outputs.append(engine.state.output["pred"]))
    (first, logs), _ = _records(trainer)
    table = first.table()

    assert [value for row, value in enumerate(table["prediction oct"]) if row != 1] == outputs[0].double().tolist()
    assert first.loss_values() == {
        f"{name}/{part}": logs[f"{name}/{part}"].item()
        for name in ("oct", "fundus")
        for part in ("loss", "regression", "contrastive")
    }


def test_a_record_is_there_when_the_step_raised(tiny):
    cases = tiny.cases(4)
    cases[2]["oct"][1] = math.inf
    trainer = tiny.fusion(tiny.network(), cases)
    with torch.autograd.set_detect_anomaly(True), pytest.raises(RuntimeError, match="returned nan values"):
        trainer.run()

    table = trainer.seen.table()
    assert [math.isfinite(value) for value in table["input oct"]] == [True, True, False, True]
    assert math.isnan(trainer.seen.loss_values()["loss_fusion"])


def test_nothing_but_small_tensors_is_kept_alive(tiny):
    trainer = tiny.fusion(tiny.network(), tiny.cases(4))
    (record, _), = _records(trainer)  # fmt: skip
    kept = [part for parts in record.columns.values() for part in parts] + list(record.losses.values())

    assert all(part.numel() <= 4 and not part.requires_grad for part in kept)


def test_values_are_spread_over_rows():
    values = torch.tensor([1.0, 2.0])
    assert spread(values, None, 2) is values
    assert spread(values, torch.tensor([0, 2]), 4).tolist() == [1.0, 0.0, 2.0, 0.0]
