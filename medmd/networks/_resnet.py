"""Residual networks for images, volumes and volumes taken as images with many channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monai.networks.layers.factories import Conv, Pool
from monai.networks.layers.utils import get_norm_layer
from monai.networks.nets.resnet import ResNetBlock
from torch import Tensor, nn

from medmd.networks._checks import check_choice, check_image, check_positive
from medmd.networks._heads import without_autocast
from medmd.utils import MedmdError

_BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
_GROUPS = 8


class ResNetEncoder(nn.Module):
    """ResNet-10, -18 or -34 (He et al., 2016) in two or three dimensions, without its classifier.

    Built from MONAI's blocks. `monai.networks.nets.ResNet` itself is not used: it hands its `norm` to the first layer
    only, and its default stem has stride 1, which costs 4 times (2-D) or 8 times (3-D) the work.

    Args:
        spatial_dims: 2 or 3.
        depth: 10, 18 or 34 layers.
        planes: channels of the four stages; the last is `out_features`.
        in_channels: channels of the input.
        stem_size: kernel size of the first convolution, odd.
        stem_stride: stride of the first convolution; a max pool of stride 2 follows.
        norm: `batch`, or `group` (8 groups, independent of the other rows of the batch).

    Raises:
        MedmdError: an argument out of its range.
    """

    def __init__(
        self,
        *,
        spatial_dims: int,
        in_channels: int,
        depth: int = 18,
        planes: Sequence[int] = (64, 128, 256, 512),
        stem_size: int = 7,
        stem_stride: int = 2,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        check_choice("spatial_dims", spatial_dims, (2, 3))
        check_choice("depth", depth, tuple(_BLOCKS))
        check_choice("norm", norm, ("batch", "group"))
        check_positive(in_channels=in_channels, stem_size=stem_size, stem_stride=stem_stride)
        _check_planes(planes, norm)
        if stem_size % 2 == 0:
            msg = f"stem_size: expected an odd number, got {stem_size}."
            raise MedmdError(msg)
        self.spatial_dims = spatial_dims
        self.in_channels = in_channels
        self.planes = tuple(planes)
        self.out_features = int(planes[-1])
        kind = ("group", {"num_groups": _GROUPS}) if norm == "group" else norm
        self.norm = kind
        self.stem = _stem(spatial_dims, in_channels, planes[0], stem_size, stem_stride, kind)
        widths = [planes[0], *planes]
        self.stages = nn.Sequential(
            *(
                _stage(spatial_dims, widths[index], widths[index + 1], blocks, 1 if index == 0 else 2, kind)
                for index, blocks in enumerate(_BLOCKS[depth])
            )
        )
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, *spatial) -> (B, out_features)."""
        # The mean over a flat axis has a deterministic backward on every device; adaptive pooling has not.
        return self.stages(self.stem(self.as_image(x))).flatten(2).mean(dim=2)

    def as_image(self, x: Tensor) -> Tensor:
        """What the stem takes: the input itself, once its shape is checked.

        Raises:
            MedmdError: another shape than (B, in_channels, *spatial).
        """
        check_image(x, channels=self.in_channels, spatial_dims=self.spatial_dims)
        return x


class SliceChannelEncoder(nn.Module):
    """A 2-D ResNet that takes the slices of a volume as the channels of an image.

    The OCT branch of the published STAGE challenge solutions, and by its ResNet-34 that of Yin et al., Re-M3Dr.

    Args:
        slices: number of slices S of the volume.
        depth: see `ResNetEncoder`.
        planes: see `ResNetEncoder`.
        stem_size: see `ResNetEncoder`.
        stem_stride: see `ResNetEncoder`.
        norm: see `ResNetEncoder`.
    """

    def __init__(
        self,
        *,
        slices: int,
        depth: int = 34,
        planes: Sequence[int] = (64, 128, 256, 512),
        stem_size: int = 7,
        stem_stride: int = 2,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        check_positive(slices=slices)
        self.slices = slices
        self.resnet = ResNetEncoder(
            spatial_dims=2,
            in_channels=slices,
            depth=depth,
            planes=planes,
            stem_size=stem_size,
            stem_stride=stem_stride,
            norm=norm,
        )
        self.out_features = self.resnet.out_features

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, slices, depth, along-scan) -> (B, out_features)."""
        return self.resnet(self.as_image(x))

    def as_image(self, x: Tensor) -> Tensor:
        """(B, 1, slices, depth, along-scan) -> (B, slices, depth, along-scan).

        Raises:
            MedmdError: another shape, or another number of slices.
        """
        check_image(x, channels=1, spatial_dims=3)
        if x.shape[2] != self.slices:
            msg = (
                f"Expected {self.slices} slices, got {x.shape[2]}. Set `slices` to the number that the transforms give."
            )
            raise MedmdError(msg)
        return x.squeeze(1)


def _stem(dims: int, channels: int, width: int, size: int, stride: int, norm: Any) -> nn.Sequential:
    convolution = Conv[Conv.CONV, dims](channels, width, size, stride=stride, padding=size // 2, bias=False)
    pool = Pool[Pool.MAX, dims](kernel_size=3, stride=2, padding=1)
    return nn.Sequential(convolution, get_norm_layer(norm, dims, width), nn.ReLU(inplace=True), pool)


class _Stage(nn.Sequential):
    """Blocks one after the other, in the precision of their weights where the map has shrunk to one column.

    PyTorch 2.13 gives the weights of a strided convolution over such a map, in bfloat16 on a CPU, a gradient that was
    never computed: whatever stood in memory.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] > 1:
            return super().forward(x)
        with without_autocast(x):
            return super().forward(x.to(next(self.parameters()).dtype))


def _stage(dims: int, before: int, width: int, blocks: int, stride: int, norm: Any) -> nn.Sequential:
    shortcut = None
    if stride != 1 or before != width:
        convolution = Conv[Conv.CONV, dims](before, width, 1, stride=stride, bias=False)
        shortcut = nn.Sequential(convolution, get_norm_layer(norm, dims, width))
    first = ResNetBlock(before, width, dims, stride=stride, downsample=shortcut, norm=norm)
    rest = [ResNetBlock(width, width, dims, norm=norm) for _ in range(blocks - 1)]
    return _Stage(first, *rest)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Conv3d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _check_planes(planes: Sequence[int], norm: str) -> None:
    if len(planes) != 4 or any(width < 1 for width in planes):
        msg = f"planes: expected four widths of at least 1, got {list(planes)}."
        raise MedmdError(msg)
    if norm == "group" and any(width % _GROUPS for width in planes):
        msg = f"planes: norm 'group' needs multiples of {_GROUPS}, got {list(planes)}."
        raise MedmdError(msg)
