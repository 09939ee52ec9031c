import pytest
import torch
from torch import nn

from medmd.networks import MultimodalRegressor, Predictions, ResNetEncoder, SmallCnnEncoder, VectorEncoder
from medmd.utils import MedmdError

SHAPES = {"oct": (1, 8, 16, 16), "fundus": (3, 16, 16), "age": (3,)}
MAKERS = {
    "oct": lambda: ResNetEncoder(spatial_dims=3, in_channels=1, depth=10, planes=[4, 4, 4, 5], stem_size=3),
    "fundus": lambda: SmallCnnEncoder(in_channels=3, planes=[4, 4, 4, 6]),
    "age": lambda: VectorEncoder(in_features=3, hidden=[7], out_features=4, norm="batch"),
}
NAMES = ("oct", "fundus", "age")


def make(count=3, **options):
    torch.manual_seed(0)
    network = MultimodalRegressor({name: MAKERS[name]() for name in NAMES[:count]}, **options)
    network.set_output_bias(-4.5)
    # Tokens that differ from each other show where they are used.
    for index, token in enumerate(network.tokens.values()):
        nn.init.constant_(token, 0.1 * (index + 1))
    return network


def batch(rows=6, count=3, seed=1, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(rows, *SHAPES[name], generator=generator, dtype=dtype) for name in NAMES[:count]}


def total(predictions, target=0.0):
    losses = [(predictions.fusion - target).square().mean()]
    for values in predictions.unimodal.values():
        here = ~values.isnan()
        losses += [(values[here] - target).square().mean()] if here.any() else []
    return sum(losses)


def buffers(module):
    return {name: value.clone() for name, value in module.named_buffers()}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_shapes_and_names(count):
    network = make(count)
    predictions = network(batch(count=count))
    assert isinstance(predictions, Predictions)
    assert network.modalities == NAMES[:count]
    assert predictions.fusion.shape == (6,)
    assert list(predictions.unimodal) == list(predictions.features) == list(NAMES[:count])
    widths = {"oct": 5, "fundus": 6, "age": 4}
    for name in NAMES[:count]:
        assert predictions.unimodal[name].shape == (6,)
        assert predictions.features[name].shape == (6, widths[name])
    assert network.fusion_head.output.in_features == sum(widths[name] for name in NAMES[:count])


def test_fusion_is_the_linear_head_on_the_concatenation():
    network = make(2).eval()
    predictions = network(batch(count=2))
    weight, bias = network.fusion_head.output.weight[0], network.fusion_head.output.bias
    joined = torch.cat([predictions.features["oct"], predictions.features["fundus"]], dim=1)
    torch.testing.assert_close(predictions.fusion, joined @ weight + bias)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_row_does_not_depend_on_the_presence_of_others_in_evaluation(rows):
    network = make().double().eval()
    inputs = batch(dtype=torch.float64)
    generator = torch.Generator().manual_seed(2)
    for _ in range(5):
        present = torch.rand(6, 3, generator=generator) < 0.6
        present[:, 0] |= ~present.any(dim=1)
        together = network(inputs, present)
        for row in range(0, 6, rows):
            part = {name: value[row : row + rows] for name, value in inputs.items()}
            alone = network(part, present[row : row + rows])
            torch.testing.assert_close(together.fusion[row : row + rows], alone.fusion, rtol=1e-10, atol=1e-10)
            for name in NAMES:
                expected = alone.unimodal[name]
                got = together.unimodal[name][row : row + rows]
                torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10, equal_nan=True)


@pytest.mark.parametrize("training", [False, True])
def test_permuting_the_rows_permutes_the_predictions(training):
    network = make().double().train(training)
    inputs = batch(dtype=torch.float64)
    present = torch.tensor([[1, 1, 1], [1, 0, 0], [0, 1, 1], [1, 1, 0], [0, 0, 1], [1, 0, 1]], dtype=torch.bool)
    order = torch.tensor([3, 5, 0, 1, 4, 2])
    straight = network(inputs, present)
    permuted = network({name: value[order] for name, value in inputs.items()}, present[order])
    torch.testing.assert_close(permuted.fusion, straight.fusion[order], rtol=1e-9, atol=1e-9)
    for name in NAMES:
        torch.testing.assert_close(
            permuted.unimodal[name], straight.unimodal[name][order], rtol=1e-9, atol=1e-9, equal_nan=True
        )


