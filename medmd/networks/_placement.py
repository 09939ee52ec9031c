"""A network on its device, its weights in the order in memory that suits that device."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}

M = TypeVar("M", bound=nn.Module)


def place_network(network: M, device: str | torch.device) -> M:
    """Move a network to a device; on a CPU its convolutions keep the channels last in memory.

    Shapes, names and values of the weights stay as they are. Only their order in memory changes, and with it that of
    the activations, which saves a CPU a tenth of a step or more. Results may differ from those of the other order in
    their last bits. On other devices the order stays.

    Args:
        network: changed in place.
        device: where to compute.

    Returns:
        The same network.
    """
    network.to(device)
    if torch.device(device).type == "cpu":
        for parameter in network.parameters():
            if parameter.dim() in CHANNELS_LAST:
                parameter.data = parameter.data.contiguous(memory_format=CHANNELS_LAST[parameter.dim()])
    return network
