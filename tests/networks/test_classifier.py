"""Networks that answer with classes, and with several answers."""

import math

import pytest
import torch
from torch import nn

from medmd.networks import (
    BundleNetwork,
    ClassificationHead,
    MultimodalClassifier,
    MultitaskNetwork,
    SmallCnnEncoder,
    VectorEncoder,
    build_network,
    load_weights,
    save_weights,
)
from medmd.utils import MedmdError

TASKS = {"left": 4, "md": None, "right": 3}


def encoders():
    torch.manual_seed(0)
    return {
        "oct": VectorEncoder(in_features=6, hidden=[8], out_features=8, norm="none"),
        "fundus": SmallCnnEncoder(in_channels=3, planes=[4, 4, 4, 8], norm="group"),
    }


def batch(rows=5):
    generator = torch.Generator().manual_seed(1)
    return {
        "oct": torch.randn(rows, 6, generator=generator),
        "fundus": torch.randn(rows, 3, 16, 16, generator=generator),
    }


PRESENT = torch.tensor([[True, True], [True, False], [False, True], [True, True], [False, True]])


def test_a_classifier_gives_logits_of_every_head():
    network = MultimodalClassifier(encoders(), classes=3).eval()
    found = network(batch(), PRESENT)
    assert found.fusion.shape == (5, 3)
    assert found.fusion.isfinite().all()
    for column, name in enumerate(("oct", "fundus")):
        assert found.unimodal[name].shape == (5, 3)
        assert torch.equal(found.unimodal[name].isnan().any(dim=1), ~PRESENT[:, column])
    prediction, features = network.forward_unimodal("oct", batch()["oct"])
    torch.testing.assert_close(prediction[PRESENT[:, 0]], found.unimodal["oct"][PRESENT[:, 0]])
    assert features.shape == (5, 8)


def test_a_row_does_not_depend_on_the_others():
    network = MultimodalClassifier(encoders(), classes=3).eval()
    whole, inputs = network(batch(), PRESENT).fusion, batch()
    for row in range(5):
        alone = network({name: value[row : row + 1] for name, value in inputs.items()}, PRESENT[row : row + 1])
        torch.testing.assert_close(alone.fusion[0], whole[row])


def test_a_modality_that_nobody_has_is_blank():
    network = MultimodalClassifier(encoders(), classes=3)
    found = network({"oct": batch()["oct"]})
    assert found.unimodal["fundus"].shape == (5, 3)
    assert found.unimodal["fundus"].isnan().all()


def test_heads_start_at_the_logarithms_of_the_frequencies():
    network = MultimodalClassifier(encoders(), classes=3)
    network.set_target_statistics({"start": [0.5, 0.3, 0.2], "frequencies": [1.0, 0.0, 0.0]})
    for head in (*network.unimodal_heads.values(), network.fusion_head):
        probabilities = torch.softmax(head(torch.zeros(2, head.output.in_features)), dim=1)
        torch.testing.assert_close(probabilities[1], torch.tensor([0.5, 0.3, 0.2]))


@pytest.mark.parametrize("wrong", [[0.5, 0.5], [1.0, 0.0, 0.0], [math.nan, 0.5, 0.5], -3.0])
def test_other_frequencies_are_refused(wrong):
    with pytest.raises(MedmdError, match="expected 3 numbers above 0"):
        MultimodalClassifier(encoders(), classes=3).set_output_bias(wrong)


@pytest.mark.parametrize("classes", [1, 2.5, True, "three"])
def test_the_number_of_classes_is_checked(classes):
    with pytest.raises(MedmdError, match="network#classes"):
        MultimodalClassifier(encoders(), classes=classes)
    with pytest.raises(MedmdError, match="two classes"):
        ClassificationHead(in_features=4, classes=1)


