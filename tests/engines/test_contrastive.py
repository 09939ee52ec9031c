import copy
import math

import pytest
import torch
from ignite.engine import Events

from medmd.losses import AdaptiveMarginSupConLoss, SmapeR2Loss
from medmd.utils import MedmdError


def _record(trainer):
    outputs = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: outputs.append(engine.state.output))
    trainer.run()
    return outputs


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_one_step_equals_the_formula_written_out(tiny, weight):
    network = tiny.network()
    cases = tiny.cases(4)
    trainer = tiny.contrastive(network, cases, contrastive_weight=weight)
    expected = copy.deepcopy(network)
    projectors = {track.name: copy.deepcopy(track.projector) for track in trainer.tracks}
    outputs = _record(trainer)

    target = torch.stack([case["target"] for case in cases])
    total = 0.0
    for name in ("oct", "fundus"):
        encoder, head, projector = expected.encoders[name], expected.unimodal_heads[name], projectors[name]
        features = encoder(torch.stack([case[name] for case in cases]))
        loss = (head(features) - target).square().mean()
        if weight:
            z = torch.nn.functional.normalize(projector(features))
            v = (target + 8.0) / 4.0
            positive = ((v[:, None] - v[None]).abs() < 0.4) & ~torch.eye(4, dtype=torch.bool)
            log_p = (z @ z.T / 0.1).masked_fill(torch.eye(4, dtype=torch.bool), -math.inf).log_softmax(1)
            rows = [-log_p[i][positive[i]].mean() for i in range(4) if positive[i].any()]
            assert rows
            loss = loss + weight * torch.stack(rows).mean()
        loss.backward()
        total += loss.item()
        for part, found in ((encoder, network.encoders[name]), (head, network.unimodal_heads[name])):
            for before, after in zip(part.parameters(), found.parameters(), strict=True):
                torch.testing.assert_close(after, before - 1e-3 * before.grad)
    assert outputs[0]["loss"].item() == pytest.approx(total, rel=1e-5)


def test_only_encoders_heads_and_projectors_move(tiny):
    network = tiny.network()
    before = tiny.weights(network)
    trainer = tiny.contrastive(network, tiny.cases(), modalities=["fundus"])
    projector = tiny.weights(trainer.tracks["fundus"].projector)
    trainer.run()

    moved = {name for name, value in tiny.weights(network).items() if not torch.equal(value, before[name])}
    assert moved
    assert all(name.startswith(("encoders.fundus.", "unimodal_heads.fundus.")) for name in moved)
    after = tiny.weights(trainer.tracks["fundus"].projector)
    assert all(not torch.equal(after[name], projector[name]) for name in projector)


def test_a_stopped_modality_is_left_alone_and_does_not_shift_the_other(tiny):
    def run(active):
        network = tiny.network(dropout=0.3)
        trainer = tiny.contrastive(network, tiny.cases(16))
        trainer.tracks["fundus"].active = active
        _record(trainer)
        return tiny.weights(network)

    fresh, both, alone = tiny.weights(tiny.network(dropout=0.3)), run(True), run(False)

    assert all(torch.equal(both[name], alone[name]) for name in both if ".oct." in name)
    assert all(torch.equal(fresh[name], alone[name]) for name in both if ".fundus." in name)
    assert not all(torch.equal(fresh[name], both[name]) for name in both if ".fundus." in name)


def test_logs_have_the_losses_the_margin_and_the_anchors_without_a_positive(tiny):
    cases = tiny.cases(4)
    for case, target in zip(cases, [-1.0, -1.5, -13.0, -20.0], strict=True):
        case["target"] = torch.tensor(target)
    logs = _record(tiny.contrastive(tiny.network(), cases))[0]["logs"]

    for name in ("oct", "fundus"):
        assert logs[f"{name}/margin"].item() == pytest.approx(0.4)
        # z-scores: -1 and -1.5 dB are 0.125 apart, -13 and -20 dB 1.75.
        assert logs[f"{name}/share_without_positive"].item() == 0.5
        assert logs[f"{name}/share_without_positive_tail"].item() == 1.0
        assert logs[f"{name}/share_without_positive_head"].item() == 0.0
        expected = logs[f"{name}/regression"] + 0.5 * logs[f"{name}/contrastive"]
        torch.testing.assert_close(logs[f"{name}/loss"], expected)
    assert all(value.ndim == 0 and not value.requires_grad for value in logs.values())


def test_labels_of_the_margin_may_stay_in_their_own_unit(tiny):
    cases = tiny.cases(4)
    for case, target in zip(cases, [-1.0, -1.5, -13.0, -20.0], strict=True):
        case["target"] = torch.tensor(target)
    logs = _record(tiny.contrastive(tiny.network(), cases, label_space="target"))[0]["logs"]

    # 0.5 dB apart is outside a margin of 0.4 dB.
    assert logs["oct/share_without_positive"].item() == 1.0