def test_the_token_stands_exactly_where_the_modality_is_absent():
    network = make(2).eval()
    present = torch.tensor([[1, 1], [0, 1], [1, 0], [1, 1], [0, 1], [1, 1]], dtype=torch.bool)
    predictions = network(batch(count=2), present)
    for column, name in enumerate(("oct", "fundus")):
        is_token = (predictions.features[name] == network.tokens[name]).all(dim=1)
        assert torch.equal(is_token, ~present[:, column])
        assert torch.equal(predictions.unimodal[name].isnan(), ~present[:, column])
    assert predictions.fusion.isfinite().all()


def test_what_stands_in_absent_rows_is_never_read():
    network = make(2)
    present = torch.tensor([[1, 1], [0, 1], [1, 1], [1, 1], [0, 1], [1, 1]], dtype=torch.bool)
    clean, spoilt = batch(count=2), batch(count=2)
    spoilt["oct"][~present[:, 0]] = torch.nan
    first, second = network(clean, present), network(spoilt, present)
    assert torch.equal(first.fusion, second.fusion)
    total(second).backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


def test_batch_statistics_come_from_present_rows_only():
    network = make(2)
    inputs = batch(count=2)
    present = torch.ones(6, 2, dtype=torch.bool)
    present[4:, 0] = False
    predictions = network(inputs, present)
    value, feature = make(2).forward_unimodal("oct", inputs["oct"][:4])
    assert torch.equal(predictions.features["oct"][:4], feature)
    assert torch.equal(predictions.unimodal["oct"][:4], value)


def test_all_present_is_the_same_with_and_without_the_table():
    first, second = make(), make()
    inputs = batch()
    a, b = first(inputs), second(inputs, torch.ones(6, 3, dtype=torch.bool))
    assert torch.equal(a.fusion, b.fusion)
    total(a).backward()
    total(b).backward()
    for left, right in zip(first.parameters(), second.parameters(), strict=True):
        assert (left.grad is None) == (right.grad is None)
        assert left.grad is None or torch.equal(left.grad, right.grad)
    assert all(torch.equal(value, buffers(second)[name]) for name, value in buffers(first).items())


def test_a_modality_left_out_is_absent_in_every_row():
    network = make()
    inputs = batch()
    present = torch.ones(6, 3, dtype=torch.bool)
    present[:, 1] = False
    without = {name: inputs[name] for name in ("oct", "age")}
    before = buffers(network.encoders["fundus"])
    network.eval()
    a, b = network(without), network(inputs, present)
    assert torch.equal(a.fusion, b.fusion)
    assert a.unimodal["fundus"].isnan().all()
    network.train()
    network(without)
    after = buffers(network.encoders["fundus"])
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_unimodal_loss_reaches_its_own_encoder_and_head_only():
    network = make()
    predictions = network(batch())
    for name in NAMES:
        network.zero_grad()
        predictions.unimodal[name].square().mean().backward(retain_graph=True)
        reached = {key for key, parameter in network.named_parameters() if parameter.grad is not None}
        own = {
            key
            for key, _ in network.named_parameters()
            if key.startswith((f"encoders.{name}.", f"unimodal_heads.{name}."))
        }
        assert reached == own


def test_the_token_learns_where_it_is_used():
    network = make(2)
    present = torch.ones(6, 2, dtype=torch.bool)
    present[:2, 1] = False
    total(network(batch(count=2), present)).backward()
    assert network.tokens["fundus"].grad.abs().sum() > 0
    assert network.tokens["oct"].grad is None


