"""Numbers of an independent implementation, reproduced through autograd."""

import json
from pathlib import Path

import pytest
import torch

from medmd.losses import AdaptiveMarginSupConLoss, SmapeR2Loss

GOLDEN = Path(__file__).parents[1] / "golden"


def load(name):
    return json.loads((GOLDEN / name).read_text())


def vector(values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("case", load("margin.json"))
def test_margin(case):
    loss = AdaptiveMarginSupConLoss(
        initial_margin=case["m0"], decay_rate=case["decay"], warmup_iterations=case["warmup"]
    )
    assert loss.margin(case["t"]) == pytest.approx(case["value"], rel=1e-12)


@pytest.mark.parametrize("case", load("adaptive_margin_supcon.json"))
def test_adaptive_margin(case):
    loss = AdaptiveMarginSupConLoss(initial_margin=case["margin"], warmup_iterations=1, temperature=case["temperature"])
    features = vector(case["z"]).requires_grad_()
    value = loss(features, vector(case["labels"]), 0)
    value.backward()
    assert value.item() == pytest.approx(case["loss"], rel=1e-10, abs=1e-10)
    torch.testing.assert_close(features.grad, vector(case["grad_z"]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("case", load("smape_r2.json"))
def test_smape_r2(case):
    loss = SmapeR2Loss(
        min_denominator=case["delta"], min_variance_ratio=case["kappa"], train_variance=case["train_variance"]
    )
    prediction = vector(case["pred"]).requires_grad_()
    value = loss(prediction, vector(case["target"]))
    value.backward()
    assert value.item() == pytest.approx(case["loss"], rel=1e-10, abs=1e-10)
    torch.testing.assert_close(prediction.grad, vector(case["grad_pred"]), rtol=1e-10, atol=1e-10)
