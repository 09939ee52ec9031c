"""A densely connected encoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets import DenseNet
from torch import Tensor, nn

from medmd.networks._checks import check_choice, check_image, check_positive, check_share
from medmd.utils import MedmdError

_MINIMUM = 32


class DenseNetEncoder(nn.Module):
    """DenseNet (Huang et al., 2017) in two or three dimensions, without its classifier; DenseNet-121 by default.

    Its five halvings need at least 32 pixels or voxels on every axis.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        init_features: channels after the first convolution.
        growth_rate: channels that each layer adds.
        block_config: layers of each of the four blocks, at most 64.
        dropout: share of channels dropped after each layer, in [0, 1).

    Raises:
        MedmdError: an argument out of its range.
    """

    def __init__(
        self,
        *,
        spatial_dims: int,
        in_channels: int,
        init_features: int = 64,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_choice("spatial_dims", spatial_dims, (2, 3))
        check_positive(in_channels=in_channels, init_features=init_features, growth_rate=growth_rate)
        check_share(dropout=dropout)
        if len(block_config) != 4 or not all(1 <= layers <= 64 for layers in block_config):
            msg = f"block_config: expected four numbers of layers from 1 to 64, got {list(block_config)}."
            raise MedmdError(msg)
        self.spatial_dims = spatial_dims
        self.in_channels = in_channels
        whole = DenseNet(
            spatial_dims=spatial_dims,
            in_channels=in_channels,
            out_channels=1,
            init_features=init_features,
            growth_rate=growth_rate,
            block_config=block_config,
            dropout_prob=dropout,
        )
        self.features = whole.features
        self.out_features = int(whole.class_layers.out.in_features)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, *spatial) -> (B, out_features)."""
        check_image(x, channels=self.in_channels, spatial_dims=self.spatial_dims, minimum=_MINIMUM)
        return torch.relu(self.features(x)).flatten(2).mean(dim=2)
