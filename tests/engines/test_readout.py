"""Classes and tasks through both trainers and the evaluator."""

import numpy as np
import pytest
import torch
from monai.data import DataLoader

from medmd.balancing import MGDA, OGMGE, SGM, UniformSum
from medmd.engines import RegressionEvaluator, predict_table
from medmd.losses import ClassificationLoss, MultitaskLoss, SupConLoss
from medmd.metrics import classification_metrics, probability_columns
from medmd.networks import MultimodalClassifier, MultitaskNetwork, SmallCnnEncoder, VectorEncoder
from medmd.utils import MedmdError


def encoders():
    torch.manual_seed(0)
    return {
        "oct": VectorEncoder(in_features=6, hidden=[8], out_features=8, norm="none"),
        "fundus": SmallCnnEncoder(in_channels=3, planes=[4, 4, 4, 8], norm="group"),
    }


def of_classes(cases):
    """The tiny cases with a class that the vector shows."""
    return [{**case, "target": torch.tensor(int(case["oct"].sum() > -6))} for case in cases]


def of_tasks(cases):
    return [
        {**case, "target": torch.tensor([float(place % 3), float(case["oct"].mean())])}
        for place, case in enumerate(cases)
    ]


MISSING = {1: "oct", 5: "fundus"}


def test_stage_two_trains_classes(tiny):
    cases = of_classes(tiny.cases(12, missing=MISSING))
    for balancer in (UniformSum(), SGM(), MGDA(), OGMGE(noise=False)):
        network = MultimodalClassifier(encoders(), classes=2)
        before = tiny.weights(network)
        trainer = tiny.fusion(network, cases, loss_function=ClassificationLoss(), balancer=balancer)
        trainer.run()
        assert trainer.state.output["pred"].shape == (4, 2)
        assert all(value.isfinite().all() for value in trainer.logs.values())
        moved = [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]
        assert {name.split(".")[0] for name in moved} >= {"encoders", "unimodal_heads", "fusion_head"}


def test_a_step_of_uniform_sum_is_the_gradient_of_the_summed_cross_entropies(tiny, collate):
    cases = of_classes(tiny.cases(4))
    network = MultimodalClassifier(encoders(), classes=2)
    twin = MultimodalClassifier(encoders(), classes=2)
    twin.load_state_dict(network.state_dict())
    tiny.fusion(network, cases, loss_function=ClassificationLoss(), max_epochs=1).run()
    batch = collate(cases)
    found = twin({"oct": batch["oct"], "fundus": batch["fundus"]})
    heads = (found.fusion, *found.unimodal.values())
    sum(torch.nn.functional.cross_entropy(head, batch["target"]) for head in heads).backward()
    expected = tiny.gradients(twin)
    for name, gradient in tiny.gradients(network).items():
        torch.testing.assert_close(gradient, expected.get(name, torch.zeros_like(gradient)))


def test_micro_batches_of_classes_give_the_gradient_of_the_whole(tiny):
    cases = of_classes(tiny.cases(4, missing={1: "oct"}))
    found = []
    for parts in (1, 2):
        network = MultimodalClassifier(encoders(), classes=2)
        tiny.fusion(network, cases, loss_function=ClassificationLoss(), micro_batches=parts).run()
        found.append(tiny.gradients(network))
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("parts", [2, 3])
def test_micro_batches_leave_unknown_classes_out(tiny, parts):
    """Two of the first four classes are unknown: the parts weigh by what is known."""
    cases = of_classes(tiny.cases(8, missing={1: "oct", 6: "fundus"}))
    for place in (0, 2):
        cases[place]["target"] = torch.tensor(-1)
    found, logs = [], []
    for number in (1, parts):
        network = MultimodalClassifier(encoders(), classes=2)
        balancer = OGMGE(noise=False, unimodal="all")
        options = {"loss_function": ClassificationLoss(), "batch_size": 8, "balancer": balancer}
        trainer = tiny.fusion(network, cases, micro_batches=number, **options)
        trainer.run()
        found.append(tiny.gradients(network))
        logs.append(trainer.logs)
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-4, atol=1e-6)
    for name, value in logs[0].items():
        torch.testing.assert_close(logs[1][name], value, msg=name)


def test_micro_batches_leave_unknown_tasks_out(tiny):
    cases = of_tasks(tiny.cases(8))
    cases[0]["target"][0], cases[1]["target"][1], cases[2]["target"][1] = -1, torch.nan, torch.nan
    found, logs = [], []
    for parts in (1, 2, 3):
        network = MultitaskNetwork(encoders(), tasks={"kind": 3, "md": None})
        trainer = tiny.fusion(network, cases, loss_function=MultitaskLoss(), batch_size=8, micro_batches=parts)
        trainer.run()
        found.append(tiny.gradients(network))
        logs.append(trainer.logs)
    for cut in (1, 2):
        for name, gradient in found[0].items():
            torch.testing.assert_close(found[cut][name], gradient, rtol=1e-4, atol=1e-6)
        for name in ("loss", "loss_kind", "loss_md"):
            torch.testing.assert_close(logs[cut][name], logs[0][name])


def test_stage_one_trains_classes_alone_and_contrasts_equal_ones(tiny):
    cases = of_classes(tiny.cases(12, missing=MISSING))
    network = MultimodalClassifier(encoders(), classes=2)
    options = {"loss_function": ClassificationLoss(), "label_space": "target"}
    trainer = tiny.contrastive(network, cases, contrastive_loss=SupConLoss(bin_width=1.0), **options)
    trainer.run()
    assert trainer.logs["oct/contrastive"] > 0
    assert trainer.logs["oct/regression"].isfinite()
    assert trainer.state.output["pred"].shape[1] == 2


