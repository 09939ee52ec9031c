"""Stage 1: each encoder on its own, by regression and adaptive-margin supervised contrastive learning."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents
from torch import Tensor, nn

from medmd.engines._batch import AFTER_BACKWARD, ModalityBatch, PrepareModalities, require_batches
from medmd.engines._precision import autocast, check_precision, upcast
from medmd.engines._record import StepRecord, spread
from medmd.engines._skip import SkippedSteps, Undo, advance, all_finite, check_nonfinite, gradients
from medmd.engines._smoothing import EncoderSmoothing
from medmd.engines._tracks import ModalityTrack, ModalityTracks
from medmd.engines._whole_loss import require_regression
from medmd.engines._workers import workers_end_with
from medmd.networks import Projector
from medmd.utils import MedmdError, derive_seed

LABEL_SPACES = ("zscore", "target")


class ContrastiveTrainer(SupervisedTrainer):
    """Trains encoder, unimodal head and projector of every modality, each with its own optimizer and schedule.

    The loss of a modality is L_reg(h(f(x)), y) + lambda * L_AM(q(f(x)), v) (Yin et al., Re-M3Dr, section 4.1), over the
    rows in which it is present. The margin lives in the label space v: the z-score by the training statistics by
    default, since a margin of 0.4 dB would leave more than half of the anchors of a batch of 8 without a positive;
    the regression loss always sees the target's own unit. What the margin's schedule counts is the stage's iterations:
    as for the learning rate, a batch counts in which no case has the modality, although it changes no weight.

    With `views=2` each case comes twice in a batch, augmented differently, so that every anchor has a positive, which
    in a batch of 8 two thirds of the eyes in the tail would not have. The regression loss then takes all rows. It needs
    `SeededSampler(…, views=2)` and a batch size that is a multiple of 2.

    Args:
        device: where to train.
        max_epochs: passes over the data.
        train_data_loader: gives batches as `PackInputsd` makes them.
        network: a `MultimodalRegressor`.
        optimizer: factory, `optimizer(parameters)`, or one a modality in a dictionary.
        loss_function: regression loss, `loss(prediction (B,), target (B,)) -> scalar`. A loss that has only the method
            `losses` of stage 2 is refused.
        contrastive_loss: `loss(features (B, D), labels (B,), iteration, predictions=…) -> scalar`; copied for each
            modality.
        contrastive_weight: lambda, at least 0. With 0 the stage is plain unimodal regression of the same length.
        target_statistics: `mean`, `std` and `tail_threshold` of the training targets.
        label_space: `"zscore"`, or `"target"` for the target's own unit (the paper's text read literally).
        views: how many neighbouring rows of a batch show one case.
        modalities: which to train; all by default.
        scheduler: factory, `scheduler(optimizer)`, or one a modality, stepped after every iteration; or `None`.
        projector_features: width D of the contrastive space.
        autocast_dtype: `None` or `"bfloat16"` for encoder and head; losses stay float32.
        gradient_clip: largest global norm of a modality's gradient, or `None`.
        nonfinite: `"stop"` or `"skip"`, as for `FusionTrainer`; each modality's step is judged and skipped by itself,
            and `<modality>/skipped` counts them.
        feature_smoothing: factory, `feature_smoothing(features=length)`, of one `medmd.networks.FeatureSmoothing` an
            encoder, or `None`. What follows an encoder in training, the projector included, sees its features smoothed.
        train_handlers: Ignite handlers.
        options: further arguments of `SupervisedTrainer`.

    `state.output` holds `loss` (0-d, summed over modalities), `pred` and `label` (n,) of the n rows that have the first
    modality still trained, and `logs`, a dictionary `<modality>/<name>` of 0-d tensors on the device, which is also the
    attribute `logs`. MONAI's `from_engine(["loss"], first=True)` needs `decollate=True`. The attribute `seen` is a
    `StepRecord` of the newest step, also when it raised; `skipped` counts the steps that were skipped.

    Raises:
        MedmdError: an argument is outside its range, or a loss that needs all heads at once.
    """

    network: Any

    def __init__(
        self,
        *,
        device: str | torch.device,
        max_epochs: int,
        train_data_loader: Iterable,
        network: nn.Module,
        optimizer: Any,
        loss_function: Callable[[Tensor, Tensor], Tensor],
        contrastive_loss: nn.Module,
        target_statistics: dict[str, float],
        contrastive_weight: float = 0.5,
        label_space: str = "zscore",
        views: int = 1,
        modalities: Sequence[str] | None = None,
        scheduler: Any = None,
        projector_features: int = 128,
        autocast_dtype: str | None = None,
        gradient_clip: float | None = None,
        nonfinite: str = "stop",
        feature_smoothing: Callable[..., nn.Module] | None = None,
        train_handlers: Sequence | None = None,
        **options: Any,
    ) -> None:
        _check(contrastive_weight, label_space, views)
        require_regression(loss_function)
        check_precision(device, autocast_dtype, options)
        self.contrastive_weight = contrastive_weight
        self.label_space = label_space
        self.views = views
        self.logs: dict[str, Tensor] = {}
        self.statistics = dict(target_statistics)
        self.autocast_dtype = autocast_dtype
        self.gradient_clip = gradient_clip
        self.nonfinite = check_nonfinite(nonfinite)
        self.skipped = SkippedSteps()
        self.seen: StepRecord | None = None
        self.smoothing = EncoderSmoothing.of(feature_smoothing, network, device)
        names = _choose(modalities, tuple(network.modalities))  # type: ignore[arg-type]
        _check_heads(network, names)
        self.tracks = ModalityTracks.build(
            network=network,
            modalities=names,
            projector=functools.partial(_projector, out_features=projector_features),
            contrastive_loss=contrastive_loss,
            optimizer=optimizer,
            scheduler=scheduler,
            device=torch.device(device),
        )
        options.setdefault("prepare_batch", PrepareModalities(network.modalities))  # type: ignore[arg-type]
        options.setdefault("decollate", False)
        super().__init__(
            device=device,
            max_epochs=max_epochs,
            train_data_loader=train_data_loader,
            network=network,
            # MONAI's trainers hold one optimizer; handlers that ask for a learning rate get the first modality's.
            optimizer=self.tracks[names[0]].optimizer,
            loss_function=loss_function,
            train_handlers=train_handlers,
            **options,
        )

    def run(self) -> None:
        """Train until `max_epochs`, or until a handler ends the stage.

        Raises:
            MedmdError: the loader gives no batch.
        """
        require_batches("pretrain", self.data_loader)
        with workers_end_with(self):
            super().run()

    def checkpointables(self) -> dict[str, Any]:
        """What must be saved, besides the counters, for a run to continue as if it had not stopped."""
        found = {"network": self.network, "tracks": self.tracks, "skipped": self.skipped}
        return {**found, "feature_smoothing": self.smoothing} if len(self.smoothing) else found

    def _iteration(self, engine: Any, batchdata: dict[str, Any]) -> dict[str, Any]:
        batch: ModalityBatch = self.prepare_batch(batchdata, self.state.device, self.non_blocking, **self.to_kwargs)
        self.network.train()
        self.smoothing.begin(self.state.epoch)
        self.seen = StepRecord.of(batch, self.state)
        self.skipped.now.clear()
        seed = torch.initial_seed()
        logs: dict[str, Tensor] = {}
        shown: list[tuple[Tensor, Tensor]] = []
        losses: list[Tensor] = []
        for track in self.tracks.active:
            # Each modality draws from its own stream, so that one that has stopped does not shift another's dropout.
            torch.manual_seed(derive_seed(seed, track.name))
            image, target = batch.of(track.name)
            undo = Undo([*track.modules(), self.smoothing.modules]) if self.nonfinite == "skip" else None
            loss, prediction, own = self._train(track, batch, image, target, undo)
            losses.append(loss)
            shown.append((prediction, target))
            logs.update({f"{track.name}/{name}": value for name, value in own.items()})
        self.logs = logs
        prediction, target = shown[0]
        self.state.output = {"loss": torch.stack(losses).sum(), "pred": prediction, "label": target, "logs": logs}
        for event in AFTER_BACKWARD:
            self.fire_event(event)
        self.fire_event(IterationEvents.MODEL_COMPLETED)
        return self.state.output

    def _train(
        self, track: ModalityTrack, batch: ModalityBatch, image: Tensor, target: Tensor, undo: Undo | None
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        if len(target) == 0:
            advance(track.scheduler)
            return target.new_zeros(()), target, {}
        smoothing = self.smoothing.during({track.name: target}, gather=True)
        with smoothing, autocast(target.device, self.autocast_dtype):
            prediction, features = self.network.forward_unimodal(track.name, image)
            projected = track.projector(features)
        prediction = upcast(prediction)
        regression = self.loss_function(prediction, target)
        contrastive, logs = self._contrast(track, batch, upcast(projected), target, prediction.detach())
        loss = regression + self.contrastive_weight * contrastive
        losses = {"loss": loss.detach(), "regression": regression.detach(), "contrastive": contrastive.detach()}
        self._note(track, batch, prediction, losses)
        track.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if undo is None or not self._take_back(track, undo, losses, logs):
            self._update(track)
        return loss.detach(), prediction.detach(), logs | losses

    def _note(self, track: ModalityTrack, batch: ModalityBatch, prediction: Tensor, losses: dict[str, Tensor]) -> None:
        if self.seen is not None:
            self.seen.predicted({track.name: spread(prediction.detach(), batch.rows[track.name], len(batch))})
            self.seen.lost({f"{track.name}/{name}": value for name, value in losses.items()})

    def _take_back(self, track: ModalityTrack, undo: Undo, losses: dict[str, Tensor], logs: dict[str, Tensor]) -> bool:
        """Whether the modality's step is skipped; if so, all is as before its forward pass."""
        skip = not all_finite([*losses.values(), *gradients(track.parameters())])
        if skip:
            undo.restore()
            track.optimizer.zero_grad(set_to_none=True)
            advance(track.scheduler)
        logs["skipped"] = losses["loss"].new_tensor(self.skipped.note(track.name, skipped=skip))
        return skip

    def _update(self, track: ModalityTrack) -> None:
        if self.gradient_clip is not None:
            nn.utils.clip_grad_norm_(track.parameters(), self.gradient_clip)
        track.optimizer.step()
        if track.scheduler is not None:
            track.scheduler.step()

    def _contrast(
        self, track: ModalityTrack, batch: ModalityBatch, projected: Tensor, target: Tensor, prediction: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if self.contrastive_weight == 0:
            return target.new_zeros(()), {}
        further = None
        if self.views > 1:
            places = batch.views_of(track.name, self.views)
            if not places.numel():
                return target.new_zeros(()), {}
            further = projected[places[1:]]
            projected, target, prediction = projected[places[0]], target[places[0]], prediction[places[0]]
        labels, iteration = self._labels(target), self.state.iteration - 1
        loss: Any = track.contrastive_loss
        logs: dict[str, Tensor] = {}
        if hasattr(loss, "statistics"):
            tail = target < self.statistics["tail_threshold"]
            logs.update(loss.statistics(labels, iteration, tail=tail, views=self.views - 1))
        value = loss(projected, labels, iteration, predictions=self._labels(prediction), views=further)
        return value, logs

    def _labels(self, target: Tensor) -> Tensor:
        if self.label_space == "target":
            return target
        return (target - self.statistics["mean"]) / self.statistics["std"]


def _projector(in_features: int, *, out_features: int) -> nn.Module:
    return Projector(in_features=in_features, out_features=out_features)


def _check(contrastive_weight: float, label_space: str, views: int) -> None:
    if views < 1:
        msg = f"pretrain#trainer#views must be at least 1, got {views}."
        raise MedmdError(msg)
    if contrastive_weight < 0:
        msg = f"pretrain#trainer#contrastive_weight must be at least 0, got {contrastive_weight}."
        raise MedmdError(msg)
    if label_space not in LABEL_SPACES:
        msg = f"pretrain#trainer#label_space must be one of {list(LABEL_SPACES)}, got {label_space!r}."
        raise MedmdError(msg)


def _check_heads(network: Any, names: list[str]) -> None:
    missing = [name for name in names if name not in network.unimodal_heads]
    if missing:
        msg = (
            f"network: stage 1 trains each modality's own head, and there is none for {', '.join(missing)}. A network "
            "of several tasks is trained without it: set pretraining to false and leave pretrain out of run."
        )
        raise MedmdError(msg)


def _choose(asked: Sequence[str] | None, available: tuple[str, ...]) -> list[str]:
    names = list(available if asked is None else asked)
    unknown = [name for name in names if name not in available]
    if unknown or not names:
        msg = f"pretrain#trainer#modalities must name some of {list(available)}, got {names}."
        raise MedmdError(msg)
    return names