def test_gradients_agree_with_finite_differences():
    network = make(2).double()
    inputs = batch(rows=4, count=2, dtype=torch.float64)
    present = torch.tensor([[1, 1], [1, 0], [0, 1], [1, 1]], dtype=torch.bool)
    network.eval()
    for parameter in (network.tokens["oct"], network.encoders["fundus"].layers[3][0].weight):
        network.zero_grad()
        total(network(inputs, present), -3.0).backward()
        where = parameter.grad.abs().flatten().argmax()
        with torch.no_grad():
            values = []
            for step in (1e-6, -2e-6):
                parameter.view(-1)[where] += step
                values.append(total(network(inputs, present), -3.0).item())
            parameter.view(-1)[where] += 1e-6
        assert (values[0] - values[1]) / 2e-6 == pytest.approx(parameter.grad.flatten()[where].item(), rel=1e-5)


@pytest.mark.parametrize("count", [0, 1])
def test_statistics_stay_with_no_or_one_present_row(count):
    network = make()
    network(batch())  # running statistics that differ from the fresh ones
    before = {name: buffers(encoder) for name, encoder in network.encoders.items()}
    present = torch.ones(6, 3, dtype=torch.bool)
    present[count:, 1] = False
    predictions = network(batch(seed=3), present)
    changed = {
        name: any(not torch.equal(value, buffers(network.encoders[name])[key]) for key, value in old.items())
        for name, old in before.items()
    }
    assert changed == {"oct": True, "fundus": False, "age": True}
    assert all(module.training for module in network.modules())
    if count:
        network.eval()
        alone = network.forward_unimodal("fundus", batch(seed=3)["fundus"][:1])[0]
        torch.testing.assert_close(predictions.unimodal["fundus"][:1], alone)


def test_one_row_is_enough_to_train():
    network = make()
    before = buffers(network)
    loss = total(network(batch(rows=1)))
    loss.backward()
    assert loss.isfinite()
    assert all(torch.equal(value, buffers(network)[name]) for name, value in before.items())
    assert all(p.grad is not None for group in network.encoder_parameters().values() for p in group)


def test_forward_unimodal_is_that_part_of_forward():
    network = make().eval()
    inputs = batch()
    predictions = network(inputs)
    for name in NAMES:
        value, feature = network.forward_unimodal(name, inputs[name])
        assert torch.equal(value, predictions.unimodal[name])
        assert torch.equal(feature, predictions.features[name])


def test_parameter_groups():
    network = make(2)
    groups = network.encoder_parameters()
    assert list(groups) == ["oct", "fundus"]
    flat = network.shared_parameters()
    assert [id(p) for group in groups.values() for p in group] == [id(p) for p in flat]
    assert len({id(p) for p in flat}) == len(flat)
    heads = {id(p) for name, p in network.named_parameters() if not name.startswith("encoders.")}
    assert heads | {id(p) for p in flat} == {id(p) for p in network.parameters()}
    network.encoders["oct"].requires_grad_(False)
    assert network.encoder_parameters()["oct"] == []


def test_zero_features_give_the_mean():
    network = make()
    for name, head in network.unimodal_heads.items():
        zeros = torch.zeros(2, network.tokens[name].shape[0])
        assert head(zeros).tolist() == [-4.5, -4.5]


def test_the_range_option_bounds_every_output():
    network = make(2, output_range=[-40, 6], fusion_hidden=8)
    network.set_output_bias(-4.5)
    inputs = {name: 1e4 * value for name, value in batch(count=2).items()}
    predictions = network.eval()(inputs)
    for values in (predictions.fusion, *predictions.unimodal.values()):
        assert ((values >= -40) & (values <= 6)).all()


