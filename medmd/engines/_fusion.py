"""Stage 2: the fused network under a gradient balancer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents
from torch import Tensor, nn

from medmd.balancing import Balancer, Losses
from medmd.engines._batch import AFTER_BACKWARD, ModalityBatch, PrepareModalities, require_batches
from medmd.engines._frozen import Frozen
from medmd.engines._precision import autocast, check_precision, upcast
from medmd.engines._record import StepRecord
from medmd.engines._skip import SkippedSteps, Undo, advance, all_finite, check_nonfinite, gradients
from medmd.engines._smoothing import EncoderSmoothing
from medmd.engines._whole_loss import WholeLoss, refuse_contributions, upcast_all
from medmd.engines._workers import workers_end_with
from medmd.losses import RegressionLoss
from medmd.networks import Predictions
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
        loss_function: regression loss, `loss(prediction (B,), target (B,)) -> scalar`, shared by all objectives; or one
            with the method `losses`, see `WholeLoss`, which is called once a forward pass in its place.
        balancer: a `medmd.balancing.Balancer`.
        scheduler: stepped after every iteration, or `None`.
        autocast_dtype: `None` or `"bfloat16"` for the main forward; losses and probes stay float32.
        gradient_clip: largest global norm of the gradient after balancing, or `None`.
        micro_batches: cut each batch into this many parts that are forwarded one after another; each objective's loss
            is weighted by the part's share of the rows that have it (and of which the target is known, for losses that
            leave the others out), and the balancer sees the accumulated gradients.
        tail_threshold: target below which a case belongs to the distribution's tail. With it the balancer also gets
            each case's contribution to the total loss and which cases are in the tail (methods that treat them apart).
        nonfinite: `"stop"` trains on and leaves it to `medmd.handlers.RequireFinite` to end the run when it reads a
            loss that is no number: nothing waits for the device. `"skip"` looks at losses and gradients before each
            step, which waits for the device once, and takes a step back whose values are not finite: no weight,
            optimizer state, running statistics or balancer state changes. The schedule goes on all the same, since it
            counts iterations. `skipped`, how many steps were skipped so far, is then among the logs.
        feature_smoothing: factory, `feature_smoothing(features=length)`, of one `medmd.networks.FeatureSmoothing` an
            encoder, or `None`. It stands between encoders and heads in training alone.
        frozen: modules of the network that this stage leaves as they are, by name, with wildcards as in a shell
            (`encoders`, `unimodal_heads.*.output`): no gradient, no step, and evaluation mode, so that batch norm's
            statistics stay too.
        train_handlers: Ignite handlers.
        options: further arguments of `SupervisedTrainer`.

    `state.output` holds `loss` (0-d), `pred` (B,), `label` (B,) and `logs`, a dictionary of 0-d tensors on the device,
    which is also the attribute `logs`. MONAI's `from_engine(["loss"], first=True)` needs `decollate=True`. `seen` is a
    `StepRecord` of the newest step, also when it raised; `skipped` counts the steps that were skipped.

    Raises:
        MedmdError: an argument is outside its range, or `tail_threshold` with a loss that has no contributions of
            single cases, which is so of every loss with the method `losses`.
    """

    network: Any

    def __init__(
        self,
        *,
        device: str | torch.device,
        max_epochs: int,
        train_data_loader: Iterable,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss_function: Callable[[Tensor, Tensor], Tensor] | WholeLoss,
        balancer: Balancer,
        scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
        autocast_dtype: str | None = None,
        gradient_clip: float | None = None,
        micro_batches: int = 1,
        tail_threshold: float | None = None,
        nonfinite: str = "stop",
        feature_smoothing: Callable[..., nn.Module] | None = None,
        frozen: Sequence[str] = (),
        train_handlers: Sequence | None = None,
        **options: Any,
    ) -> None:
        if micro_batches < 1:
            msg = f"train#trainer#micro_batches must be at least 1, got {micro_batches}."
            raise MedmdError(msg)
        check_precision(device, autocast_dtype, options)
        self.measure: Any = loss_function if tail_threshold is None else _contributions(loss_function)
        self.takes_all = isinstance(loss_function, WholeLoss)
        self.tail_threshold = tail_threshold
        self.logs: dict[str, Tensor] = {}
        self.balancer = balancer
        self.scheduler = scheduler
        self.autocast_dtype = autocast_dtype
        self.gradient_clip = gradient_clip
        self.micro_batches = micro_batches
        self.nonfinite = check_nonfinite(nonfinite)
        self.skipped = SkippedSteps()
        self.seen: StepRecord | None = None
        self.frozen = Frozen(network, frozen)
        self.smoothing = EncoderSmoothing.of(feature_smoothing, network, device)
        options.setdefault("prepare_batch", PrepareModalities(network.modalities))  # type: ignore[arg-type]
        options.setdefault("decollate", False)
        super().__init__(
            device=device,
            max_epochs=max_epochs,
            train_data_loader=train_data_loader,
            network=network,
            optimizer=optimizer,
            loss_function=loss_function,
            train_handlers=train_handlers,
            **options,
        )

    def run(self) -> None:
        """Train until `max_epochs`, or until a handler ends the stage.

        Raises:
            MedmdError: the loader gives no batch.
        """
        require_batches("train", self.data_loader)
        with workers_end_with(self), self.frozen.held():
            super().run()

    def checkpointables(self) -> dict[str, Any]:
        """What must be saved, besides the counters, for a run to continue as if it had not stopped."""
        found = {
            "network": self.network,
            "optimizer": self.optimizer,
            "balancer": self.balancer,
            "skipped": self.skipped,
        }
        further = {"scheduler": self.scheduler, "feature_smoothing": self.smoothing if len(self.smoothing) else None}
        return {**found, **{name: item for name, item in further.items() if item is not None}}

    def _iteration(self, engine: Any, batchdata: dict[str, Any]) -> dict[str, Any]:
        batch: ModalityBatch = self.prepare_batch(batchdata, self.state.device, self.non_blocking, **self.to_kwargs)
        self.network.train()
        self.frozen.rest()
        self.smoothing.begin(self.state.epoch)
        self.seen = StepRecord.of(batch, self.state)
        self.skipped.now.clear()
        undo = Undo([self.network, self.smoothing.modules], [self.balancer]) if self.nonfinite == "skip" else None
        parts = [_Objectives(self, part, batch, self.seen) for part in batch.split(self.micro_batches)]
        # Around the balancer, not in the closures: so it knows that its first losses are narrow, and probes without.
        with autocast(batch.target.device, self.autocast_dtype):
            logs = self.balancer.backward(self.network, *parts)
        self.logs = logs
        prediction = torch.cat([part.prediction for part in parts if part.prediction is not None])
        self.state.output = {"loss": logs["loss"], "pred": prediction, "label": batch.target, "logs": logs}
        for event in AFTER_BACKWARD:
            self.fire_event(event)
        scale = logs.pop("update_scale", None)
        if undo is not None and self._take_back(undo, logs, scale):
            advance(self.scheduler)
        else:
            self._update(logs, scale)
        self.fire_event(IterationEvents.MODEL_COMPLETED)
        return self.state.output

    def _take_back(self, undo: Undo, logs: dict[str, Tensor], scale: Tensor | None) -> bool:
        """Whether the step is skipped; if so, all is as before its forward pass."""
        losses = [value for name, value in logs.items() if name.startswith("loss")]
        skip = not all_finite([*losses, *gradients(self.network.parameters()), *([] if scale is None else [scale])])
        if skip:
            undo.restore()
            self.optimizer.zero_grad(set_to_none=True)
        logs["skipped"] = logs["loss"].new_tensor(self.skipped.note("train", skipped=skip))
        return skip

    def _update(self, logs: dict[str, Tensor], scale: Tensor | None) -> None:
        if self.gradient_clip is not None:
            norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.gradient_clip)
            logs["gradient_norm_unclipped"] = norm
        self._step(scale)
        if self.scheduler is not None:
            self.scheduler.step()

    @torch.no_grad()
    def _step(self, scale: Tensor | None) -> None:
        """One optimizer step; with `scale`, the encoders move by that multiple of it (methods with `apply="update"`).

        Adam cancels a constant factor on the gradient, so a factor that is to act must come after preconditioning. The
        move is rescaled on the device, from copies, since a learning rate would have to be read by the host.
        """
        if scale is None:
            self.optimizer.step()
            return
        shared = self.network.shared_parameters()
        before = [parameter.detach().clone() for parameter in shared]
        self.optimizer.step()
        for parameter, old in zip(shared, before, strict=True):
            parameter.copy_(torch.lerp(old, parameter, scale.to(parameter.dtype)))


