"""The interface of every method that decides which gradients a step uses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from torch import Tensor
from torch.nn import Parameter

from medmd.balancing._losses import Losses

Closure = Callable[[], Losses]
Reduce = Callable[[list[Tensor]], list[Tensor]]


class BalancedModel(Protocol):
    """All that a balancer asks of a model. When it is a `torch.nn.Module` its buffers are protected during probes."""

    def parameters(self) -> Iterable[Parameter]:
        """Every parameter."""

    def encoder_parameters(self) -> Mapping[str, list[Parameter]]:
        """The parameters on which objectives meet, by modality."""

    def shared_parameters(self) -> list[Parameter]:
        """The same, flat."""


def keep(tensors: list[Tensor]) -> list[Tensor]:
    """The reduction of a run on one device: nothing to average."""
    return tensors


class Balancer(ABC):
    """Computes losses and writes gradients; holds no optimiser.

    Attributes:
        reduce: averages a list of tensors over the ranks of a distributed run and returns them; identity by default.
            Every rank calls it equally often with equally shaped lists. The model must then be the bare module, not a
            wrapper that averages gradients by itself.
    """

    def __init__(self) -> None:
        self.reduce: Reduce = keep

    @abstractmethod
    def backward(self, model: BalancedModel, closure: Closure, *more_closures: Closure) -> dict[str, Tensor]:
        """Run the closure and overwrite `.grad` of every trainable parameter (zeros where nothing reaches it).

        Args:
            model: encoders and heads.
            closure: runs one forward pass in training mode and returns its losses. It may be called again, under
                `probing`; what it draws at random and leaves in buffers then counts only once. Mixed precision is
                switched on around this call, not inside the closure, so that probes can run without it.
            more_closures: further micro-batches. Their gradients add up: scale the losses accordingly. Each graph
                is freed before the next forward pass.

        Returns:
            What there is to log, 0-d tensors on the device of the losses: `loss` (the total), `loss_fusion`,
            `loss_<modality>` and what the method adds. Nothing waits for the device.

        Raises:
            TypeError: a closure returns something else than `Losses`.
        """

    def state_dict(self) -> dict[str, Any]:
        """Everything a resumed run needs: numbers and detached copies of tensors, loadable with `weights_only=True`."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave.

        Raises:
            ValueError: the keys are not those of this method.
        """
        self._check_keys(state, ())

    def _check_keys(self, state: Mapping[str, Any], expected: Iterable[str]) -> None:
        if set(state) != set(expected):
            msg = f"{type(self).__name__} state: expected keys {sorted(expected)}; got {sorted(state)}."
            raise ValueError(msg)


def run(closure: Closure) -> Losses:
    """Call the closure.

    Raises:
        TypeError: it does not return `Losses`.
    """
    losses = closure()
    if not isinstance(losses, Losses):
        msg = f"closure: expected it to return medmd.balancing.Losses; got {type(losses).__name__}."
        raise TypeError(msg)
    return losses
