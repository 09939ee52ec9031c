"""Training that cannot be training says so."""

import pytest
import torch
from monai.data import DataLoader

from medmd.engines import RegressionEvaluator
from medmd.engines._batch import require_batches
from medmd.utils import MedmdError


class _Network(torch.nn.Module):
    modalities = ("oct",)

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, inputs, present):
        from medmd.networks import Predictions

        found = torch.full((len(inputs["oct"]),), self.value)
        return Predictions(fusion=found.clone(), unimodal={"oct": found}, features={})


def _items(number):
    return [
        {"oct": torch.zeros(2), "present": torch.tensor([True]), "target": torch.tensor(float(i)), "case_id": f"c{i}"}
        for i in range(number)
    ]


def test_a_loader_without_a_batch_is_refused_with_both_numbers():
    loader = DataLoader(_items(5), batch_size=8, drop_last=True)
    with pytest.raises(MedmdError, match="5 training cases give no batch of 8"):
        require_batches("train", loader)
    require_batches("train", DataLoader(_items(8), batch_size=8, drop_last=True))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_predictions_that_are_no_number_are_not_left_out_of_the_metrics(value):
    evaluator = RegressionEvaluator(
        device="cpu", val_data_loader=DataLoader(_items(4), batch_size=2), network=_Network(value)
    )
    with pytest.raises(MedmdError, match=r"4 of 4 predictions from fusion are not finite \(first: case c0\)"):
        evaluator.run()


def test_constant_predictions_are_measured_without_a_warning():
    evaluator = RegressionEvaluator(
        device="cpu", val_data_loader=DataLoader(_items(4), batch_size=2), network=_Network(1.5)
    )
    evaluator.run()
    assert evaluator.state.metrics["val_fusion_mae"] == pytest.approx(1.0)