def test_a_head_computes_in_full_precision_under_autocast():
    head = ClassificationHead(in_features=4, classes=3, hidden=5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert head(torch.randn(2, 4).bfloat16()).dtype == torch.float32


def test_tasks_share_the_encoders_and_have_a_head_each():
    network = MultitaskNetwork(encoders(), tasks=TASKS)
    found = network(batch(), PRESENT)
    assert {name: tuple(value.shape) for name, value in found.unimodal.items()} == {
        "left": (5, 4),
        "md": (5,),
        "right": (5, 3),
    }
    assert found.fusion.shape == (5, 8)
    torch.testing.assert_close(found.fusion[:, 4], found.unimodal["md"])
    for value in found.unimodal.values():
        loss = value.square().sum()
        gradients = torch.autograd.grad(loss, network.shared_parameters(), retain_graph=True)
        assert all(gradient.abs().sum() > 0 for gradient in gradients)
    assert network.modalities == ("oct", "fundus")
    assert list(network.encoder_parameters()) == ["oct", "fundus"]


def test_one_encoder_is_enough_for_tasks():
    network = MultitaskNetwork({"oct": encoders()["oct"]}, tasks={"left": 4, "right": 3})
    assert network({"oct": batch()["oct"]}).fusion.shape == (5, 7)


def test_tasks_start_where_their_targets_are():
    network = MultitaskNetwork(encoders(), tasks={"left": 2, "md": None})
    network.set_target_statistics({"start": [[0.25, 0.75], -6.0]})
    zeros = torch.zeros(1, 16)
    torch.testing.assert_close(torch.softmax(network.unimodal_heads["left"](zeros), 1), torch.tensor([[0.25, 0.75]]))
    torch.testing.assert_close(network.unimodal_heads["md"](zeros), torch.tensor([-6.0]))
    with pytest.raises(MedmdError, match="left, md"):
        network.set_output_bias([-6.0])


def test_a_network_of_tasks_refuses_stage_one_and_no_task():
    with pytest.raises(MedmdError, match="pretraining"):
        MultitaskNetwork(encoders(), tasks=TASKS).forward_unimodal("oct", batch()["oct"])
    with pytest.raises(MedmdError, match="network#tasks"):
        MultitaskNetwork(encoders(), tasks={})


DESCRIPTION = {"oct": {"_target_": "medmd.networks.VectorEncoder", "in_features": 6}}


@pytest.mark.parametrize(
    "description",
    [
        {"_target_": "medmd.networks.MultimodalClassifier", "encoders": DESCRIPTION, "classes": 3},
        {"_target_": "medmd.networks.MultitaskNetwork", "encoders": DESCRIPTION, "tasks": {"a": 3, "b": None}},
    ],
)
def test_a_description_builds_a_network_whose_weights_return(description, tmp_path):
    network, other = build_network(description).eval(), build_network(description).eval()
    save_weights(network, tmp_path / "weights.safetensors")
    load_weights(other, tmp_path / "weights.safetensors")
    x = {"oct": batch()["oct"]}
    assert torch.equal(network(x).fusion, other(x).fusion)
    assert torch.equal(BundleNetwork(other)(x["oct"]), other(x).fusion)


@pytest.mark.parametrize(
    "description",
    [
        {"_target_": "medmd.networks.MultimodalClassifier", "encoders": DESCRIPTION},
        {"_target_": "medmd.networks.MultimodalClassifier", "encoders": DESCRIPTION, "classes": 1},
        {"_target_": "medmd.networks.MultitaskNetwork", "encoders": DESCRIPTION, "tasks": {"items": 3}},
    ],
)
def test_a_wrong_description_is_refused(description):
    with pytest.raises(MedmdError, match="network"):
        build_network(description)


def test_an_exported_classifier_gives_the_same_numbers():
    network = MultimodalClassifier(encoders(), classes=3).eval()
    bundle = BundleNetwork(network)
    arguments = (batch()["oct"], batch()["fundus"], PRESENT)
    exported = torch.export.export(bundle, arguments)
    torch.testing.assert_close(exported.module()(*arguments), bundle(*arguments))


def test_every_parameter_of_a_classifier_can_learn():
    network = MultimodalClassifier(encoders(), classes=3, fusion_hidden=4).train()
    found = network(batch(), PRESENT)
    loss = found.fusion.square().sum() + sum(each.nan_to_num().square().sum() for each in found.unimodal.values())
    loss.backward()
    assert [name for name, each in network.named_parameters() if each.grad is None] == []
    assert isinstance(network.fusion_head.hidden, nn.Linear)
