"""The fused and the unimodal gradient on the encoders' tensors, and how they are mixed into one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from medmd.balancing._gradients import Parameters, TwoObjectives, dense


@dataclass(frozen=True)
class SharedGradients:
    """Gradients on T encoder tensors, encoder by encoder, with their lengths.

    Attributes:
        places: positions in `Parameters.trainable`.
        names: the encoders that have a trainable tensor.
        sizes: how many tensors each of them has.
        mm: gradients of the fused loss.
        uni: gradients of the unimodal losses; `mix` overwrites them.
        sums: gradients of Eq. 1.
        mm_norms: (T,) lengths of `mm`.
        uni_norms: (T,) lengths of `uni`.
        sum_norms: (T,) lengths of `sums`.
        dots: (T,) inner products of `mm` and `uni`.
    """

    places: list[int]
    names: list[str]
    sizes: list[int]
    mm: list[Tensor]
    uni: list[Tensor]
    sums: list[Tensor]
    mm_norms: Tensor
    uni_norms: Tensor
    sum_norms: Tensor
    dots: Tensor

    @classmethod
    def of(cls, parameters: Parameters, found: TwoObjectives) -> SharedGradients:
        """Add and measure the gradients in one pass over memory."""
        encoders = {name: places for name, places in parameters.encoders.items() if places}
        places = parameters.shared
        members = [parameters.trainable[place] for place in places]
        mm, uni = (dense([each[place] for place in places], members) for each in (found.fusion, found.unimodal))
        sums: list[Tensor] = []
        lengths: list[list[Tensor]] = [[], [], []]
        dots: list[Tensor] = []
        for part in portions(mm):
            added = torch._foreach_add(mm[part], uni[part])
            sums.extend(added)
            for column, tensors in zip(lengths, (mm[part], uni[part], list(added)), strict=True):
                column.extend(foreach_norm(tensors))
            dots.extend(inner(a, b) for a, b in zip(mm[part], uni[part], strict=True))
        columns = [torch.stack(column) if column else torch.zeros(0) for column in (*lengths, dots)]
        return cls(places, list(encoders), [len(each) for each in encoders.values()], mm, uni, sums, *columns)

    def mix(self, alpha: list[Tensor]) -> Tensor:
        """Overwrite `uni` by g_i / 2 = a mm_i + (1 - a) uni_i with each tensor's 0-d weight; lengths (T,) of g_i."""
        lengths: list[Tensor] = []
        for part in portions(self.uni):
            torch._foreach_lerp_(self.uni[part], self.mm[part], alpha[part])
            lengths.extend(foreach_norm(self.uni[part]))
        return 2 * torch.stack(lengths)

    def scaled(self, factors: Tensor) -> list[Tensor]:
        """factors_i g_i, after `mix`."""
        torch._foreach_mul_(self.uni, list((2 * factors).to(self.uni[0].dtype).unbind()))
        return self.uni


def portions(tensors: list[Tensor]) -> list[slice]:
    """Slices of the list to be worked on together.

    On a processor one tensor at a time, which then stays in its cache for the next operation; on an accelerator all, so
    that few kernels are launched.
    """
    width = 1 if tensors and tensors[0].device.type == "cpu" else max(1, len(tensors))
    return [slice(start, start + width) for start in range(0, len(tensors), width)]


def foreach_norm(tensors: list[Tensor]) -> list[Tensor]:
    """Euclidean length of each tensor, in float32 or better."""
    half = bool(tensors) and tensors[0].dtype in (torch.float16, torch.bfloat16)
    return list(torch._foreach_norm(tensors, 2, torch.float32 if half else None)) if tensors else []


def total_norm(tensors: list[Tensor]) -> Tensor:
    """Euclidean length of all tensors together."""
    lengths = [length for part in portions(tensors) for length in foreach_norm(tensors[part])]
    return torch.linalg.vector_norm(torch.stack(lengths)) if lengths else torch.zeros(())


def inner(a: Tensor, b: Tensor) -> Tensor:
    """<a, b> in float32 or better."""
    if a.dtype in (torch.float16, torch.bfloat16):
        a, b = a.float(), b.float()
    return torch.dot(a.flatten(), b.flatten())


def pooled(lengths: Tensor, groups: list[int]) -> Tensor:
    """(G,) length of each group of tensors together."""
    return torch.stack([torch.linalg.vector_norm(part) for part in lengths.split(groups)])
