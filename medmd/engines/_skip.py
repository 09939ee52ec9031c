"""Steps that are taken back because a loss or a gradient was no number."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from medmd.utils import MedmdError

CHOICES = ("stop", "skip")


class Stateful(Protocol):
    """Anything whose state can be taken and put back."""

    def state_dict(self) -> dict[str, Any]:
        """Copies of all that changes."""

    def load_state_dict(self, state: Any) -> Any:
        """Put back what `state_dict` gave."""


class SkippedSteps:
    """How many steps were taken back, by what was trained in them; part of every checkpoint.

    Attributes:
        total: number of skipped steps by name.
        in_a_row: the same since the last step that counted.
        now: the names that the newest step skipped.
    """

    def __init__(self) -> None:
        self.total: dict[str, int] = {}
        self.in_a_row: dict[str, int] = {}
        self.now: list[str] = []

    def note(self, name: str, *, skipped: bool) -> int:
        """Count one step of `name` and return how many were skipped so far."""
        self.total[name] = self.total.get(name, 0) + skipped
        self.in_a_row[name] = self.in_a_row.get(name, 0) + 1 if skipped else 0
        if skipped:
            self.now.append(name)
        return self.total[name]

    def state_dict(self) -> dict[str, Any]:
        """The counters."""
        return {"total": dict(self.total), "in_a_row": dict(self.in_a_row)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        self.total = {name: int(value) for name, value in state["total"].items()}
        self.in_a_row = {name: int(value) for name, value in state["in_a_row"].items()}


class Undo:
    """What a forward and a backward pass change besides gradients, as it was before them.

    Args:
        modules: whose buffers (running statistics, queues of features) are kept.
        parts: objects with a state, such as a balancer.
    """

    def __init__(self, modules: Iterable[nn.Module], parts: Iterable[Stateful] = ()) -> None:
        self._buffers = [
            (module, name, buffer, buffer.detach().clone())
            for each in modules
            for module in each.modules()
            for name, buffer in module.named_buffers(recurse=False, remove_duplicate=False)
        ]
        self._parts = [(part, part.state_dict()) for part in parts]

    @torch.no_grad()
    def restore(self) -> None:
        """Put it back, bit for bit."""
        for module, name, buffer, copy in self._buffers:
            # A forward pass may have put another tensor in its place.
            module._buffers[name] = buffer
            buffer.copy_(copy)
        for part, state in self._parts:
            part.load_state_dict(state)


def all_finite(values: Iterable[Tensor]) -> bool:
    """Whether every element of every tensor is a finite number. This waits for the device, once."""
    flags = [value.detach().isfinite().all() for value in values]
    return not flags or bool(torch.stack(flags).all())


def gradients(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """The gradients that are there."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def advance(scheduler: Any) -> None:
    """Step the schedule of a skipped step: a schedule counts iterations, whether or not they changed a weight."""
    if scheduler is None:
        return
    with warnings.catch_warnings():
        # When the first step of all is skipped, PyTorch takes it for a wrong order of calls.
        warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step", category=UserWarning)
        scheduler.step()


def check_nonfinite(value: str) -> str:
    """Refuse an unknown way to treat values that are no number.

    Raises:
        MedmdError: it is neither of the two.
    """
    if value not in CHOICES:
        msg = f"nonfinite must be one of {list(CHOICES)}, got {value!r}."
        raise MedmdError(msg)
    return value
