"""ImbSAM and SSE-SAM: flatness where cases are rare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from medmd.balancing._ascent import Ascent
from medmd.balancing._balancer import BalancedModel, Balancer, Closure
from medmd.balancing._checks import check_count, check_positive
from medmd.balancing._gradients import Parameters, dense
from medmd.balancing._head_and_tail import HeadAndTail, head_loss, tail_loss
from medmd.balancing._probing import ForwardState


class ImbSAM(Balancer):
    """Sharpness-aware minimisation of the rare cases' loss, plain minimisation of the others'.

    Source: Zhou et al., ImbSAM: A Closer Look at Sharpness-Aware Minimization in Class-Imbalanced Recognition, ICCV
    2023: L_head(w) + L_tail(w + rho g_tail / |g_tail|). The two parts are the contributions of the cases below and
    above `tail_threshold`; they add up to the plain loss (the authors' code doubles the tail's, the paper does not).
    A batch without rare cases gives the plain step. One forward and two backward passes here, one of each there:
    2.67 of a plain step.

    Deviations: made for classes, here for a long-tailed target; BatchNorm keeps the statistics of the first pass
    alone; the second pass runs the whole batch, so that BatchNorm sees it, without autocast.

    Args:
        rho: radius, above 0.
        eps: added to the gradient's length, above 0.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(self, *, rho: float = 0.05, eps: float = 1e-12) -> None:
        super().__init__()
        self.rho = check_positive("rho", rho)
        self.eps = check_positive("eps", eps)

    def backward(self, model: BalancedModel, closure: Closure, *more_closures: Closure) -> dict[str, Tensor]:
        """Also logs `loss_head`, `loss_tail` and `sharpness_tail`, the rise of the rare cases' loss.

        Under autocast the loss before the rise is narrow and the one after it is not: the logged rise then holds their
        difference too.

        Raises:
            ValueError: the losses do not tell rare cases apart.
        """
        closures = (closure, *more_closures)
        parameters = Parameters.of(model)
        before = ForwardState.capture(model)
        found = HeadAndTail.compute(closures, parameters, self.reduce)
        ascent = Ascent(model, closures, before, parameters, adaptive=False, eps=self.eps, reduce=self.reduce)
        with torch.autocast(parameters.device.type, enabled=False):
            head, log = self._head(ascent, found)
            tail, raised = ascent.gradients(tail_loss, along=found.tail, rho=self.rho)
            parameters.write([a + b for a, b in zip(head, tail, strict=True)])
        return {**found.values, **log, "sharpness_tail": raised - found.values["loss_tail"]}

    def _head(self, ascent: Ascent, found: HeadAndTail) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Gradient of the common cases' loss."""
        return dense(found.head, ascent.parameters.trainable), {}


class SSESAM(ImbSAM):
    """Sharpness-aware minimisation of both parts with a radius each; from some step on, of the rare cases alone.

    Source: Lyu et al., SSE-SAM: Balancing Head and Tail Classes Gradually through Stage-Wise SAM, AAAI 2025:
    L_head(w + e_head) + L_tail(w + e_tail), each perturbation normalised by itself; after a share of the epochs (0.7)
    `rho_head` is 0 and the method is ImbSAM. One forward and two backward passes here, two forward and two backward
    passes there: 3.67 of a plain step (4 in the authors' code, which repeats the first pass).

    Args:
        rho_head: radius for the common cases, above 0.
        rho_tail: radius for the rare cases, above 0.
        switch_after: number of steps after which the common cases are minimised plainly, at least 1. None: never.
        eps: added to the gradient's length, above 0.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(
        self,
        *,
        rho_head: float = 0.05,
        rho_tail: float = 0.1,
        switch_after: int | None = None,
        eps: float = 1e-12,
    ) -> None:
        super().__init__(rho=check_positive("rho_tail", rho_tail), eps=eps)
        self.rho_head = check_positive("rho_head", rho_head)
        self.switch_after = None if switch_after is None else check_count("switch_after", switch_after, low=1)
        self._iteration = 0

    def backward(self, model: BalancedModel, closure: Closure, *more_closures: Closure) -> dict[str, Tensor]:
        """As `ImbSAM`, and logs `sharpness_head`, the rise of the common cases' loss, before the switch."""
        log = super().backward(model, closure, *more_closures)
        self._iteration += 1
        return log

    def _head(self, ascent: Ascent, found: HeadAndTail) -> tuple[list[Tensor], dict[str, Tensor]]:
        if self.switch_after is not None and self._iteration >= self.switch_after:
            return super()._head(ascent, found)
        head, raised = ascent.gradients(head_loss, along=found.head, rho=self.rho_head)
        return head, {"sharpness_head": raised - found.values["loss_head"]}

    def state_dict(self) -> dict[str, Any]:
        """The number of steps so far."""
        return {"iteration": self._iteration}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave.

        Raises:
            ValueError: the keys differ.
        """
        self._check_keys(state, ("iteration",))
        self._iteration = int(state["iteration"])
