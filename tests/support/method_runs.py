"""Short trainings of the bundle's methods in memory, composed from its own configurations, on a dozen small cases."""

import copy
import functools
import io
import json
import random
from pathlib import Path

import numpy as np
import torch
from ignite.engine import Events
from monai.bundle import ConfigParser

from medmd.data import Case, Datalist, Header, InputSpec, write_datalist
from medmd.workflows import resolve_literals

BUNDLE = Path(__file__).parents[2] / "bundles" / "remd"
METHODS = sorted(path.stem for path in (BUNDLE / "methods").glob("*.json"))
NAMES = ("oct", "fundus", "octa")
STAGES = ("pretrain", "train")
WIDTH = 6
NUMBER, BATCH = 12, 4


def overlay(method):
    return json.loads((BUNDLE / "methods" / f"{method}.json").read_text())


def is_architecture(method):
    """Whether the method brings encoders of its own; the others are run on rows of numbers."""
    return any(key in ("network", "preprocessing") or key.startswith("network#encoders") for key in overlay(method))


def targets(kind="usual"):
    """12 labels in dB: mostly mild, some in the tail below -8."""
    if kind == "equal":
        return [-5.0] * NUMBER
    if kind == "no_tail":
        return [round(-7 * (i * 5 % NUMBER) / NUMBER, 2) for i in range(NUMBER)]
    return [round(-16 * (i * 5 % NUMBER / NUMBER) ** 2, 2) for i in range(NUMBER)]


def absent(kind, names):
    """By case the modalities that it lacks."""
    if len(names) == 1:
        return {}
    if kind == "absent":
        return {number: {names[1]} for number in range(NUMBER)}
    return {2: {names[1]}, 5: {names[0]}, 9: set(names[1:])}


def write_cohort(folder):
    """A datalist of the cases that need no files, for what the configuration reads of it."""
    rows = [
        Case(case_id=f"c{i}", patient_id=f"p{i}", inputs=dict.fromkeys(NAMES, [0.0] * WIDTH), target=target)
        for i, target in enumerate(targets())
    ]
    splits = {"training": rows[:10], "validation": rows[10:11], "testing": rows[11:]}
    header = Header(name="cases", inputs={name: InputSpec(kind="vector") for name in NAMES})
    write_datalist(folder / "datalist.json", Datalist(header=header, splits=splits))
    return folder / "datalist.json"


class Cases(list):
    """Packed items, asked for by place or as the sampler asks: stage, epoch, place and view."""

    def __getitem__(self, key):
        return super().__getitem__(key[2] if isinstance(key, tuple) else key)


def make_cases(shapes, kind="usual"):
    generator = torch.Generator().manual_seed(3)
    gone = absent(kind, list(shapes))
    found = Cases()
    for number, target in enumerate(targets(kind)):
        lacking = gone.get(number, set())
        item = {name: torch.randn(*shape, generator=generator) + target / 8 for name, shape in shapes.items()}
        for name in lacking:
            item[name] = torch.zeros_like(item[name])
        item["present"] = torch.tensor([name not in lacking for name in shapes])
        found.append(item | {"target": torch.tensor(target), "case_id": f"c{number}"})
    return found


@functools.cache
def _config(method):
    files = ("train.json", "presets/tiny.json", f"methods/{method}.json")
    return ConfigParser.load_config_files([str(BUNDLE / name) for name in files])


