"""Numbers of an independent implementation, reproduced through autograd."""

import json
from pathlib import Path

import pytest
import torch

from medmd.balancing import SGM, MMPareto, min_norm_weight

GOLDEN = Path(__file__).parents[1] / "golden"
TIGHT = {"rtol": 1e-10, "atol": 1e-10}


def tensors(values):
    return [torch.tensor(value, dtype=torch.float64) for value in values]


def assert_gradients(parameters, expected):
    for parameter, gradient in zip(parameters, tensors(expected), strict=True):
        torch.testing.assert_close(parameter.grad, gradient, **TIGHT)


def settings(case):
    return {key: case[key] for key in ("rho", "gamma_base", "ratio_clip", "window", "window_warmup")}


@pytest.mark.parametrize("index", [0, 1], ids=["aligned", "conflict"])
def test_four_steps_of_sgm(golden_cases, golden_model, index):
    case = golden_cases[index]
    model = golden_model(case["parameters"])
    sgm = SGM(**settings(case))
    optimizer = torch.optim.SGD(model.parameters(), lr=case["lr_sgd"])
    for batch, step in zip(case["batches"], case["steps"], strict=True):
        log = sgm.backward(model, model.closure(batch))
        expected = {
            "loss": step["loss_total"],
            "loss_fusion": step["loss_fusion"],
            **{f"loss_{name}": value for name, value in step["loss_unimodal"].items()},
            **{name: step[name] for name in ("sharpness", "curvature", "gamma", "cosine", "alpha_fusion")},
            "conflict": float(step["cosine"] < 0),
        }
        for name, value in expected.items():
            assert log[name].item() == pytest.approx(value, rel=1e-10, abs=1e-10), name
        assert_gradients(model.shared_parameters(), step["grad_encoders"])
        assert_gradients(model.head_parameters(), step["grad_heads"])
        optimizer.step()


@pytest.mark.parametrize("index", [0, 1], ids=["aligned", "conflict"])
def test_sharpness_without_a_probe(golden_cases, golden_model, index):
    case = golden_cases[index]
    model = golden_model(case["parameters"])
    log = SGM(**settings(case), sharpness="grad_norm").backward(model, model.closure(case["batches"][0]))
    assert log["sharpness"].item() == pytest.approx(case["steps"][0]["sharpness_first_order"], rel=1e-10)


@pytest.mark.parametrize("index", [0, 1], ids=["aligned", "conflict"])
def test_mmpareto(golden_cases, golden_model, index):
    case = golden_cases[index]
    model = golden_model(case["parameters"])
    log = MMPareto(gamma=1.5).backward(model, model.closure(case["batches"][0]))
    for name, expected in case["mmpareto_first_step"].items():
        assert log[f"cosine_{name}"].item() == pytest.approx(expected["cosine"], abs=1e-10)
        assert log[f"alpha_fusion_{name}"].item() == pytest.approx(expected["alpha_fusion"], abs=1e-10)
        assert_gradients(model.encoders[name].parameters(), expected["grad"])


@pytest.mark.parametrize("case", json.loads((GOLDEN / "min_norm.json").read_text()))
def test_min_norm(case):
    weight = min_norm_weight(*tensors([case["mm"], case["uni"]]))
    assert weight.item() == pytest.approx(case["alpha_fusion"], abs=1e-12)
