"""Two ranks, as two threads that average at the hook, against one process with the whole batch."""

import copy
import dataclasses
import functools
import threading

import pytest
import torch

from medmd.balancing import OGMGE, SGM, MMPareto, UniformSum


class Exchange:
    """Averages lists of tensors between two threads."""

    def __init__(self):
        self.barrier = threading.Barrier(2, timeout=60)
        self.slots = [None, None]

    def of(self, rank):
        def reduce(tensors):
            self.slots[rank] = [each.clone() for each in tensors]
            self.barrier.wait()
            mean = [(a + b) / 2 for a, b in zip(*self.slots, strict=True)]
            self.barrier.wait()
            return mean

        return reduce


def at_once(*works):
    """Run one function a rank, each in a thread of its own."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)


@pytest.mark.parametrize(
    "make",
    [UniformSum, MMPareto, SGM, lambda: SGM(steps=2), lambda: SGM(sharpness="curvature"), lambda: SGM(adaptive=True)],
    ids=["uniform", "mmpareto", "sgm", "sgm_path", "sgm_curvature", "sgm_adaptive"],
)
@pytest.mark.parametrize("index", [0, 1], ids=["aligned", "conflict"])
def test_two_ranks_equal_the_whole_batch(golden_cases, golden_model, make, index):
    case = golden_cases[index]
    parts = case["batches"][:2]
    whole = {key: parts[0][key] + parts[1][key] for key in parts[0]}
    single = golden_model(case["parameters"])
    expected = make().backward(single, single.closure(whole))
    models = [copy.deepcopy(single) for _ in parts]
    exchange, logs = Exchange(), [{}, {}]

    def work(rank):
        balancer = make()
        balancer.reduce = exchange.of(rank)
        logs[rank] = balancer.backward(models[rank], models[rank].closure(parts[rank]))

    at_once(*(functools.partial(work, rank) for rank in range(2)))
    for rank, log in enumerate(logs):
        assert log.keys() == expected.keys()
        for name, value in expected.items():
            assert log[name].item() == pytest.approx(value.item(), rel=1e-8, abs=1e-9), name
        for ours, theirs in zip(models[rank].parameters(), single.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-11)


def ogm_ranks(model, make, closures, steps=1):
    """OGM-GE on two ranks with a generator of noise each: models and logs."""
    models, exchange, logs = [copy.deepcopy(model) for _ in closures], Exchange(), [{}, {}]

    def work(rank):
        balancer = make()
        balancer.reduce = exchange.of(rank)
        for _ in range(steps):
            logs[rank] = balancer.backward(models[rank], closures[rank](models[rank]))

    at_once(*(functools.partial(work, rank) for rank in range(2)))
    return models, logs


def test_noise_of_ogm_ge_is_one_on_all_ranks_and_has_the_gradients_spread(toy):
    """Both threads draw from the one generator of the process, so that each rank draws other numbers."""
    model = toy(width=64, dropout=0.0)
    models, _ = ogm_ranks(
        model, lambda: OGMGE(alpha=1e-9), [lambda each, seed=seed: each.closure(seed) for seed in (0, 1)]
    )
    quiet, _ = ogm_ranks(
        model, lambda: OGMGE(alpha=1e-9, noise=False), [lambda each, seed=seed: each.closure(seed) for seed in (0, 1)]
    )
    for one, two in zip(*(each.parameters() for each in models), strict=True):
        assert one.grad is None or torch.equal(one.grad, two.grad)
    mean = quiet[0].encoders["oct"][0].weight.grad
    noise = models[0].encoders["oct"][0].weight.grad - mean
    assert noise.std().item() == pytest.approx(mean.std().item(), rel=0.15)


def test_errors_of_ogm_ge_are_those_of_the_ranks_rows(toy):
    """A rank whose batch lacks a modality does not hide it from the others."""

    def closures(oct_rows):
        def of(each, rank):
            plain = each.closure(rank)
            errors = {
                "oct": torch.tensor((2.0, 5.0)[rank] if oct_rows[rank] else torch.nan),
                "fundus": torch.tensor(3.0),
            }
            rows = {"oct": oct_rows[rank], "fundus": 4}
            return lambda: dataclasses.replace(plain(), scores=errors, score_rows=rows)

        return [lambda each, rank=rank: of(each, rank) for rank in range(2)]

    for oct_rows, expected in [((0, 4), 5.0), ((3, 1), 2.75)]:
        _, logs = ogm_ranks(toy(), lambda: OGMGE(noise=False), closures(oct_rows))
        for log in logs:
            assert log["error_oct"].item() == pytest.approx(expected)
            assert log["error_fundus"].item() == pytest.approx(3.0)
            assert log["coefficient_oct"] == 1 if expected > 3 else log["coefficient_oct"] < 1
