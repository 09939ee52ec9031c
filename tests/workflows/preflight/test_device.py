import pytest
import torch

from medmd.workflows.preflight import device_problems


def texts(*arguments):
    return [str(problem) for problem in device_problems(*arguments)]


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Fake V100")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
@pytest.mark.parametrize("dtype", [None, "bfloat16"])
def test_the_cpu_is_always_there(device, dtype):
    assert texts(device, dtype) == []


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "", 3.5])
def test_an_unknown_name_is_refused(device):
    (text,) = texts(device)
    assert text.startswith("device: no device of PyTorch; found ")
    assert repr(device) in text


@pytest.mark.parametrize("device", ["meta", "xla"])
def test_a_device_that_cannot_train_is_refused(device):
    assert "can train" in texts(device)[0]


@pytest.mark.parametrize(("built", "word"), [(None, "without CUDA"), ("12.8", "CUDA 12.8, but no GPU or driver")])
def test_cuda_that_is_not_there_is_refused(monkeypatch, built, word):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built)
    (text,) = texts("cuda:1")
    assert "cuda:1 cannot be used" in text
    assert word in text
    assert "--device cpu" in text


def test_mps_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert "Use cpu" in texts("mps")[0]
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert texts("mps") == []


@pytest.mark.usefixtures("two_gpus")
def test_an_index_beyond_the_last_gpu_is_refused_and_the_others_are_named():
    (text,) = texts("cuda:2")
    assert "no cuda:2" in text
    assert "cuda:0 (Fake V100), cuda:1 (Fake V100)" in text
    assert texts("cuda:1") == texts("cuda") == []


@pytest.mark.usefixtures("two_gpus")
def test_bfloat16_needs_a_gpu_that_has_it():
    (text,) = texts("cuda", "bfloat16")
    assert text.startswith("autocast_dtype: ")
    assert "Set autocast_dtype to null" in text
