"""Stage 2: the fused network under a gradient balancer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents
from torch import Tensor, nn

from medmd.balancing import Balancer, Losses
from medmd.engines._batch import ModalityBatch, PrepareModalities
from medmd.engines._precision import autocast
from medmd.utils import MedmdError


class FusionTrainer(SupervisedTrainer):
    """Trains all encoders and heads together; what happens to the gradients is the balancer's.

    One iteration: the network predicts from the fused features and from each modality alone; every objective's loss
    goes to the balancer, which writes the gradients (Yin et al., Re-M3Dr, section 4.2 with `SGM`); the optimizer
    steps, then the schedule. A modality's loss is taken over the rows in which it is present and is 0 when there are
    none.

    Args:
        device: where to train.
        max_epochs: passes over the data.
        train_data_loader: gives batches as `PackInputsd` makes them.
        network: a `MultimodalRegressor`.
        optimizer: over `network.parameters()`.
        loss_function: regression loss, `loss(prediction (B,), target (B,)) -> scalar`, shared by all objectives.
        balancer: a `medmd.balancing.Balancer`.
        scheduler: stepped after every iteration, or `None`.
        autocast_dtype: `None` or `"bfloat16"` for the main forward; losses and probes stay float32.
        gradient_clip: largest global norm of the gradient after balancing, or `None`.
        micro_batches: cut each batch into this many parts that are forwarded one after another; the losses are weighted
            by their share of the rows, and the balancer sees the accumulated gradients.
        train_handlers: Ignite handlers.
        options: further arguments of `SupervisedTrainer`.

    `state.output` holds `loss` (0-d), `pred` (B,), `label` (B,) and `logs`, a dictionary of 0-d tensors on the device.
    """

    network: nn.Module

    def __init__(
        self,
        *,
        device: str | torch.device,
        max_epochs: int,
        train_data_loader: Iterable,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss_function: Callable[[Tensor, Tensor], Tensor],
        balancer: Balancer,
        scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
        autocast_dtype: str | None = None,
        gradient_clip: float | None = None,
        micro_batches: int = 1,
        train_handlers: Sequence | None = None,
        **options: Any,
    ) -> None:
        if micro_batches < 1:
            msg = f"train#trainer#micro_batches must be at least 1, got {micro_batches}."
            raise MedmdError(msg)
        self.balancer = balancer
        self.scheduler = scheduler
        self.autocast_dtype = autocast_dtype
        self.gradient_clip = gradient_clip
        self.micro_batches = micro_batches
        options.setdefault("prepare_batch", PrepareModalities(network.modalities))  # type: ignore[arg-type]
        options.setdefault("decollate", False)
        super().__init__(
            device=device,  # type: ignore[arg-type]
            max_epochs=max_epochs,
            train_data_loader=train_data_loader,
            network=network,
            optimizer=optimizer,
            loss_function=loss_function,
            train_handlers=train_handlers,
            **options,
        )

    def checkpointables(self) -> dict[str, Any]:
        """What must be saved, besides the counters, for a run to continue as if it had not stopped."""
        found = {"network": self.network, "optimizer": self.optimizer, "balancer": self.balancer}
        return found if self.scheduler is None else {**found, "scheduler": self.scheduler}

    def _iteration(self, engine: Any, batchdata: dict[str, Any]) -> dict[str, Any]:
        batch: ModalityBatch = self.prepare_batch(batchdata, self.state.device, self.non_blocking, **self.to_kwargs)
        self.network.train()
        parts = [_Objectives(self, part, len(part) / len(batch)) for part in batch.split(self.micro_batches)]
        logs = self.balancer.backward(self.network, *parts)
        self.fire_event(IterationEvents.BACKWARD_COMPLETED)
        if self.gradient_clip is not None:
            logs["gradient_norm"] = nn.utils.clip_grad_norm_(self.network.parameters(), self.gradient_clip)
        self._step(logs.pop("update_scale", None))
        if self.scheduler is not None:
            self.scheduler.step()
        prediction = torch.cat([part.prediction for part in parts if part.prediction is not None])
        self.state.output = {"loss": logs["loss"], "pred": prediction, "label": batch.target, "logs": logs}
        self.fire_event(IterationEvents.MODEL_COMPLETED)
        return self.state.output

    @torch.no_grad()
    def _step(self, scale: Tensor | None) -> None:
        """One optimizer step; with `scale`, the encoders move by that multiple of it (methods with `apply="update"`).

        Adam cancels a constant factor on the gradient, so a factor that is to act must come after preconditioning. The
        move is rescaled on the device, from copies, since a learning rate would have to be read by the host.
        """
        if scale is None:
            self.optimizer.step()
            return
        shared = self.network.shared_parameters()  # type: ignore[operator]
        before = [parameter.detach().clone() for parameter in shared]
        self.optimizer.step()
        for parameter, old in zip(shared, before, strict=True):
            parameter.copy_(torch.lerp(old, parameter, scale.to(parameter.dtype)))


class _Objectives:
    """A closure for the balancer: one forward of one micro-batch, as the losses of its objectives."""

    def __init__(self, trainer: FusionTrainer, batch: ModalityBatch, share: float) -> None:
        self.trainer = trainer
        self.batch = batch
        self.share = share
        self.prediction: Tensor | None = None

    def __call__(self) -> Losses:
        trainer, batch = self.trainer, self.batch
        with autocast(batch.target.device, trainer.autocast_dtype if self.prediction is None else None):
            predictions = trainer.network(batch.inputs, batch.present)
        if self.prediction is None:
            # A balancer may call again at perturbed weights: the prediction of the run is that of the first call.
            self.prediction = predictions.fusion.detach().float()
        loss = trainer.loss_function
        unimodal, scores = {}, {}
        for name, prediction in predictions.unimodal.items():
            rows = batch.rows[name]
            found = prediction if rows is None else prediction[rows]
            target = batch.target if rows is None else batch.target[rows]
            unimodal[name] = self.share * loss(found.float(), target) if len(found) else prediction.new_zeros(())
            scores[name] = (found.detach().float() - target).abs().mean()
        return Losses(
            fusion=self.share * loss(predictions.fusion.float(), batch.target), unimodal=unimodal, scores=scores
        )
