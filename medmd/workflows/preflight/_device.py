"""Whether the device that is asked for is there, and can compute in the precision that is asked for."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from medmd.workflows.preflight._report import Problem

_KNOWN = ("cpu", "cuda", "mps")


def device_problems(device: str | torch.device, autocast_dtype: str | None = None) -> Iterator[Problem]:
    """What keeps `device` from being used.

    Args:
        device: name or device, as PyTorch takes it.
        autocast_dtype: `None` or `"bfloat16"`.
    """
    try:
        asked = torch.device(device)
    except (RuntimeError, TypeError):
        yield _problem("no device of PyTorch", repr(device), "cpu, cuda or cuda:<number>", "Name one of these.")
        return
    if asked.type == "cuda":
        yield from _cuda(asked, autocast_dtype)
    elif asked.type == "mps" and not torch.backends.mps.is_available():
        yield _problem("Apple's GPU cannot be used", "a PyTorch or machine without it", "one with it", "Use cpu.")
    elif asked.type not in _KNOWN:
        yield _problem("not a device that can train here", asked.type, "cpu, cuda or mps", "Name one of these.")


def _cuda(device: torch.device, autocast_dtype: str | None) -> Iterator[Problem]:
    if not torch.cuda.is_available():
        built = torch.version.cuda
        found = f"PyTorch {torch.__version__} " + (
            f"for CUDA {built}, but no GPU or driver" if built else "without CUDA"
        )
        fix = "Use --device cpu" + ("; `nvidia-smi` shows the driver." if built else ", or install PyTorch for CUDA.")
        yield _problem(f"{device} cannot be used", found, "a GPU with its driver", fix)
        return
    count = torch.cuda.device_count()
    if device.index is not None and device.index >= count:
        there = ", ".join(f"cuda:{place} ({torch.cuda.get_device_name(place)})" for place in range(count))
        yield _problem(f"there is no {device}", there, "one of these", "Name one, or plain cuda for the first.")
    elif autocast_dtype == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        yield Problem(
            setting="autocast_dtype",
            what="the GPU cannot compute in bfloat16",
            found=torch.cuda.get_device_name(device),
            expected="compute capability 8.0 or more",
            fix="Set autocast_dtype to null.",
        )


def _problem(what: str, found: str, expected: str, fix: str) -> Problem:
    return Problem(setting="device", what=what, found=found, expected=expected, fix=fix)