def test_the_margin_counts_the_iterations_of_the_optimizer(tiny):
    loss = AdaptiveMarginSupConLoss(warmup_iterations=1, decay_rate=0.5)
    outputs = _record(tiny.contrastive(tiny.network(), tiny.cases(16), contrastive_loss=loss))

    expected = [0.4, 0.4, 0.4 * math.exp(-0.5), 0.4 * math.exp(-1.0)]
    assert [each["logs"]["oct/margin"].item() for each in outputs] == pytest.approx(expected)


@pytest.mark.parametrize("absent", ["none", "one", "all"])
def test_rows_without_the_modality_take_no_part(tiny, absent):
    missing = {"none": {}, "one": {2: "oct"}, "all": dict.fromkeys(range(4), "oct")}[absent]
    cases = tiny.cases(4, missing=missing)
    network = tiny.network()
    outputs = _record(tiny.contrastive(network, cases, modalities=["oct"]))
    kept = [case for case in cases if case["present"][0]]
    reference = tiny.network()
    if kept:
        tiny.contrastive(reference, kept, modalities=["oct"]).run()

    found, expected = tiny.weights(network), tiny.weights(reference)
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert len(outputs[0]["pred"]) == len(outputs[0]["label"]) == len(kept)
    assert (outputs[0]["loss"].item() == 0.0) == (absent == "all")
    assert ("oct/loss" in outputs[0]["logs"]) == bool(kept)


def test_a_single_row_leaves_the_statistics_of_batch_norm(tiny):
    network = tiny.network(norm="batch")
    before = {name: value for name, value in tiny.weights(network).items() if "running" in name and ".oct." in name}
    missing = dict.fromkeys(range(1, 4), "oct")
    outputs = _record(tiny.contrastive(network, tiny.cases(4, missing=missing)))
    after = tiny.weights(network)

    assert before
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert math.isfinite(outputs[0]["loss"].item())
    assert not torch.equal(after["encoders.fundus.layers.0.1.running_mean"], torch.zeros(4))


def test_two_views_give_every_anchor_a_positive(tiny):
    cases = [case for case in tiny.cases(4) for _ in range(2)]
    loss = AdaptiveMarginSupConLoss(warmup_iterations=0, initial_margin=1e-6)
    for index, case in enumerate(cases):
        cases[index] = {**case, "oct": case["oct"] + 0.1 * index}
    plain = _record(tiny.contrastive(tiny.network(), cases, contrastive_loss=loss, batch_size=8))[0]["logs"]
    logs = _record(tiny.contrastive(tiny.network(), cases, contrastive_loss=loss, batch_size=8, views=2))[0]["logs"]

    assert logs["oct/share_without_positive"].item() == 0.0
    assert logs["oct/positives"].item() == 1.0
    # Equal labels are within any margin, hence the same pairs, and the same loss up to the order of addition.
    torch.testing.assert_close(logs["oct/contrastive"], plain["oct/contrastive"])
    torch.testing.assert_close(logs["oct/regression"], plain["oct/regression"])


def test_a_modality_dropped_from_one_view_keeps_its_regression_only(tiny):
    cases = [dict(case) for case in tiny.cases(2) for _ in range(2)]
    cases[1]["present"] = cases[2]["present"] = torch.tensor([False, True])
    logs = _record(tiny.contrastive(tiny.network(), cases, views=2))[0]["logs"]

    assert logs["oct/contrastive"].item() == 0.0
    assert logs["oct/regression"].item() > 0.0
    assert logs["fundus/positives"].item() >= 1.0


def test_batches_that_are_no_views_are_refused(tiny):
    with pytest.raises(MedmdError, match="SeededSampler views=2"):
        tiny.contrastive(tiny.network(), tiny.cases(4), views=2).run()


def test_every_loss_of_the_stage_gets_predictions_and_views(tiny):
    seen = []

    class Loss(torch.nn.Module):
        def forward(self, features, labels, iteration, *, predictions=None, views=None):
            seen.append((features, labels, iteration, predictions, views))
            return features.sum() * 0.0

    cases = [case for case in tiny.cases(4) for _ in range(2)]
    network = tiny.network()
    head = copy.deepcopy(network)
    outputs = _record(
        tiny.contrastive(network, cases, contrastive_loss=Loss(), views=2, modalities=["oct"], batch_size=8)
    )
    features, labels, iteration, predictions, views = seen[0]

    assert features.shape == (4, 4)
    assert views.shape == (1, 4, 4)
    assert features.requires_grad
    assert not predictions.requires_grad
    assert iteration == 0
    torch.testing.assert_close(labels, (torch.stack([case["target"] for case in cases[::2]]) + 8.0) / 4.0)
    raw = head.forward_unimodal("oct", torch.stack([case["oct"] for case in cases[::2]]))[0]
    torch.testing.assert_close(predictions, ((raw + 8.0) / 4.0).detach())
    assert set(outputs[0]["logs"]) == {"oct/loss", "oct/regression", "oct/contrastive"}


