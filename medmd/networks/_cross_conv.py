"""Two 2-D networks that tell each other what they see, half-way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from monai.networks.layers.utils import get_norm_layer
from torch import Tensor, nn
from torch.nn.functional import interpolate

from medmd.networks._multimodal import take
from medmd.networks._presence import where_present
from medmd.networks._regressor import MultimodalRegressor
from medmd.networks._resnet import ResNetEncoder, SliceChannelEncoder
from medmd.utils import MedmdError

_STAGES = 4


class CrossConvRegressor(MultimodalRegressor):
    """Two residual networks whose maps are convolved into one another's after some of their stages.

    After the public solution of the STAGE 2024 challenge, written from a description of it (it has no licence): the
    OCT volume as an image whose channels are slices (`SliceChannelEncoder`) and the photograph (`ResNetEncoder`), each
    through a ResNet-34, and cross-convolutions between the two, so that the loss of either unimodal head trains both
    encoders. What the description leaves open is chosen here: after each stage in `after`, a 1 x 1 convolution with
    norm of the other network's map, brought to this one's size by its nearest pixels, is added. The two are not
    registered: a pixel is told what stands at the same share of height and width in the other.

    A modality that is absent in a row sends nothing, and the other one goes on alone. In stage 1 each encoder is
    trained alone, without exchange. The convolutions into a modality's stream belong to its `encoder_parameters`.

    Args:
        encoders: two, 2-D residual networks both.
        after: numbers of the stages, 1 to 4, after which maps are exchanged.
        fusion_hidden: see `MultimodalRegressor`.
        output_range: see `MultimodalRegressor`.

    Raises:
        MedmdError: as `MultimodalRegressor`; more or fewer than two encoders, or of another kind.
    """

    def __init__(
        self,
        encoders: Mapping[str, nn.Module],
        *,
        after: Sequence[int] = (2, 3),
        fusion_hidden: int | None = None,
        output_range: tuple[float, float] | None = None,
    ) -> None:
        _check(encoders, after)
        super().__init__(encoders, fusion_hidden=fusion_hidden, output_range=output_range)
        self.after = tuple(after)
        first, second = self.modalities
        self._other = {first: second, second: first}
        self.crosses = nn.ModuleDict(
            {name: nn.ModuleDict({str(stage): self._cross(name, stage) for stage in after}) for name in self._other}
        )

    def encoder_parameters(self) -> dict[str, list[nn.Parameter]]:
        """By modality, the trainable parameters of its encoder and of the convolutions into it."""
        return {
            name: [*members, *(each for each in self.crosses[name].parameters() if each.requires_grad)]
            for name, members in super().encoder_parameters().items()
        }

    def _cross(self, name: str, stage: int) -> nn.Module:
        width, other = (_resnet(self.encoders[each]).planes[stage - 1] for each in (name, self._other[name]))
        convolution = nn.Conv2d(other, width, 1, bias=False)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="linear")
        return nn.Sequential(convolution, get_norm_layer(_resnet(self.encoders[name]).norm, 2, width))

    def _encode_present(self, inputs: Mapping[str, Tensor], places: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        rows = next(iter(inputs.values())).shape[0]

        def send(message: Tensor, sender: str, receiver: str) -> Tensor:
            # By way of all rows, so that no row has to be looked at: what has no sender receives zeros.
            place = places[sender]
            if place is not None:
                message = message.new_zeros((rows, *message.shape[1:])).index_copy(0, place, message)
            return take(message, places[receiver])

        return self._through({name: take(inputs[name], place) for name, place in places.items()}, send)

    def _encode_dense(self, inputs: Mapping[str, Tensor], here: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self._through(inputs, lambda message, sender, _: where_present(here[sender], message, 0.0))

    def _through(self, inputs: Mapping[str, Tensor], send: Callable[[Tensor, str, str], Tensor]) -> dict[str, Tensor]:
        """Both networks stage by stage; `send(message, sender, receiver)` brings a map to the receiver's rows."""
        maps: dict[str, Tensor] = {}
        for name, x in inputs.items():
            encoder: Any = self.encoders[name]
            with self._running(name, encoder, x):
                maps[name] = _resnet(encoder).stem(encoder.as_image(x))
        for stage in range(1, _STAGES + 1):
            for name, x in maps.items():
                part = _resnet(self.encoders[name]).stages[stage - 1]
                with self._running(name, part, x):
                    maps[name] = part(x)
            if stage in self.after and len(maps) > 1:
                maps = {name: x + self._message(name, stage, maps, send) for name, x in maps.items()}
        return {name: self._checked(name, x.flatten(2).mean(dim=2)) for name, x in maps.items()}

    def _message(
        self, receiver: str, stage: int, maps: Mapping[str, Tensor], send: Callable[[Tensor, str, str], Tensor]
    ) -> Tensor:
        """What the other network's map is to this one."""
        sender = self._other[receiver]
        cross = self.crosses[receiver][str(stage)]  # type: ignore[index]
        with self._running(sender, cross, maps[sender]):
            message = cross(maps[sender])
        message = interpolate(message, size=maps[receiver].shape[2:], mode="nearest")
        return send(message, sender, receiver)


def _resnet(encoder: nn.Module) -> Any:
    return encoder.resnet if isinstance(encoder, SliceChannelEncoder) else encoder


def _check(encoders: Mapping[str, nn.Module], after: Sequence[int]) -> None:
    if len(encoders) != 2:
        msg = (
            f"network#encoders: CrossConvRegressor exchanges maps between exactly two modalities, got {len(encoders)} "
            f"({', '.join(encoders)}). Use medmd.networks.MultimodalRegressor for another number."
        )
        raise MedmdError(msg)
    for name, encoder in encoders.items():
        if not isinstance(encoder, ResNetEncoder | SliceChannelEncoder) or _resnet(encoder).spatial_dims != 2:
            msg = (
                f"network#encoders#{name}: expected a 2-D medmd.networks.ResNetEncoder or a SliceChannelEncoder, whose "
                f"maps can be exchanged; got {type(encoder).__name__}."
            )
            raise MedmdError(msg)
    if not after or len(set(after)) != len(after) or not all(stage in range(1, _STAGES + 1) for stage in after):
        msg = f"network#after: expected different numbers of stages from 1 to {_STAGES}, got {list(after)}."
        raise MedmdError(msg)
