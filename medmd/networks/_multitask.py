"""Several tasks on shared encoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from medmd.networks._heads import ClassificationHead, RegressionHead
from medmd.networks._multimodal import MultimodalNetwork
from medmd.networks._predictions import Predictions
from medmd.utils import MedmdError


class MultitaskNetwork(MultimodalNetwork):
    """Answer several questions about a case: encoders that all tasks share, and a head a task.

    This is what multi-task solvers (MGDA, PCGrad, CAGrad, Nash-MTL) were made for: with one encoder it is the form of
    Sener and Koltun, Multi-Task Learning as Multi-Objective Optimization, NeurIPS 2018. The tasks' losses stand in
    `Losses.unimodal`, and there is no fused loss. The paper of Re-M3Dr names multi-task data and is silent on how its
    two objectives are to be read there: here the first task stands against the sum of the others. OGM-GE compares
    modalities and refuses tasks; stage 1 trains a modality's own head, which there is none of.

    `Predictions.unimodal` holds each task's output, (B, C) logits or (B,) a number; `fusion` all of them side by side,
    (B, sum of the widths). The attribute `unimodal_heads` holds the heads by task.

    Args:
        encoders: by modality, as in `MultimodalRegressor`; their features are concatenated, a learned token standing
            for that of an absent modality.
        tasks: name of the task -> number of its classes, or None for a number.
        hidden: width of a hidden ReLU layer in each head; None for linear heads.

    Raises:
        MedmdError: no task, fewer than two classes, no encoder, or a name that cannot be used.
        TypeError: an encoder that is no module or has no `out_features`.
        ValueError: one encoder for two modalities.
    """

    def __init__(
        self, encoders: Mapping[str, nn.Module], *, tasks: Mapping[str, int | None], hidden: int | None = None
    ) -> None:
        super().__init__(encoders)
        if not tasks:
            msg = "network#tasks: expected at least one task, got none."
            raise MedmdError(msg)
        self.tasks = dict(tasks)
        width = sum(self.widths.values())
        self.unimodal_heads = nn.ModuleDict({name: _head(width, classes, hidden) for name, classes in tasks.items()})

    def forward_unimodal(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        """Not offered: a modality has no head of its own.

        Raises:
            MedmdError: always.
        """
        msg = f"{name}: a network of several tasks has no head for one modality. Set pretraining to false."
        raise MedmdError(msg)

    def set_output_bias(self, mean: Sequence[float | Sequence[float]]) -> None:
        """Start each head at its task's mean or log-frequencies; `target_statistics` gives them as `start`.

        Raises:
            MedmdError: not one entry a task, or one that its head cannot take.
        """
        if not isinstance(mean, Sequence) or len(mean) != len(self.tasks):
            msg = f"Starting values: expected one for each of the tasks {', '.join(self.tasks)}, got {mean}."
            raise MedmdError(msg)
        heads: Any = self.unimodal_heads.values()
        for head, start in zip(heads, mean, strict=True):
            head.set_bias(start)

    def _alone(self, name: str, features: Tensor) -> Tensor:
        del name
        return features.new_zeros(features.shape[0])

    def _readout(self, features: dict[str, Tensor], outputs: dict[str, Tensor]) -> Predictions:
        del outputs
        shared = torch.cat([features[name] for name in self.modalities], dim=1)
        answers = {name: head(shared) for name, head in self.unimodal_heads.items()}
        columns = [answer.reshape(shared.shape[0], -1) for answer in answers.values()]
        return Predictions(torch.cat(columns, dim=1), answers, features)


def _head(width: int, classes: int | None, hidden: int | None) -> nn.Module:
    if classes is None:
        return RegressionHead(in_features=width, hidden=hidden)
    return ClassificationHead(in_features=width, classes=classes, hidden=hidden)