def test_stage_one_refuses_a_network_of_tasks(tiny):
    network = MultitaskNetwork(encoders(), tasks={"kind": 3, "md": None})
    with pytest.raises(MedmdError, match="pretraining"):
        tiny.contrastive(network, of_tasks(tiny.cases()), loss_function=ClassificationLoss())


@pytest.mark.parametrize("balancer", [UniformSum, SGM, MGDA])
def test_stage_two_trains_tasks(tiny, balancer):
    cases = of_tasks(tiny.cases(12, missing=MISSING))
    network = MultitaskNetwork(encoders(), tasks={"kind": 3, "md": None})
    trainer = tiny.fusion(network, cases, loss_function=MultitaskLoss(scales={"md": 0.5}), balancer=balancer())
    before = tiny.weights(network)
    trainer.run()
    assert {"loss_kind", "loss_md"} <= set(trainer.logs)
    assert "loss_fusion" not in trainer.logs
    assert any(not torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_ogm_ge_compares_modalities_and_refuses_tasks(tiny):
    network = MultitaskNetwork(encoders(), tasks={"kind": 3, "md": None})
    trainer = tiny.fusion(network, of_tasks(tiny.cases()), loss_function=MultitaskLoss(), balancer=OGMGE())
    with pytest.raises(ValueError, match="expects a fused loss"):
        trainer.run()


def test_the_first_task_stands_against_the_sum_of_the_others(tiny, collate):
    """MGDA's log of the cosine is that of these two gradients on the encoders."""
    cases = of_tasks(tiny.cases(4))
    network = MultitaskNetwork(encoders(), tasks={"kind": 3, "md": None})
    loss, batch = MultitaskLoss(), collate(cases)
    found = loss.losses(network({"oct": batch["oct"], "fundus": batch["fundus"]}), batch["target"], {})[1]
    shared = network.shared_parameters()
    gradients = [
        torch.cat([each.flatten() for each in torch.autograd.grad(value, shared, retain_graph=True)])
        for value in found.values()
    ]
    expected = torch.nn.functional.cosine_similarity(*gradients, dim=0)
    trainer = tiny.fusion(network, cases, loss_function=loss, balancer=MGDA())
    trainer.run()
    torch.testing.assert_close(trainer.logs["cosine"], expected, rtol=1e-4, atol=1e-5)


def test_the_table_of_classes_holds_indices_and_probabilities(tiny, collate):
    cases = of_classes(tiny.cases(8, missing=MISSING))
    network = MultimodalClassifier(encoders(), classes=2).eval()
    evaluator = RegressionEvaluator(device="cpu", val_data_loader=DataLoader(cases, batch_size=3), network=network)
    evaluator.run()
    table = evaluator.table
    assert list(table.columns) == [
        "case_id", "target", "fusion", "fusion_p0", "fusion_p1", "oct", "oct_p0", "oct_p1", "fundus", "fundus_p0",
        "fundus_p1",
    ]  # fmt: skip
    batch = collate(cases)
    with torch.no_grad():
        found = network({"oct": batch["oct"], "fundus": batch["fundus"]}, batch["present"])
    np.testing.assert_allclose(table[["fusion_p0", "fusion_p1"]], torch.softmax(found.fusion, 1), atol=1e-6)
    np.testing.assert_array_equal(table["fusion"], found.fusion.argmax(dim=1))
    assert table[["oct", "oct_p0", "oct_p1"]].isna().all(axis=1).tolist() == [place == 1 for place in range(8)]
    expected = classification_metrics(table["target"], table[["fusion_p0", "fusion_p1"]])
    assert evaluator.state.metrics["val_fusion_log_loss"] == expected["log_loss"]
    assert evaluator.state.metrics["val_oct_accuracy"] == pytest.approx(
        (table["oct"] == table["target"])[table["oct"].notna()].mean()
    )
    assert probability_columns(table, "oct") == ["oct_p0", "oct_p1"]
    assert probability_columns(table, "target") == []


def test_a_diverged_classifier_is_not_taken_for_a_good_one(tiny):
    network = MultimodalClassifier(encoders(), classes=2)
    torch.nn.init.constant_(network.unimodal_heads["oct"].output.weight, torch.nan)
    with pytest.raises(MedmdError, match="predictions from oct are not finite"):
        predict_table(network, DataLoader(of_classes(tiny.cases()), batch_size=4), "cpu")


def test_the_table_of_tasks_holds_each_and_repeats_the_first(tiny):
    cases = of_tasks(tiny.cases(9, missing=MISSING))
    network = MultitaskNetwork(encoders(), tasks={"kind": 3, "md": None}).eval()
    evaluator = RegressionEvaluator(device="cpu", val_data_loader=DataLoader(cases, batch_size=4), network=network)
    evaluator.run()
    table, metrics = evaluator.table, evaluator.state.metrics
    assert table["target"].tolist() == table["task_kind_target"].tolist() == [place % 3 for place in range(9)]
    assert table["fusion"].equals(table["task_kind"].rename("fusion"))
    error = table["task_md"] - table["task_md_target"]
    assert metrics["val_md_mse"] == pytest.approx((error**2).mean())
    assert metrics["val_tasks_loss"] == pytest.approx((metrics["val_kind_log_loss"] + 1 - metrics["val_md_r2"]) / 2)


def test_cases_without_a_target_are_predicted(tiny):
    blank = [{**case, "target": torch.tensor(torch.nan)} for case in tiny.cases(4)]
    for network in (
        MultimodalClassifier(encoders(), classes=2),
        MultitaskNetwork(encoders(), tasks={"kind": 3, "md": None}),
    ):
        table = predict_table(network, DataLoader(blank, batch_size=2), "cpu")
        assert table["target"].isna().all()
        assert table["fusion"].notna().all()
