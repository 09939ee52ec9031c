"""Two ranks, as two threads that average at the hook, against one process with the whole batch."""

import copy
import threading

import pytest
import torch

from medmd.balancing import SGM, MMPareto, UniformSum


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

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for rank, log in enumerate(logs):
        assert log.keys() == expected.keys()
        for name, value in expected.items():
            assert log[name].item() == pytest.approx(value.item(), rel=1e-8, abs=1e-9), name
        for ours, theirs in zip(models[rank].parameters(), single.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-11)