def test_bfloat16_encoders_float32_outputs():
    network = make(2)
    present = torch.ones(6, 2, dtype=torch.bool)
    present[0, 1] = False
    seen = {}
    handle = network.encoders["fundus"].register_forward_hook(lambda *call: seen.update(dtype=call[2].dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        predictions = network(batch(count=2), present)
    handle.remove()
    assert seen["dtype"] == torch.bfloat16
    tensors = [predictions.fusion, *predictions.unimodal.values(), *predictions.features.values()]
    assert {tensor.dtype for tensor in tensors} == {torch.float32}
    # The readout itself was computed in float32: its outputs are not on bfloat16's coarse grid.
    assert not torch.equal(predictions.fusion, predictions.fusion.bfloat16().float())
    total(predictions).backward()
    assert network.fusion_head.output.weight.grad.dtype == torch.float32


def test_double_precision_stays_double():
    predictions = make().double()(batch(dtype=torch.float64))
    assert predictions.fusion.dtype == predictions.features["oct"].dtype == torch.float64


@pytest.mark.parametrize("table", [None, torch.tensor([[1, 1, 1], [1, 0, 0], [0, 1, 1], [1, 1, 0]], dtype=torch.bool)])
def test_no_look_at_the_device(table):
    """On the meta device whatever needs a value from the device raises; so would it synchronise on an accelerator."""
    network = make().to("meta")
    predictions = network({name: value.to("meta") for name, value in batch(rows=4).items()}, table)
    assert predictions.fusion.shape == (4,)
    assert predictions.fusion.device.type == "meta"


def test_state_names_are_stable():
    names = set(make(2).state_dict())
    assert {"tokens.oct", "unimodal_heads.fundus.output.weight", "fusion_head.output.bias"} <= names
    roots = {"encoders.oct", "encoders.fundus", "tokens.oct", "tokens.fundus", "unimodal_heads.oct"}
    roots |= {"unimodal_heads.fundus", "fusion_head.output"}
    assert {".".join(name.split(".")[:2]) for name in names} == roots


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: {"oct": x["oct"], "oc": x["fundus"]}, "Unknown modality 'oc'"),
        (lambda x: {}, "Every modality is absent"),
        (lambda x: {**x, "oct": x["oct"][:2]}, "different batch sizes"),
        (lambda x: {**x, "oct": x["oct"][:, 0]}, r"Modality 'oct': expected shape \(B, 1, slices, rows, columns\)"),
        (lambda x: {**x, "fundus": x["fundus"][:, :1]}, "Modality 'fundus': expected shape"),
        (lambda x: {**x, "fundus": x["fundus"].to(torch.uint8)}, "Input 'fundus': expected a float tensor.*uint8"),
        (lambda x: {**x, "fundus": [1.0]}, "Input 'fundus': expected a float tensor.*list"),
    ],
)
def test_wrong_inputs(change, words):
    with pytest.raises(MedmdError, match=words):
        make(2)(change(batch(count=2)))


@pytest.mark.parametrize(
    ("present", "words"),
    [
        (torch.ones(6, 2), "expected a bool tensor of shape"),
        (torch.ones(6, 3, dtype=torch.bool), r"\(6, 2\).*\['oct', 'fundus'\].*got bool of shape \(6, 3\)"),
        ([True], "got list"),
        (torch.tensor([[1, 1]] * 4 + [[0, 0]] * 2, dtype=torch.bool), r"absent in batch row \[4, 5\]"),
    ],
)
def test_wrong_presence(present, words):
    with pytest.raises(MedmdError, match=words):
        make(2)(batch(count=2), present)


def test_presence_of_a_modality_that_is_not_given():
    with pytest.raises(MedmdError, match=r"'fundus' exists in batch row \[0, 1, 2, 3, 4, 5\]"):
        make(2)({"oct": batch()["oct"]}, torch.ones(6, 2, dtype=torch.bool))


@pytest.mark.parametrize("name", ["", "1st", "o.ct", "a-b", "present", "keys", "forward", "type", 3])
def test_names_that_cannot_be(name):
    with pytest.raises(MedmdError, match="cannot name a modality"):
        MultimodalRegressor({name: MAKERS["age"]()})


def test_wrong_encoders():
    with pytest.raises(MedmdError, match="at least one modality"):
        MultimodalRegressor({})
    with pytest.raises(TypeError, match="encoders#age: expected a torch module with an integer out_features, got ReLU"):
        MultimodalRegressor({"age": nn.ReLU()})
    shared = MAKERS["age"]()
    with pytest.raises(ValueError, match="shares parameters with 'a'"):
        MultimodalRegressor({"a": shared, "b": shared})


def test_an_encoder_that_breaks_its_word():
    network = make(3)
    network.encoders["age"].layers.append(nn.Linear(4, 2))
    with pytest.raises(ValueError, match=r"Encoder of 'age': expected \(B, 4\) features, got \(6, 2\)"):
        network(batch())
