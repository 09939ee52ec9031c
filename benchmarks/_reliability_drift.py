"""How far the same steps of stage 2 lead when only the arithmetic differs.

python -m benchmarks._reliability_drift '{"eyes": "FOLDER", "steps": 200, "every": 5}' > drift.json
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.bundle import ConfigParser
from monai.data import DataLoader, list_data_collate
from monai.utils import set_determinism
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from medmd.data import SeededSampler
from medmd.engines import FusionTrainer, PrepareModalities
from medmd.handlers import SeedIterations

Tell = Callable[[str], None]
BUNDLE = Path("bundles") / "remd"
_SEED = 0
_BATCH = 8
_LOGS = ("loss", "gamma", "cosine")
_TINY = 1e-300
_RELUS = (functional.relu, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_)


@dataclass(frozen=True)
class Lane:
    """One way to compute the same training."""

    title: str
    dtype: torch.dtype = torch.float32
    threads: int = 1
    nudged: bool = False


LANES = {
    "float32": Lane("float32"),
    "float64": Lane("float64", dtype=torch.float64),
    "nudged": Lane("float32, one weight moved by one unit in the last place", nudged=True),
    "threads": Lane("float32, 2 threads", threads=2),
}


@dataclass
class Course:
    """What one lane went through; lists have an entry a recorded step, `logs` and `signs` one a step.

    `signs` holds a bit for each input of a ReLU in all forward passes of the step: whether it was above 0.
    """

    steps: list[int] = field(default_factory=list)
    weights: list[np.ndarray] = field(default_factory=list)
    predictions: list[np.ndarray] = field(default_factory=list)
    signs: list[np.ndarray] = field(default_factory=list)
    logs: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _LOGS})


def measure_drift(
    eyes: Path, *, steps: int, every: int, tell: Tell, lanes: Sequence[str] = tuple(LANES)
) -> dict[str, Any]:
    """Train every lane from the same weights on the same batches, and compare.

    Args:
        eyes: folder of a datalist.
        steps: of stage 2.
        every: steps between two looks at weights and predictions.
        tell: gets a line for each lane.
        lanes: which; "float32", which the others are compared with, among them.

    Returns:
        Curves by pair of lanes, and the error of each lane on the held-out cases.
    """
    set_determinism(_SEED)
    # Its state is the whole program's; the trainers seed themselves.
    set_determinism(None)
    torch.manual_seed(_SEED)
    setting = _Setting(eyes, steps)
    courses = {}
    for name in lanes:
        courses[name] = setting.train(LANES[name], every)
        tell(f"{LANES[name].title}: loss {courses[name].logs['loss'][-1]:.6f} after {steps} steps")
    return {
        "seed": _SEED,
        "steps": steps,
        "every": every,
        "batch": _BATCH,
        "training_cases": len(setting.dataset),
        "held_out_cases": len(setting.target),
        "weights": len(courses["float32"].weights[0]),
        "lanes": {
            name: {
                "title": LANES[name].title,
                "mae_db": float(np.abs(course.predictions[-1] - setting.target).mean()),
                "loss": course.logs["loss"][-1],
            }
            for name, course in courses.items()
        },
        "pairs": {name: compare(courses["float32"], courses[name]) for name in lanes if name != "float32"},
    }


def compare(first: Course, second: Course) -> dict[str, Any]:
    """Curves of the distance of two courses."""
    moved = [float(np.linalg.norm(each - first.weights[0])) for each in first.weights]
    apart = [float(np.linalg.norm(a - b)) for a, b in zip(first.weights, second.weights, strict=True)]
    errors = [a - b for a, b in zip(first.predictions, second.predictions, strict=True)]
    return {
        "steps": first.steps,
        **{name: [abs(a - b) for a, b in zip(first.logs[name], second.logs[name], strict=True)] for name in _LOGS},
        "signs": [int(np.bitwise_count(a ^ b).sum()) for a, b in zip(first.signs, second.signs, strict=True)],
        "weights_relative": [a / float(np.linalg.norm(w)) for a, w in zip(apart, first.weights, strict=True)],
        "weights_of_way": [a / max(m, _TINY) if m else 0.0 for a, m in zip(apart, moved, strict=True)],
        "predictions_rms_db": [float(np.sqrt(np.mean(each**2))) for each in errors],
        "predictions_largest_db": [float(np.abs(each).max()) for each in errors],
    }


class _Setting:
    """Data, start and held-out cases, shared by all lanes."""

    def __init__(self, eyes: Path, steps: int) -> None:
        self.steps = steps
        parser = ConfigParser()
        parser.read_config([str(BUNDLE / "train.json"), str(BUNDLE / "presets" / "tiny.json")])
        parser.update({"dataset_dir": str(eyes), "device": "cpu", "seed": _SEED})
        self.dataset = parser.get_parsed_content("train#dataset")
        self.network = parser.get_parsed_content("network")
        self.loss = parser.get_parsed_content("regression_loss")
        self.balancer = parser.get_parsed_content("balancer")
        self.rate = float(parser.get_parsed_content("learning_rate"))
        self.decay = float(parser.get_parsed_content("weight_decay"))
        self.network.set_output_bias(parser.get_parsed_content("target_statistics")["mean"])
        held_out = [parser.get_parsed_content(f"{name}#dataset") for name in ("validate", "evaluate")]
        batch = list_data_collate([item for dataset in held_out for item in dataset])
        self.held_out = PrepareModalities(self.network.modalities)(batch, "cpu")
        self.target = self.held_out.target.double().numpy()

    def train(self, lane: Lane, every: int) -> Course:
        """All steps of one lane."""
        network = copy.deepcopy(self.network).to(lane.dtype)
        if lane.nudged:
            _nudge(next(network.parameters()))
        sampler = SeededSampler(len(self.dataset), seed=_SEED, stage="train")
        loader = DataLoader(self.dataset, sampler=sampler, batch_size=_BATCH, drop_last=True, num_workers=0)
        optimizer = torch.optim.AdamW(network.parameters(), lr=self.rate, weight_decay=self.decay)
        trainer = FusionTrainer(
            device="cpu",
            max_epochs=-(-self.steps // len(loader)),
            train_data_loader=loader,
            network=network,
            optimizer=optimizer,
            scheduler=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=self.steps),
            loss_function=copy.deepcopy(self.loss).to(lane.dtype),
            balancer=copy.deepcopy(self.balancer),
            train_handlers=[SeedIterations(seed=_SEED, stage="train", sampler=sampler, batch_size=_BATCH)],
            to_kwargs={"dtype": lane.dtype},
        )
        course, relu = Course(), _Signs()

        def look(step: int) -> None:
            course.steps.append(step)
            flat = [tensor.detach().double().flatten() for tensor in network.parameters()]
            course.weights.append(torch.cat(flat).numpy())
            course.predictions.append(self._predict(network, lane.dtype))

        def after(engine: Engine) -> None:
            for name in _LOGS:
                course.logs[name].append(float(trainer.logs[name]))
            course.signs.append(relu.take())
            if engine.state.iteration % every == 0:
                look(engine.state.iteration)
            if engine.state.iteration >= self.steps:
                engine.terminate()

        trainer.add_event_handler(Events.ITERATION_COMPLETED, after)
        with _threads(lane.threads), relu:
            look(0)
            trainer.run()
        return course

    @torch.no_grad()
    def _predict(self, network: Any, dtype: torch.dtype) -> np.ndarray:
        network.eval()
        inputs = {name: value.to(dtype) for name, value in self.held_out.inputs.items()}
        found = network(inputs, self.held_out.present).fusion.double().numpy()
        network.train()
        return found


class _Signs(TorchFunctionMode):
    """Looks at every ReLU that is computed."""

    def __init__(self) -> None:
        super().__init__()
        self._found: list[np.ndarray] = []

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in _RELUS:
            self._found.append((args[0].detach() > 0).flatten().numpy())
        return function(*args, **(kwargs or {}))

    def take(self) -> np.ndarray:
        """Packed bits since the last call."""
        found, self._found = self._found, []
        return np.packbits(np.concatenate(found))


@torch.no_grad()
def _nudge(parameter: torch.Tensor) -> None:
    """Move the first number of `parameter` to the next one that its type can hold."""
    first = parameter.view(-1)[:1]
    first.copy_(torch.nextafter(first, torch.full_like(first, torch.inf)))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def main() -> None:
    """Measure in this process, as the arguments say, and write JSON to the standard output."""
    options = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    found = measure_drift(
        Path(options["eyes"]),
        steps=options["steps"],
        every=options["every"],
        tell=lambda line: print(line, file=sys.stderr),
    )
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