def test_bfloat16_runs_and_losses_stay_float32(tiny):
    network = tiny.network()
    outputs = _record(tiny.contrastive(network, tiny.cases(), autocast_dtype="bfloat16", loss_function=_smape()))
    wide = _record(tiny.contrastive(tiny.network(), tiny.cases(), loss_function=_smape()))

    assert {value.dtype for value in outputs[0]["logs"].values()} == {torch.float32}
    assert outputs[0]["pred"].dtype == torch.float32
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
    assert outputs[0]["loss"].item() == pytest.approx(wide[0]["loss"].item(), rel=0.02)
    assert outputs[0]["loss"].item() != wide[0]["loss"].item()


def test_the_gradient_is_clipped_by_modality(tiny):
    network, clip = tiny.network(), 1e-3
    before = tiny.weights(network)
    trainer = tiny.contrastive(network, tiny.cases(4), gradient_clip=clip)
    tracks = {track.name: track for track in trainer.tracks}
    trainer.run()

    for name in ("oct", "fundus"):
        gradient = torch.cat([p.grad.flatten() for p in tracks[name].parameters()])
        assert gradient.norm().item() == pytest.approx(clip, rel=1e-3)
    largest = max((value - before[name]).abs().max() for name, value in tiny.weights(network).items())
    assert largest <= 1e-3 * clip + 1e-6


def test_the_schedule_steps_every_iteration(tiny):
    trainer = tiny.contrastive(
        tiny.network(),
        tiny.cases(12),
        max_epochs=2,
        scheduler=lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5),
    )
    trainer.run()

    assert trainer.tracks["oct"].optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 * 0.5**6)


@pytest.mark.parametrize("nonfinite", ["stop", "skip"])
def test_the_schedule_and_the_margin_go_on_in_a_batch_without_the_modality(tiny, nonfinite):
    """Also when it is the first batch of all, where nothing but the schedule moves."""
    network = tiny.network()
    before = tiny.weights(network)
    states, margins = [], []
    trainer = tiny.contrastive(
        network,
        tiny.cases(10, missing=dict.fromkeys([0, 1, 4, 5], "oct")),
        batch_size=2,
        max_epochs=2,
        nonfinite=nonfinite,
        contrastive_loss=AdaptiveMarginSupConLoss(warmup_iterations=0, decay_rate=0.1),
        scheduler=lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10),
    )

    @trainer.on(Events.ITERATION_COMPLETED)
    def _note(engine):
        states.append(tiny.weights(network))
        margins.append(engine.logs.get("oct/margin"))

    trainer.run()

    assert {track.name: track.scheduler.last_epoch for track in trainer.tracks} == {"oct": 10, "fundus": 10}
    assert [track.optimizer.param_groups[0]["lr"] for track in trainer.tracks] == pytest.approx([0.0, 0.0])
    own = [name for name in before if "oct" in name]
    assert own
    assert all(torch.equal(before[name], states[0][name]) for name in own)
    absent = [step % 5 in (0, 2) for step in range(10)]
    assert [margin is None for margin in margins] == absent
    found = [margin.item() for margin in margins if margin is not None]
    assert found == pytest.approx([0.4 * math.exp(-0.1 * step) for step in range(10) if not absent[step]])


def test_a_stage_with_absent_modalities_goes_on_exactly_from_its_state(tiny):
    cases = tiny.cases(10, missing=dict.fromkeys([2, 3, 6, 7], "oct"))

    def make(epochs):
        return tiny.contrastive(
            tiny.network(),
            cases,
            batch_size=2,
            max_epochs=epochs,
            optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-2),
            scheduler=lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=15),
        )

    whole, half, rest = make(3), make(1), make(3)
    whole.run()
    half.run()
    for name, part in rest.checkpointables().items():
        part.load_state_dict(copy.deepcopy(half.checkpointables()[name].state_dict()))
    rest.state.epoch, rest.state.iteration = half.state.epoch, half.state.iteration
    rest.state.epoch_length = half.state.epoch_length
    rest.run()

    assert rest.state.iteration == 15
    for a, b in zip(whole.tracks, rest.tracks, strict=True):
        assert a.scheduler.state_dict() == b.scheduler.state_dict()
    assert all(map(torch.equal, tiny.weights(whole.network).values(), tiny.weights(rest.network).values()))


def test_training_lowers_the_loss(tiny):
    outputs = _record(
        tiny.contrastive(
            tiny.network(), tiny.cases(16), max_epochs=15, optimizer=lambda p: torch.optim.Adam(p, lr=1e-2)
        )
    )

    first, last = (sum(o["logs"]["fundus/regression"].item() for o in part) for part in (outputs[:4], outputs[-4:]))
    assert last < 0.5 * first


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"contrastive_weight": -1.0}, "contrastive_weight must be at least 0, got -1.0"),
        ({"label_space": "rank"}, "label_space must be one of"),
        ({"views": 0}, "views must be at least 1, got 0"),
        ({"modalities": ["field"]}, r"must name some of \['oct', 'fundus'\], got \['field'\]"),
        ({"modalities": []}, r"got \[\]"),
    ],
)
def test_wrong_settings_are_refused(tiny, options, text):
    with pytest.raises(MedmdError, match=text):
        tiny.contrastive(tiny.network(), tiny.cases(), **options)


def _smape():
    return SmapeR2Loss(train_variance=16.0)