class Training:
    """Both trainers of one method, built anew, without anything that writes files.

    Attributes:
        parser: the configuration.
        network: on the CPU.
        stages: the stages that the method has.
        names: its modalities.
    """

    def __init__(self, method, datalist, *, kind="usual", names=None, epochs=2, settings=None):
        self.parser = ConfigParser(copy.deepcopy(_config(method)))
        parser = self.parser
        self.names = self._modalities(method, names)
        for key, value in (settings or {}).items():
            parser[key] = value
        cases = make_cases(self._shapes(method), kind)
        fixed = {"device": torch.device("cpu"), "batch_size": BATCH, "datalist": str(datalist)}
        lengths = {"pretrain_epochs": epochs, "train_epochs": epochs}
        for key, value in {**fixed, **lengths, "train#dataset": cases}.items():
            parser[key] = value
        for stage in STAGES:
            seeds = [each for each in parser[f"{stage}#handlers"] if each["_target_"].endswith("SeedIterations")]
            parser[f"{stage}#handlers"] = seeds
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        self.network = parser.get_parsed_content("network_on_device")
        self.network.set_target_statistics(parser.get_parsed_content("target_statistics"))
        self.stages = STAGES if parser["pretraining"] else STAGES[1:]
        self._trainers = {}

    def trainer(self, stage):
        if stage not in self._trainers:
            self._trainers[stage] = self.parser.get_parsed_content(f"{stage}#trainer")
        return self._trainers[stage]

    def run(self, *stages):
        """Run the stages, all by default; gives the losses of every step by name."""
        values = {}
        for stage in stages or self.stages:
            trainer = self.trainer(stage)

            def note(engine, stage=stage):
                logs = {"loss": engine.state.output["loss"], **engine.state.output["logs"]}
                values[stage, engine.state.iteration] = {name: float(value) for name, value in logs.items()}

            trainer.add_event_handler(Events.ITERATION_COMPLETED, note)
            trainer.run()
        return values

    def state(self, *stages):
        """Everything that a run continues from, bit for bit."""
        found = {"network": self.network.state_dict()}
        for stage in stages or self.stages:
            items = self.trainer(stage).checkpointables()
            found[stage] = {name: item.state_dict() for name, item in items.items() if name != "network"}
        return copy.deepcopy(found)

    def _modalities(self, method, names):
        encoders = self.parser["network"]["encoders"]
        own = [name for name in self.parser["modalities"] if name in encoders]
        chosen = list(names or own)
        vector = {"_target_": "medmd.networks.VectorEncoder", "in_features": WIDTH, "hidden": [8], "out_features": 8}
        vector |= {"norm": "batch", "dropout": 0.1}
        kept = encoders if is_architecture(method) else {}
        self.parser["network"]["encoders"] = {name: kept.get(name, vector) for name in chosen}
        self.parser["modalities"] = chosen
        return chosen

    def _shapes(self, method):
        described = (
            resolve_literals(self.parser.config, "preprocessing")[-1]["shapes"] if is_architecture(method) else {}
        )
        return {name: described.get(name, [WIDTH]) for name in self.names}


def saved_at(trainer, step):
    """A list that holds, once the trainer has made `step`, the file of what a checkpoint would hold."""
    files = []

    def save(engine):
        if engine.state.iteration == step:
            files.append(io.BytesIO())
            states = {name: item.state_dict() for name, item in engine.checkpointables().items()}
            torch.save({"iteration": step, "states": states}, files[0])

    trainer.add_event_handler(Events.ITERATION_COMPLETED, save)
    return files


def resume(trainer, file):
    """Have the trainer begin where the file was written, in the middle of an epoch too."""
    stored = torch.load(io.BytesIO(file.getvalue()), weights_only=True)

    def start(engine):
        for name, item in engine.checkpointables().items():
            item.load_state_dict(stored["states"][name])
        engine.state.iteration = stored["iteration"]
        engine.state.epoch = stored["iteration"] // engine.state.epoch_length

    trainer.add_event_handler(Events.STARTED, start)


def differences(first, second, path=""):
    """Where two nests of dictionaries, lists, tensors and numbers differ in a single bit."""
    if isinstance(first, dict):
        if first.keys() != second.keys():
            return [path]
        return [text for key in first for text in differences(first[key], second[key], f"{path}/{key}")]
    if isinstance(first, (list, tuple)):
        pairs = enumerate(zip(first, second, strict=True))
        return [text for place, pair in pairs for text in differences(*pair, f"{path}/{place}")]
    if isinstance(first, torch.Tensor):
        same = first.shape == second.shape and torch.equal(first.nan_to_num(), second.nan_to_num())
        return [] if same and torch.equal(first.isnan(), second.isnan()) else [path]
    return [] if first == second or (first != first and second != second) else [path]


def not_finite(state, path=""):
    """Where a nest of tensors and numbers holds something that is no number."""
    if isinstance(state, dict):
        return [text for key, value in state.items() for text in not_finite(value, f"{path}/{key}")]
    if isinstance(state, (list, tuple)):
        return [text for place, value in enumerate(state) for text in not_finite(value, f"{path}/{place}")]
    if isinstance(state, torch.Tensor):
        return [] if state.isfinite().all() else [path]
    return [path] if isinstance(state, float) and not np.isfinite(state) else []
