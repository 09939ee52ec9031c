"""OGM-GE: the encoder that is ahead is slowed down, and noise keeps the gradients lively."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from medmd.balancing._balancer import BalancedModel, Balancer, Closure, keep, run
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
from medmd.balancing._shared import total_norm
from medmd.utils import MedmdError

# Added to an error before it is divided by; `ClassificationLoss` takes it off, so that 1 / s comes out as it went in.
_LEAST_ERROR = 1e-6


class OGMGE(Balancer):
    """On-the-fly gradient modulation with generalisation enhancement, for regression.

    Source: Peng et al., Balanced Multimodal Learning via On-the-fly Gradient Modulation, CVPR 2022. The gradient of
    encoder u is multiplied by k_u = 1 - tanh(alpha r_u) where r_u = s_u / mean of the other scores is above 1, else by
    1; then Gaussian noise with the standard deviation of each tensor's own gradient is added.

    Deviations. The score is made for classification (probability of the true class); here s_u = 1 / (e_u + 1e-6) with
    e_u the running mean of the absolute error of the modality's own prediction, from `Losses.scores`. The original
    reads that prediction off slices of the fusion head; where a modality has its own head, the unimodal losses train
    the heads alone (`unimodal="heads"`, the default; no further pass through an encoder) or everything (`"all"`, the
    modulated sum of Eq. 1). With more than two modalities a score is compared with the mean of the others that have one
    already; a modality without a score yet, or without another to compare with, is left alone. As in the authors' code
    noise is added also where k_u = 1, and is isotropic, with one spread a tensor, where the paper's has the covariance
    of the stochastic gradient. The whole training is modulated unless `stop` says otherwise; the authors' code ends
    with epoch 50 of 100. Under an optimiser that divides by the gradient's own size (Adam), k_u acts by its changes
    only, and the noise is rescaled with the gradient: it weighs most where the gradient has been small.

    With `reduce` the errors are averaged by the rows of all ranks, so that a rank may lack a modality, and every rank
    adds the same noise: the average of what the ranks drew, brought back to its spread over each encoder's tensors
    together (to about 1 / sqrt(2 n) for n numbers).

    Args:
        alpha: strength of the slowing down, above 0. Published are 0.1 (VGGSound) and 0.8 (CREMA-D); the default lies
            between them and is nobody's.
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
        seen: list[Losses] = []
        for each in (closure, *more_closures):
            losses = run(each)
            self._check(losses, parameters)
            self._add_gradients(losses, parameters, gradients)
            accumulate(values, {"loss": losses.total({}).detach(), **losses.values()})
            seen.append(_scores_alone(losses))
        gradients = average(gradients, parameters.trainable, self.reduce)
        with torch.no_grad():
            log = self._modulate(parameters, gradients, self._update_errors(seen, list(parameters.encoders)))
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

    def _check(self, losses: Losses, parameters: Parameters) -> None:
        missing = set(parameters.encoders) - set(losses.scores)
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
        self, parameters: Parameters, gradients: Gradients, errors: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
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

    def _update_errors(self, seen: Sequence[Losses], names: Sequence[str]) -> dict[str, Tensor]:
        """Running mean of errors; a modality that the batch does not hold keeps its value (NaN until the first)."""
        means = self._mean_errors(seen, names)
        for name, new in means.items():
            old = self._errors.get(name, new).to(new)
            mixed = torch.where(old.isnan(), new, self.momentum * old + (1 - self.momentum) * new)
            self._errors[name] = torch.where(new.isnan(), old, mixed)
        return {name: self._errors[name] for name in means}

    def _mean_errors(self, seen: Sequence[Losses], names: Sequence[str]) -> dict[str, Tensor]:
        """Over all rows of all micro-batches and ranks that have the modality; NaN when none has."""
        if len(seen) == 1 and self.reduce is keep:
            return {name: seen[0].scores[name] for name in names}
        sums: dict[str, Tensor] = {}
        for losses in seen:
            for name in names:
                score = losses.scores[name]
                rows = torch.where(score.isnan(), 0.0, torch.zeros_like(score) + losses.score_rows.get(name, 1.0))
                value = 1 / (score + _LEAST_ERROR) if losses.inverse_scores else score
                accumulate(sums, {f"sum {name}": torch.where(rows > 0, value * rows, 0.0), f"rows {name}": rows})
        sums = average_values(sums, self.reduce)
        means = {name: sums[f"sum {name}"] / sums[f"rows {name}"] for name in names}
        return {name: 1 / each - _LEAST_ERROR if seen[0].inverse_scores else each for name, each in means.items()}

    def _coefficients(self, errors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        scores = {name: 1 / (error + _LEAST_ERROR) for name, error in errors.items()}
        found = {}
        for name, score in scores.items():
            others = [each for other, each in scores.items() if other != name]
            ratio = score / torch.stack(others).nanmean() if others else torch.ones_like(score)
            # A comparison with NaN is false: a modality without a score yet, or without a rival's, is left alone.
            found[name] = torch.where(ratio > 1, 1 - torch.tanh(self.alpha * ratio), 1.0)
        return found

    def _edit(self, gradients: list[Tensor], coefficient: Tensor) -> list[Tensor]:
        if not self.noise:
            return [gradient * coefficient for gradient in gradients]
        noise = [torch.randn_like(gradient) for gradient in gradients]
        if self.reduce is not keep and noise:
            # Each rank has a generator of its own: replicas stay equal only with the same noise on all.
            noise = _unit_spread(list(self.reduce(noise)))
        pairs = zip(noise, gradients, strict=True)
        return [
            drawn.mul_(gradient.std(correction=0)).addcmul_(gradient, coefficient.to(gradient.dtype))
            for drawn, gradient in pairs
        ]


def _scores_alone(losses: Losses) -> Losses:
    """The scores without the losses, whose graph is to be freed before the next forward pass."""
    scores = {name: score.detach() for name, score in losses.scores.items()}
    return Losses(None, {}, scores, score_rows=losses.score_rows, inverse_scores=losses.inverse_scores)


def _unit_spread(noise: list[Tensor]) -> list[Tensor]:
    """Averaged noise, whose spread tells over how many ranks, brought back to a standard deviation of 1."""
    length = total_norm(noise)
    scale = torch.where(length > 0, sum(each.numel() for each in noise) ** 0.5 / length, 0.0)
    return [each * scale.to(each.dtype) for each in noise]
