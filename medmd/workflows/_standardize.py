"""Networks learn the scale of their vectors from the training list, which no configuration can state."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from medmd.data import vector_statistics
from medmd.networks import VectorEncoder
from medmd.utils import MedmdError


def standardize_vectors(network: nn.Module, datalist: str | Path) -> None:
    """Give every encoder with `standardize` the mean and spread of its input in the list `training`.

    Networks without such encoders are left alone, and the datalist is not opened for them. The constants are part of
    the weights: a resumed run and a model folder bring their own, which are equal.

    Args:
        network: with `encoders` by modality.
        datalist: the file.

    Raises:
        MedmdError: no training case has the input, or its length is another than the encoder's.
    """
    encoders = getattr(network, "encoders", None)
    for name, encoder in encoders.items() if isinstance(encoders, nn.ModuleDict) else ():
        if isinstance(encoder, VectorEncoder) and encoder.standardize:
            found = vector_statistics(datalist, name)
            length = len(found["mean"])
            if length != encoder.in_features:
                msg = (
                    f"network#encoders#{name}#in_features: expected {length}, the length of the input {name} in the "
                    f"datalist, got {encoder.in_features}."
                )
                raise MedmdError(msg)
            encoder.set_statistics(found["mean"], found["std"])
