import math

import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.data import DataLoader
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from medmd.engines import RegressionEvaluator, predict_table


def _evaluate(network, cases, **options):
    evaluator = RegressionEvaluator(
        device="cpu", val_data_loader=DataLoader(cases, batch_size=4), network=network, **options
    )
    evaluator.run()
    return evaluator


def test_the_table_holds_every_case_in_order_and_nan_where_absent(tiny):
    network = tiny.network(norm="batch")
    cases = tiny.cases(10, missing={3: "oct", 8: "fundus"})
    table = _evaluate(network, cases).table

    assert list(table.columns) == ["case_id", "target", "fusion", "oct", "fundus"]
    assert table["case_id"].tolist() == [case["case_id"] for case in cases]
    assert np.array_equal(table["target"], [case["target"].item() for case in cases])
    assert table["oct"].isna().tolist() == [index == 3 for index in range(10)]
    assert table["fundus"].isna().tolist() == [index == 8 for index in range(10)]
    network.eval()
    with torch.no_grad():
        one = network({name: cases[3][name][None] for name in ("oct", "fundus")}, cases[3]["present"][None])
    assert table["fusion"][3] == pytest.approx(one.fusion.item(), rel=1e-6)


def test_metrics_are_those_of_scikit_learn_on_the_whole_table(tiny):
    evaluator = _evaluate(tiny.network(), tiny.cases(10, missing={3: "oct"}), prefix="held")
    table, found = evaluator.table, evaluator.state.metrics

    for column in ("fusion", "oct", "fundus"):
        known = table.dropna(subset=[column])
        pair = known["target"], known[column]
        assert found[f"held_{column}_mse"] == pytest.approx(mean_squared_error(*pair), rel=1e-12)
        assert found[f"held_{column}_mae"] == pytest.approx(mean_absolute_error(*pair), rel=1e-12)
        assert found[f"held_{column}_r2"] == pytest.approx(r2_score(*pair), rel=1e-12)
        variance = known["target"].var(ddof=0)
        assert found[f"held_{column}_mse"] / (1 - found[f"held_{column}_r2"]) == pytest.approx(variance, rel=1e-9)


def test_metrics_do_not_depend_on_the_batches(tiny):
    network, cases = tiny.network(), tiny.cases(10)
    whole = RegressionEvaluator(device="cpu", val_data_loader=DataLoader(cases, batch_size=10), network=network)
    whole.run()

    assert _evaluate(network, cases).state.metrics == pytest.approx(whole.state.metrics, rel=1e-6)


def test_handlers_of_the_evaluator_see_its_metrics(tiny):
    seen = {}

    class Look:
        def attach(self, engine):
            engine.add_event_handler(Events.EPOCH_COMPLETED, lambda e: seen.update(e.state.metrics))

    evaluator = _evaluate(tiny.network(), tiny.cases(6), val_handlers=[Look()])

    assert seen == evaluator.state.metrics
    assert "val_fusion_mse" in seen


def test_cases_without_a_target_are_predicted_and_not_measured(tiny):
    cases = tiny.cases(5)
    for case in cases[:4]:
        case["target"] = torch.tensor(math.nan)
    evaluator = _evaluate(tiny.network(), cases)

    assert len(evaluator.table) == 5
    assert evaluator.table["fusion"].notna().all()
    assert evaluator.state.metrics == {}


def test_a_second_run_starts_a_new_table(tiny):
    evaluator = _evaluate(tiny.network(), tiny.cases(6))
    evaluator.run()

    assert len(evaluator.table) == 6


def test_evaluation_changes_neither_network_nor_mode(tiny):
    network = tiny.network(norm="batch")
    before = tiny.weights(network)
    network.train()
    table = predict_table(network, DataLoader(tiny.cases(6), batch_size=3), "cpu")

    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in tiny.weights(network).items())
    assert len(table) == 6
