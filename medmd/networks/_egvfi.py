"""The 3-D encoder of EGVFI."""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.layers.utils import get_norm_layer
from torch import Tensor, nn

from medmd.networks._checks import check_choice, check_image, check_positive, check_share
from medmd.utils import MedmdError

_GROUPS = 8


class Egvfi3dEncoder(nn.Module):
    """Five 3-D convolutions of one width, a halving by the first alone, and the mean over the volume.

    Source: Yu et al., Estimating Global Visual Field Indices in Glaucoma by Combining Macula and Optic Disc OCT Scans
    Using 3-Dimensional Convolutional Neural Networks, Am J Ophthalmol Glaucoma 2021, and its public description
    (Apache-2.0), written anew: each convolution is followed by norm, ReLU and dropout of whole channels. The published
    network sees a macula and a disc volume through two such encoders; with one volume it is its solo form.

    Deviations: padding is the same on both sides, where the framework of the original pads an even length of stride 2
    at its end alone; the mean is taken over the flat volume.

    Nearly all the work is at half the resolution of the input, with kernels of 5: 10.6 GFLOP for 32 x 64 x 64 voxels,
    where the ResNet-18 of the default preset takes 0.38.

    Args:
        in_channels: channels of the input.
        channels: of each convolution; the last is `out_features`.
        kernels: sizes, odd.
        strides: of each convolution.
        dropout: share of channels dropped after each convolution, in [0, 1).
        norm: `batch`, or `group` (8 groups, independent of the other rows of the batch).

    Raises:
        MedmdError: an argument out of its range, or lists of different lengths.
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        channels: Sequence[int] = (32, 32, 32, 32, 32),
        kernels: Sequence[int] = (7, 5, 5, 3, 3),
        strides: Sequence[int] = (2, 1, 1, 1, 1),
        dropout: float = 0.2,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        check_positive(in_channels=in_channels)
        check_share(dropout=dropout)
        check_choice("norm", norm, ("batch", "group"))
        _check_lists(channels, kernels, strides, norm)
        self.in_channels = in_channels
        self.out_features = int(channels[-1])
        widths = [in_channels, *channels]
        self.blocks = nn.Sequential(
            *(
                _block(widths[place], width, kernel, stride, dropout, norm)
                for place, (width, kernel, stride) in enumerate(zip(channels, kernels, strides, strict=True))
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, slices, rows, columns) -> (B, out_features)."""
        check_image(x, channels=self.in_channels, spatial_dims=3)
        # The mean over a flat axis has a deterministic backward on every device; adaptive pooling has not.
        return self.blocks(x).flatten(2).mean(dim=2)


def _block(before: int, after: int, kernel: int, stride: int, dropout: float, norm: str) -> nn.Sequential:
    kind = ("group", {"num_groups": _GROUPS}) if norm == "group" else norm
    convolution = nn.Conv3d(before, after, kernel, stride=stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    layers: list[nn.Module] = [convolution, get_norm_layer(kind, 3, after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, *([nn.Dropout3d(dropout)] if dropout else []))


def _check_lists(channels: Sequence[int], kernels: Sequence[int], strides: Sequence[int], norm: str) -> None:
    if not len(channels) == len(kernels) == len(strides) > 0:
        lengths = f"{len(channels)}, {len(kernels)} and {len(strides)}"
        msg = f"channels, kernels, strides: expected lists of one length of at least 1, got {lengths}."
        raise MedmdError(msg)
    for key, values in (("channels", channels), ("kernels", kernels), ("strides", strides)):
        check_positive(**{f"{key}[{place}]": value for place, value in enumerate(values)})
    if any(kernel % 2 == 0 for kernel in kernels):
        msg = f"kernels: expected odd numbers, got {list(kernels)}."
        raise MedmdError(msg)
    if norm == "group" and any(width % _GROUPS for width in channels):
        msg = f"channels: norm 'group' needs multiples of {_GROUPS}, got {list(channels)}."
        raise MedmdError(msg)
