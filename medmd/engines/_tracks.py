"""What stage 1 trains: for each modality its own projector, loss, optimizer and schedule."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from medmd.utils import MedmdError

Factory = Callable[[Any], Any]


@dataclass
class ModalityTrack:
    """Everything of one modality in stage 1.

    Attributes:
        name: the modality.
        encoder: its encoder, shared with the network.
        head: its unimodal head, shared with the network.
        projector: from features to the contrastive space; dropped after stage 1.
        contrastive_loss: its own copy, since a queue belongs to one modality.
        optimizer: over encoder, head and projector.
        scheduler: stepped after every iteration, or `None`.
        active: false once the modality has stopped early; it is then neither trained nor logged.
    """

    name: str
    encoder: nn.Module
    head: nn.Module
    projector: nn.Module
    contrastive_loss: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler | None
    active: bool = True

    def parameters(self) -> list[nn.Parameter]:
        """Parameters of encoder, head and projector."""
        return [p for module in (self.encoder, self.head, self.projector) for p in module.parameters()]

    def modules(self) -> list[nn.Module]:
        """All that a step of this modality may change."""
        return [self.encoder, self.head, self.projector, self.contrastive_loss]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the encoder and head, which the network's own state holds."""
        return {
            "projector": self.projector.state_dict(),
            "contrastive_loss": self.contrastive_loss.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "active": self.active,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        self.projector.load_state_dict(state["projector"])
        self.contrastive_loss.load_state_dict(state["contrastive_loss"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler is not None and state["scheduler"] is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        self.active = bool(state["active"])


class ModalityTracks:
    """The tracks of a stage 1 by modality, in the network's order."""

    def __init__(self, tracks: list[ModalityTrack]) -> None:
        self._tracks = {track.name: track for track in tracks}

    @classmethod
    def build(
        cls,
        *,
        network: Any,
        modalities: list[str],
        projector: Callable[[int], nn.Module],
        contrastive_loss: nn.Module,
        optimizer: Factory | dict[str, Factory],
        scheduler: Factory | dict[str, Factory] | None,
        device: torch.device,
    ) -> ModalityTracks:
        """One track a modality; `optimizer` and `scheduler` are factories, shared or one a modality.

        Raises:
            MedmdError: a dictionary of factories lacks a modality.
        """
        tracks = []
        projectors = _from_the_seed(lambda: [projector(network.encoders[name].out_features) for name in modalities])
        for name, drawn in zip(modalities, projectors, strict=True):
            encoder, head = network.encoders[name], network.unimodal_heads[name]
            own = drawn.to(device)
            parameters = [p for module in (encoder, head, own) for p in module.parameters()]
            used = _for(optimizer, name, "optimizer")(parameters)
            schedule = _for(scheduler, name, "scheduler")
            tracks.append(
                ModalityTrack(
                    name=name,
                    encoder=encoder,
                    head=head,
                    projector=own,
                    contrastive_loss=copy.deepcopy(contrastive_loss).to(device),
                    optimizer=used,
                    scheduler=None if schedule is None else schedule(used),
                )
            )
        return cls(tracks)

    def __iter__(self) -> Iterator[ModalityTrack]:
        return iter(self._tracks.values())

    def __getitem__(self, name: str) -> ModalityTrack:
        return self._tracks[name]

    @property
    def active(self) -> list[ModalityTrack]:
        """The tracks still being trained."""
        return [track for track in self if track.active]

    def state_dict(self) -> dict[str, Any]:
        """The states of all tracks by modality."""
        return {track.name: track.state_dict() for track in self}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        for track in self:
            track.load_state_dict(state[track.name])


def _from_the_seed(build: Callable[[], list[nn.Module]]) -> list[nn.Module]:
    """Build with PyTorch's generator as it was when it was seeded; it is left as it is now.

    MONAI's loaders set the generator back to its seed when they have no workers, and do not when they have some: drawn
    from the generator as it stands, first weights would depend on the number of workers.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(torch.initial_seed())
        return build()


def _for(factory: Any, name: str, key: str) -> Any:
    if not isinstance(factory, dict):
        return factory
    if name not in factory:
        msg = f"pretrain#trainer#{key}: expected one for each modality, got {sorted(factory)} without {name!r}."
        raise MedmdError(msg)
    return factory[name]