class _Objectives:
    """A closure for the balancer: one forward of one micro-batch, as the losses of its objectives."""

    def __init__(self, trainer: FusionTrainer, batch: ModalityBatch, whole: ModalityBatch, seen: StepRecord) -> None:
        self.trainer = trainer
        self.batch = batch
        self.seen = seen
        self.whole = whole
        self.share = len(batch) / len(whole)
        self.shares = {name: batch.count(name) / max(1, whole.count(name)) for name in batch.inputs}
        self.prediction: Tensor | None = None

    def __call__(self) -> Losses:
        # A balancer may call again at perturbed weights: the prediction of the run is that of the first call.
        first = self.prediction is None
        labels = {name: self.batch.of(name)[1] for name in self.trainer.smoothing}
        with self.trainer.smoothing.during(labels, gather=first):
            predictions = self.trainer.network(self.batch.inputs, self.batch.present)
        if first:
            self.prediction = upcast(predictions.fusion.detach())
            self.seen.predicted({"fusion": predictions.fusion, **predictions.unimodal})
        with torch.autocast(self.batch.target.device.type, enabled=False):
            losses = self._whole(predictions) if self.trainer.takes_all else self._losses(predictions)
        if first:
            self.seen.lost(losses.values())
        return losses

    def _losses(self, predictions: Predictions) -> Losses:
        target, threshold = self.batch.target, self.trainer.tail_threshold
        fusion = self.share * self.trainer.measure(upcast(predictions.fusion), target)
        unimodal, scores, per_sample = {}, {}, fusion
        for name in self.batch.inputs:
            loss, scores[name] = self._unimodal(name, predictions.unimodal[name])
            unimodal[name] = loss.sum()
            if threshold is not None:
                per_sample = per_sample + self._spread(name, loss)
        rows = {name: self.batch.count(name) for name in scores}
        if threshold is None:
            return Losses(fusion=fusion, unimodal=unimodal, scores=scores, score_rows=rows)
        tail = target < threshold
        return Losses(fusion.sum(), unimodal, scores, per_sample=per_sample, tail=tail, score_rows=rows)

    def _whole(self, predictions: Predictions) -> Losses:
        """What a loss that needs the whole output finds."""
        found = self.trainer.measure.losses(upcast_all(predictions), self.batch.target, self.batch.rows)
        fusion, unimodal = found[0], found[1]
        own_scores = len(found) == 3
        scores = found[2] if own_scores else self._errors(predictions)
        part, whole = (self._counts(batch, predictions, list(unimodal)) for batch in (self.batch, self.whole))
        return Losses(
            fusion=None if fusion is None else _share(part["fusion"], whole["fusion"]) * fusion,
            unimodal={name: _share(part[name], whole[name]) * loss for name, loss in unimodal.items()},
            scores=scores,
            score_rows={name: part[name] for name in scores if name in part},
            inverse_scores=own_scores and getattr(self.trainer.measure, "inverse_scores", False),
        )

    def _counts(self, batch: ModalityBatch, predictions: Predictions, names: Sequence[str]) -> dict[str, Tensor | int]:
        """Over how many rows each objective of a loss of the whole output is a mean."""
        counts: dict[str, Tensor | int] = {"fusion": len(batch)}
        counts |= {name: batch.count(name) if name in batch.rows else len(batch) for name in names}
        own = getattr(self.trainer.measure, "counts", None)
        return counts if own is None else {**counts, **own(predictions, batch.target, batch.rows)}

    def _errors(self, predictions: Predictions) -> dict[str, Tensor]:
        """Mean absolute error of each modality's own prediction where it is in the unit of the target."""
        target = self.batch.target
        found = {}
        for name, rows in self.batch.rows.items():
            prediction = upcast(predictions.unimodal[name].detach()) if name in predictions.unimodal else None
            if prediction is not None and prediction.shape == target.shape:
                error = (prediction - target).abs()
                found[name] = (error if rows is None else error[rows]).mean()
        return found

    def _unimodal(self, name: str, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Loss, or contributions, of the rows that have the modality, and their mean absolute error."""
        rows = self.batch.rows[name]
        found = upcast(prediction if rows is None else prediction[rows])
        target = self.batch.target if rows is None else self.batch.target[rows]
        error = (found.detach() - target).abs().mean()
        if not len(found):
            return found.new_zeros(()), error
        return self.shares[name] * self.trainer.measure(found, target), error

    def _spread(self, name: str, contributions: Tensor) -> Tensor:
        """Contributions of the rows that have the modality as (B,), 0 for the others."""
        rows = self.batch.rows[name]
        if rows is None or not len(rows):
            return contributions
        return contributions.new_zeros(len(self.batch)).index_add(0, rows, contributions)


def _share(part: Tensor | int, whole: Tensor | int) -> Tensor | float:
    """Part / whole, 0 where the whole is 0; exactly 1 for a batch that is not cut."""
    return part / (whole.clamp(min=1) if isinstance(whole, Tensor) else max(1, whole))


def _contributions(loss: Any) -> Any:
    if isinstance(loss, WholeLoss):
        raise refuse_contributions(loss)
    if not isinstance(loss, RegressionLoss):
        msg = (
            "train#trainer#tail_threshold: expected a regression loss of medmd.losses, whose contributions of single "
            f"cases sum to the loss; got {type(loss).__name__}."
        )
        raise MedmdError(msg)
    unreduced = copy.copy(loss)
    unreduced.reduction = "none"
    return unreduced
