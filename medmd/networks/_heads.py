"""Linear readouts from features to a prediction in dB, and the projector of the contrastive stage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from medmd.utils import MedmdError


class RegressionHead(nn.Module):
    """One number from a feature vector, computed in the precision of its weights also under autocast.

    Yin et al., Re-M3Dr, leave the range of the output open. The default is linear in dB. With `output_range` the
    output is `low + (high - low) * sigmoid(...)`, as published solutions of the STAGE challenge do it; unlike theirs
    the range never depends on the glaucoma stage, which nearly gives the target away.

    Args:
        in_features: length of the feature vector.
        hidden: width of one hidden ReLU layer; None for a linear head.
        output_range: (low, high) in dB of a sigmoid output, or None for a linear one.

    Raises:
        MedmdError: a width below 1, or a range that is not finite and increasing.
    """

    def __init__(
        self, *, in_features: int, hidden: int | None = None, output_range: tuple[float, float] | None = None
    ) -> None:
        super().__init__()
        if in_features < 1 or (hidden is not None and hidden < 1):
            msg = f"A head needs widths of at least 1, got in_features={in_features}, hidden={hidden}."
            raise MedmdError(msg)
        self.output_range = _checked_range(output_range)
        self.hidden = None if hidden is None else nn.Linear(in_features, hidden)
        self.output = nn.Linear(in_features if hidden is None else hidden, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_features) -> (B,) in dB."""
        # bfloat16 has steps of 0.06 dB at -10 dB and 0.12 dB at -20 dB: too coarse for a loss and its gradient.
        with without_autocast(features):
            return self._readout(features.to(self.output.weight.dtype))

    def set_bias(self, mean: float) -> None:
        """Make `mean` (dB) the output for zero features.

        Raises:
            MedmdError: not a finite number, or not inside `output_range`.
        """
        bias = self._logit(mean)
        with torch.no_grad():
            self.output.bias.fill_(bias)

    def _readout(self, features: Tensor) -> Tensor:
        if self.hidden is not None:
            features = torch.relu(self.hidden(features))
        raw = self.output(features).squeeze(1)
        if self.output_range is None:
            return raw
        low, high = self.output_range
        return low + (high - low) * torch.sigmoid(raw)

    def _logit(self, mean: float) -> float:
        low, high = self.output_range or (-math.inf, math.inf)
        if not (math.isfinite(mean) and low < mean < high):
            msg = f"The mean target must be a finite number inside ({low}, {high}) dB, got {mean}."
            raise MedmdError(msg)
        if self.output_range is None:
            return mean
        share = (mean - low) / (high - low)
        return math.log(share / (1 - share))


class ClassificationHead(nn.Module):
    """Logits of C classes from a feature vector, computed in the precision of its weights also under autocast.

    Args:
        in_features: length of the feature vector.
        classes: C, at least 2.
        hidden: width of one hidden ReLU layer; None for a linear head.

    Raises:
        MedmdError: a width below 1, or fewer than two classes.
    """

    def __init__(self, *, in_features: int, classes: int, hidden: int | None = None) -> None:
        super().__init__()
        if in_features < 1 or (hidden is not None and hidden < 1) or classes < 2:
            msg = (
                "A head needs widths of at least 1 and two classes or more, got "
                f"in_features={in_features}, hidden={hidden}, classes={classes}."
            )
            raise MedmdError(msg)
        self.hidden = None if hidden is None else nn.Linear(in_features, hidden)
        self.output = nn.Linear(in_features if hidden is None else hidden, classes)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_features) -> (B, C) logits."""
        with without_autocast(features):
            features = features.to(self.output.weight.dtype)
            if self.hidden is not None:
                features = torch.relu(self.hidden(features))
            return self.output(features)

    def set_bias(self, frequencies: Sequence[float]) -> None:
        """Make the logarithms of the classes' frequencies the output for zero features.

        Raises:
            MedmdError: not one number above 0 for each class.
        """
        wanted = self.output.out_features
        values = list(frequencies) if isinstance(frequencies, Sequence) else []
        if len(values) != wanted or not all(math.isfinite(value) and value > 0 for value in values):
            msg = f"The classes' frequencies: expected {wanted} numbers above 0, got {frequencies}."
            raise MedmdError(msg)
        with torch.no_grad():
            self.output.bias.copy_(torch.tensor([math.log(value / sum(values)) for value in values]))


class Projector(nn.Module):
    """The head of stage 1 that is dropped afterwards: an MLP d-d-128 with ReLU.

    Source: Khosla et al., Supervised Contrastive Learning, section 3.1, which Yin et al., Re-M3Dr, build on. The L2
    normalisation belongs to the loss.

    Args:
        in_features: length d of the encoder's feature.
        hidden: width of the hidden layer, `in_features` when None.
        out_features: length of the projection.
    """

    def __init__(self, *, in_features: int, hidden: int | None = None, out_features: int = 128) -> None:
        super().__init__()
        width = in_features if hidden is None else hidden
        if min(in_features, width, out_features) < 1:
            msg = f"A projector needs widths of at least 1, got {in_features}, {width}, {out_features}."
            raise MedmdError(msg)
        self.out_features = out_features
        self.hidden = nn.Linear(in_features, width)
        self.output = nn.Linear(width, out_features)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_features) -> (B, out_features), not normalised, in the precision of the weights."""
        with without_autocast(features):
            return self.output(torch.relu(self.hidden(features.to(self.hidden.weight.dtype))))


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """A context in which autocast is off on the device of `x`; nothing, also in a traced graph, if it was off."""
    device = x.device.type
    # Asking a device without autocast (meta) whether it is on raises.
    on = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return torch.autocast(device, enabled=False) if on else nullcontext()


def _checked_range(output_range: tuple[float, float] | None) -> tuple[float, float] | None:
    if output_range is None:
        return None
    values = tuple(float(value) for value in output_range)
    if len(values) != 2 or not all(map(math.isfinite, values)) or values[0] >= values[1]:
        msg = f"output_range: expected [low, high] in dB with low < high, got {list(output_range)}."
        raise MedmdError(msg)
    return values[0], values[1]
