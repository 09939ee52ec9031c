"""Feature smoothing between encoders and heads, in place for one training forward at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from medmd.utils import MedmdError


class EncoderSmoothing:
    """One `FeatureSmoothing` an encoder, or none at all.

    The network itself is left as it is: a hook stands on the encoder while the block of `during` runs, so that
    validation, export and the stored model know nothing of it.

    Args:
        factory: `factory(features=length) -> FeatureSmoothing`, or `None`, with which nothing is smoothed.
        encoders: by modality, those to smooth.
        device: of the statistics.
    """

    def __init__(
        self, factory: Callable[..., nn.Module] | None, encoders: Mapping[str, Any], device: torch.device
    ) -> None:
        made = {} if factory is None else {name: factory(features=each.out_features) for name, each in encoders.items()}
        self.modules = nn.ModuleDict(made).to(device)
        self._encoders = dict(encoders)

    @classmethod
    def of(cls, factory: Callable[..., nn.Module] | None, network: Any, device: str | torch.device) -> EncoderSmoothing:
        """For the encoders of a network, which need not have any when there is no factory."""
        return cls(factory, {} if factory is None else network.encoders, torch.device(device))

    def __len__(self) -> int:
        return len(self.modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self.modules)

    def begin(self, epoch: int) -> None:
        """Tell the epoch at the beginning of each of its steps."""
        for each in self.modules.values():
            each.begin(epoch)  # type: ignore[operator]

    @contextmanager
    def during(self, labels: Mapping[str, Tensor], *, gather: bool) -> Iterator[None]:
        """Inside the block, what the encoders give is re-coloured.

        Args:
            labels: by modality the (n,) labels of the rows on which its encoder will run.
            gather: False when the same rows are forwarded a second time.

        Raises:
            MedmdError: an encoder was not called, though there are rows for it.
        """
        called: set[str] = set()
        with ExitStack() as stack:
            for name in [name for name in self.modules if name in labels]:
                stack.enter_context(self._hooked(name, labels[name], gather, called))
            yield
        missed = [name for name in self.modules if name in labels and len(labels[name]) and name not in called]
        if missed:
            msg = (
                f"feature_smoothing: expected a network that calls the encoder of {missed[0]!r} as a module; it did "
                "not. Leave feature_smoothing out for this network."
            )
            raise MedmdError(msg)

    @contextmanager
    def _hooked(self, name: str, labels: Tensor, gather: bool, called: set[str]) -> Iterator[None]:
        def recolour(encoder: nn.Module, inputs: Any, features: Tensor) -> Tensor:
            called.add(name)
            smoothed: Tensor = self.modules[name](features, labels, gather=gather)
            return smoothed

        handle = self._encoders[name].register_forward_hook(recolour)
        try:
            yield
        finally:
            handle.remove()

    def state_dict(self) -> dict[str, Any]:
        """The statistics."""
        return self.modules.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        self.modules.load_state_dict(dict(state))
