"""A small encoder for small crops."""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.layers.utils import get_norm_layer
from torch import Tensor, nn

from medmd.networks._checks import check_choice, check_image, check_positive
from medmd.utils import MedmdError

_MINIMUM = 16
_GROUPS = 4


class SmallCnnEncoder(nn.Module):
    """Four 3 x 3 convolutions, each with norm, ReLU and a halving: for crops of 64 x 64, as in a few hundred eyes.

    Args:
        in_channels: channels of the input.
        planes: channels of the four layers; the last is `out_features`.
        norm: `batch`, or `group` (4 groups, independent of the other rows of the batch).

    Raises:
        MedmdError: an argument out of its range.
    """

    def __init__(self, *, in_channels: int, planes: Sequence[int] = (16, 32, 64, 64), norm: str = "batch") -> None:
        super().__init__()
        check_positive(in_channels=in_channels)
        check_choice("norm", norm, ("batch", "group"))
        unit = _GROUPS if norm == "group" else 1
        if len(planes) != 4 or any(width < 1 or width % unit for width in planes):
            msg = f"planes: expected four widths that are multiples of {unit}, got {list(planes)}."
            raise MedmdError(msg)
        self.in_channels = in_channels
        self.out_features = int(planes[-1])
        widths = [in_channels, *planes]
        self.layers = nn.Sequential(*(_layer(widths[index], widths[index + 1], norm) for index in range(4)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, rows, columns), at least 16 x 16 -> (B, out_features)."""
        check_image(x, channels=self.in_channels, spatial_dims=2, minimum=_MINIMUM)
        return self.layers(x).flatten(2).mean(dim=2)


def _layer(before: int, after: int, norm: str) -> nn.Sequential:
    kind = ("group", {"num_groups": _GROUPS}) if norm == "group" else norm
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(convolution, get_norm_layer(kind, 2, after), nn.ReLU(inplace=True), nn.MaxPool2d(2))
