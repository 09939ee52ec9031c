"""What a network and its training hold in memory, counted without computing anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from medmd.networks import MultimodalNetwork, build_network


@dataclass(frozen=True, kw_only=True)
class NetworkCost:
    """Bytes of one network and of one of its training steps, in float32.

    Args:
        weights: parameters and buffers.
        parameters: parameters alone, which have gradients and optimizer states.
        activations: what the forward pass of a batch keeps for the backward pass.
        largest: the largest of these tensors.
    """

    weights: int
    parameters: int
    activations: int
    largest: int


def network_cost(description: Mapping[str, Any], shapes: Mapping[str, Sequence[int]], batch_size: int) -> NetworkCost:
    """Build the network on PyTorch's meta device and follow one training forward pass.

    Tensors there have shapes and no content: the count is exact for what autograd keeps, costs no memory and takes
    less than a second for the largest preset. Workspaces of the convolutions and the activations' own gradients are
    not in it.

    Args:
        description: plain, as `build_network` takes it.
        shapes: by modality, of one case, channel first.
        batch_size: cases of a step.

    Raises:
        MedmdError: the network cannot be built from plain data, or does not take these shapes.
    """
    with torch.device("meta"):
        network = build_network(description, load_pretrained=False).train()
        inputs = {name: torch.empty(batch_size, *shape) for name, shape in shapes.items()}
        saved = _saved_tensors(network, inputs)
    sizes = [tensor.untyped_storage().nbytes() for tensor in saved]
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return NetworkCost(
        weights=sum(tensor.nbytes for tensor in network.state_dict().values()),
        parameters=sum(parameter.nbytes for parameter in parameters),
        activations=sum(sizes),
        largest=max(sizes, default=0),
    )


def _saved_tensors(network: MultimodalNetwork, inputs: Mapping[str, Tensor]) -> list[Tensor]:
    """What a forward pass keeps, each memory once, without the weights and the batch itself."""
    found: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        found.setdefault(_memory(tensor), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        # Held until the count is done: memory that is given back could be handed out a second time.
        _result = network(inputs)
    known = {_memory(tensor) for tensor in (*network.state_dict(keep_vars=True).values(), *inputs.values())}
    return [tensor for memory, tensor in found.items() if memory not in known]


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
