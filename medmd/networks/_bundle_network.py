"""The same network, called as MONAI's bundle tools call one."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from medmd.networks._multimodal import MultimodalNetwork
from medmd.utils import MedmdError

_ARGUMENTS = ("image", "fundus", "present")


class BundleNetwork(nn.Module):
    """`MultimodalRegressor` with tensors as arguments and one tensor as result.

    MONAI's `verify_net_in_out` and exporters feed one tensor named `image` and read one output; every modality but
    the first may therefore be left out, and its learned token stands for it.

    Args:
        network: the regressor; held, not copied.

    Raises:
        MedmdError: a third or later modality has the name of an argument.
    """

    def __init__(self, network: MultimodalNetwork) -> None:
        super().__init__()
        clash = sorted(set(network.modalities[2:]) & set(_ARGUMENTS))
        if clash:
            msg = f"encoders: a modality after the second cannot be named {clash[0]!r}. Rename it or put it first."
            raise MedmdError(msg)
        self.network = network
        self.register_load_state_dict_pre_hook(_accept_inner_names)

    def forward(
        self, image: Tensor, fundus: Tensor | None = None, present: Tensor | None = None, **further: Tensor | None
    ) -> Tensor:
        """Predict MD of B eyes.

        Args:
            image: the first modality, whatever its name; for the defaults the OCT (B, 1, slices, depth, along-scan).
            fundus: the second modality; None when no eye has it.
            present: (B, K) bool, see `MultimodalRegressor.forward`.
            **further: the third and later modalities by name.

        Returns:
            (B, 1) prediction of the fused head, dB; of classes (B, C) logits; of several tasks their outputs side by
            side.

        Raises:
            MedmdError: a modality that the network does not have, or shapes that do not fit.
        """
        names = self.network.modalities
        if fundus is not None and len(names) < 2:
            msg = f"The network has one modality, {names[0]!r}, but a second input was given."
            raise MedmdError(msg)
        given = dict(zip(names, (image, fundus), strict=False)) | {k: v for k, v in further.items() if v is not None}
        inputs = {name: value for name, value in given.items() if value is not None}
        fusion = self.network(inputs, present).fusion
        return fusion if fusion.ndim > 1 else fusion.unsqueeze(1)


def _accept_inner_names(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Let a checkpoint of the inner regressor, which is what training writes, load as it is."""
    outer = f"{prefix}network."
    if any(key.startswith(outer) for key in state):
        return
    for key in [key for key in state if key.startswith(prefix)]:
        state[outer + key.removeprefix(prefix)] = state.pop(key)
