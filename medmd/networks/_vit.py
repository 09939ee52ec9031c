"""A vision transformer as encoder."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from monai.networks.layers.factories import Conv
from torch import Tensor, nn

from medmd.networks._checks import check_choice, check_image, check_positive, check_share
from medmd.utils import MedmdError

_MOST_LAYERS = 64


class ViTEncoder(nn.Module):
    """Vision transformer (Dosovitskiy et al., 2021) in two or three dimensions; the feature is the mean of its tokens.

    The learned positions fix the input size. Layer norm only, so that rows never influence each other. Pre-norm blocks
    of torch; `monai.networks.nets.ViT` is the same network but needs the package einops.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        img_size: size of the input, one number an axis.
        patch_size: size of a patch, one number an axis, dividing `img_size`.
        hidden_size: length of a token, which is `out_features`.
        mlp_dim: width inside a block's MLP.
        num_layers: number of blocks, at most 64.
        num_heads: number of attention heads, dividing `hidden_size`.
        dropout: share of activations dropped, in [0, 1).

    Raises:
        MedmdError: an argument out of its range, or sizes that do not divide.
    """

    def __init__(
        self,
        *,
        spatial_dims: int,
        in_channels: int,
        img_size: Sequence[int],
        patch_size: Sequence[int],
        hidden_size: int = 96,
        mlp_dim: int = 192,
        num_layers: int = 4,
        num_heads: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_choice("spatial_dims", spatial_dims, (2, 3))
        check_positive(in_channels=in_channels, hidden_size=hidden_size, mlp_dim=mlp_dim)
        check_positive(num_layers=num_layers, num_heads=num_heads)
        check_share(dropout=dropout)
        _check_sizes(spatial_dims, img_size, patch_size)
        if hidden_size % num_heads or num_layers > _MOST_LAYERS:
            msg = (
                f"Expected num_heads to divide hidden_size and at most {_MOST_LAYERS} layers, got {num_heads} heads, "
                f"hidden_size {hidden_size}, {num_layers} layers."
            )
            raise MedmdError(msg)
        self.spatial_dims = spatial_dims
        self.in_channels = in_channels
        self.img_size = tuple(img_size)
        self.out_features = hidden_size
        self.patches = Conv[Conv.CONV, spatial_dims](
            in_channels, hidden_size, kernel_size=tuple(patch_size), stride=tuple(patch_size)
        )
        tokens = math.prod(size // patch for size, patch in zip(img_size, patch_size, strict=True))
        self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(tokens, hidden_size), std=0.02))
        self.dropout = nn.Dropout(dropout)
        block = nn.TransformerEncoderLayer(
            hidden_size, num_heads, mlp_dim, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        # A nested tensor only helps sequences of different lengths, and pre-norm cannot use it.
        self.blocks = nn.TransformerEncoder(
            block, num_layers, norm=nn.LayerNorm(hidden_size), enable_nested_tensor=False
        )
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, *img_size) -> (B, out_features)."""
        check_image(x, channels=self.in_channels, spatial_dims=self.spatial_dims)
        if tuple(x.shape[2:]) != self.img_size:
            msg = f"expected an input of size {self.img_size}, got {tuple(x.shape[2:])}. Set img_size or resize."
            raise MedmdError(msg)
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        return self.blocks(self.dropout(tokens)).mean(dim=1)


def _initialise(module: nn.Module) -> None:
    # The blocks are copies of one; without this they would start equal.
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.MultiheadAttention):
        nn.init.xavier_uniform_(module.in_proj_weight)


def _check_sizes(spatial_dims: int, img_size: Sequence[int], patch_size: Sequence[int]) -> None:
    fits = len(img_size) == len(patch_size) == spatial_dims
    if not fits or not all(p >= 1 and i >= p and i % p == 0 for i, p in zip(img_size, patch_size, strict=True)):
        msg = (
            f"Expected img_size and patch_size with {spatial_dims} numbers each and patches that divide the image, "
            f"got {list(img_size)} and {list(patch_size)}."
        )
        raise MedmdError(msg)
