"""OGM-GE: the encoder that is ahead is slowed down, and noise keeps the gradients lively."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from medmd.balancing._balancer import BalancedModel, Balancer, Closure, run
from medmd.balancing._checks import check_choice, check_count, check_positive
from medmd.balancing._gradients import (
    Gradients,
    Parameters,
    accumulate,
    add_gradients,
    average,
    average_values,
    dense,
    has_graph,
)
from medmd.balancing._losses import Losses
from medmd.utils import MedmdError


class OGMGE(Balancer):
    """On-the-fly gradient modulation with generalisation enhancement, for regression.

    Source: Peng et al., Balanced Multimodal Learning via On-the-fly Gradient Modulation, CVPR 2022. The gradient of
    encoder u is multiplied by k_u = 1 - tanh(alpha r_u) where r_u = s_u / mean of the other scores is above 1, else by
    1; then Gaussian noise with the standard deviation of each tensor's own gradient is added.

    Deviations. The score is made for classification (probability of the true class); here s_u = 1 / (e_u + 1e-6) with
    e_u the running mean of the absolute error of the modality's own prediction, from `Losses.scores`. The original
    reads that prediction off slices of the fusion head; where a modality has its own head, the unimodal losses train
    the heads alone (`unimodal="heads"`, the default; no further pass through an encoder) or everything (`"all"`, the
    modulated sum of Eq. 1). With more than two modalities a score is compared with the mean of the others. As in the
    authors' code noise is added also where k_u = 1. Under an optimiser that divides by the gradient's own size (Adam),
    k_u acts by its changes only.

    Args:
        alpha: strength of the slowing down, above 0 (0.1 to 0.8 in the original).
        noise: whether to add noise (GE), drawn from torch's generator.
        momentum: of the running mean of errors, in [0, 1).
        unimodal: what the unimodal losses train, `heads` or `all`.
        tensors: which encoder tensors are modulated: `all` (the paper) or `conv`, those with four dimensions or more
            (the authors' code).
        start: first iteration that is modulated.
        stop: first iteration that is not any more, or None.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.5,
        noise: bool = True,
        momentum: float = 0.9,
        unimodal: str = "heads",
        tensors: str = "all",
        start: int = 0,
        stop: int | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            msg = f"momentum: expected a number in [0, 1); got {momentum!r}."
            raise ValueError(msg)
        self.alpha = check_positive("alpha", alpha)
        self.noise = noise
        self.momentum = momentum
        self.unimodal = check_choice("unimodal", unimodal, ("heads", "all"))
        self.tensors = check_choice("tensors", tensors, ("all", "conv"))
        self.start = check_count("start", start, low=0)
        self.stop = None if stop is None else check_count("stop", stop, low=start)
        self._iteration = 0
        self._errors: dict[str, Tensor] = {}

    def backward(self, model: BalancedModel, closure: Closure, *more_closures: Closure) -> dict[str, Tensor]:
        """One forward and one backward pass a closure; also logs `coefficient_<modality>` and `error_<modality>`.

        Raises:
            MedmdError: the closure gives no fused loss, or no score for a modality that has an encoder.
        """
        parameters = Parameters.of(model)
        gradients: Gradients = [None] * len(parameters.trainable)
        values: dict[str, Tensor] = {}
        scores: dict[str, list[Tensor]] = {name: [] for name in parameters.encoders}
        for each in (closure, *more_closures):
            losses = run(each)
            self._check(losses, scores)
            self._add_gradients(losses, parameters, gradients)
            accumulate(values, {"loss": losses.total({}).detach(), **losses.values()})
            for name, found in scores.items():
                found.append(losses.scores[name].detach())
        gradients = average(gradients, parameters.trainable, self.reduce)
        with torch.no_grad():
            log = self._modulate(parameters, gradients, {name: torch.stack(each) for name, each in scores.items()})
        parameters.write(gradients)
        self._iteration += 1
        return {**average_values(values, self.reduce), **log}

    def state_dict(self) -> dict[str, Any]:
        """Iteration and the running errors."""
        return {"iteration": self._iteration, "errors": {name: each.clone() for name, each in self._errors.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave.

        Raises:
            ValueError: the keys differ.
        """
        self._check_keys(state, ("iteration", "errors"))
        self._iteration = int(state["iteration"])
        self._errors = {name: each.clone() for name, each in state["errors"].items()}

    def _check(self, losses: Losses, scores: Mapping[str, Any]) -> None:
        missing = set(scores) - set(losses.scores)
        if losses.fusion is None or missing:
            msg = (
                "balancer: OGM-GE expects a fused loss and a score of each modality; without a score: "
                f"{sorted(missing)}. For several tasks take another method, such as methods/mgda.json."
            )
            raise MedmdError(msg)

    def _add_gradients(self, losses: Losses, parameters: Parameters, gradients: Gradients) -> None:
        if self.unimodal == "all":
            add_gradients(losses.total({}), parameters.trainable, gradients)
            return
        fused, own = losses.objectives({})
        add_gradients(fused, parameters.trainable, gradients, retain=has_graph(own))
        shared = set(parameters.shared)
        places = [place for place in range(len(gradients)) if place not in shared]
        part = [gradients[place] for place in places]
        add_gradients(own, [parameters.trainable[place] for place in places], part)
        for place, gradient in zip(places, part, strict=True):
            gradients[place] = gradient

    def _modulate(
        self, parameters: Parameters, gradients: Gradients, scores: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        errors = self._update_errors(scores)
        coefficients = self._coefficients(errors)
        late = self.stop is not None and self._iteration >= self.stop
        if self._iteration >= self.start and not late:
            for name, places in parameters.encoders.items():
                chosen = [p for p in places if self.tensors == "all" or parameters.trainable[p].ndim >= 4]
                members = [parameters.trainable[place] for place in chosen]
                found = dense([gradients[place] for place in chosen], members)
                for place, gradient in zip(chosen, self._edit(found, coefficients[name]), strict=True):
                    gradients[place] = gradient
        log = {f"coefficient_{name}": value for name, value in coefficients.items()}
        return {**log, **{f"error_{name}": value for name, value in errors.items()}}

    def _update_errors(self, scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Running mean of errors; a modality that the batch does not hold keeps its value (NaN until the first)."""
        means = average_values({name: each.nanmean() for name, each in scores.items()}, self.reduce)
        for name, new in means.items():
            old = self._errors.get(name, new).to(new)
            mixed = torch.where(old.isnan(), new, self.momentum * old + (1 - self.momentum) * new)
            self._errors[name] = torch.where(new.isnan(), old, mixed)
        return {name: self._errors[name] for name in means}

    def _coefficients(self, errors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        scores = {name: 1 / (error + 1e-6) for name, error in errors.items()}
        found = {}
        for name, score in scores.items():
            others = [each for other, each in scores.items() if other != name]
            ratio = score / torch.stack(others).mean() if others else torch.ones_like(score)
            # A comparison with NaN is false: a modality without a score yet is left alone.
            found[name] = torch.where(ratio > 1, 1 - torch.tanh(self.alpha * ratio), 1.0)
        return found

    def _edit(self, gradients: list[Tensor], coefficient: Tensor) -> list[Tensor]:
        if not self.noise:
            return [gradient * coefficient for gradient in gradients]
        noisy = []
        for gradient in gradients:
            noise = torch.randn_like(gradient).mul_(gradient.std(correction=0))
            noisy.append(noise.addcmul_(gradient, coefficient.to(gradient.dtype)))
        return noisy
