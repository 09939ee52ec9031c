"""An iteration never waits for the device: nothing on it is read by the host."""

import pytest
import torch
from torch import Tensor

from medmd.balancing import OGMGE, SGM, JointLoss, MMPareto, UniformSum
from medmd.losses import AdaptiveMarginSupConLoss, SmapeR2Loss

READS = ("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__")
BALANCERS = [JointLoss(), UniformSum(), OGMGE(), MMPareto(), SGM(), SGM(apply="update", cosine="encoder")]


@pytest.fixture
def forbid(monkeypatch):
    """Make every read of a tensor by the host fail, from the moment a batch is prepared until the iteration ends.

    `present` stays on the host by design: two-dimensional bools may be read.
    """

    def start(trainer):
        prepare, iteration = trainer.prepare_batch, trainer._process_function
        reads = {name: getattr(Tensor, name) for name in READS}

        def raising(name):
            def read(self, *arguments, **keywords):
                if self.dtype == torch.bool and self.ndim == 2:
                    return reads[name](self, *arguments, **keywords)
                msg = f"Tensor.{name} was called on {self.dtype} of shape {tuple(self.shape)}"
                raise AssertionError(msg)

            return read

        def prepared(*arguments, **keywords):
            batch = prepare(*arguments, **keywords)
            for name in READS:
                monkeypatch.setattr(Tensor, name, raising(name))
            return batch

        def process(*arguments):
            try:
                return iteration(*arguments)
            finally:
                for name, read in reads.items():
                    monkeypatch.setattr(Tensor, name, read)

        trainer.prepare_batch, trainer._process_function = prepared, process
        return trainer

    return start


def _smape():
    return SmapeR2Loss(train_variance=16.0)


@pytest.mark.parametrize("balancer", BALANCERS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("missing", [{}, {1: "oct", 6: "fundus"}], ids=["complete", "missing"])
def test_stage_two_reads_nothing(tiny, forbid, balancer, missing):
    network = tiny.network(norm="batch")
    trainer = tiny.fusion(
        network,
        tiny.cases(8, missing=missing),
        balancer=balancer,
        loss_function=_smape(),
        gradient_clip=1.0,
        tail_threshold=-12.0,
        micro_batches=2,
        scheduler=None,
    )
    forbid(trainer).run()

    assert trainer.state.iteration == 2


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("missing", [{}, {1: "oct", 3: "fundus"}], ids=["complete", "missing"])
def test_stage_one_reads_nothing(tiny, forbid, views, missing):
    cases = [case for case in tiny.cases(8, missing=missing) for _ in range(views)]
    trainer = tiny.contrastive(
        tiny.network(norm="batch"),
        cases,
        views=views,
        loss_function=_smape(),
        contrastive_loss=AdaptiveMarginSupConLoss(warmup_iterations=1, queue_size=8),
        gradient_clip=1.0,
        scheduler=lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8),
    )
    forbid(trainer).run()

    assert trainer.state.iteration == 2 * views


def test_the_guard_notices_a_read(tiny, forbid):
    trainer = tiny.fusion(tiny.network(), tiny.cases(4), loss_function=lambda p, t: (p - t).abs().mean() * p[0].item())

    with pytest.raises(AssertionError, match=r"Tensor\.item was called on torch\.float32"):
        forbid(trainer).run()
