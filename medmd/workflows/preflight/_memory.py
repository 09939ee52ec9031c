"""What a run will hold in memory at its fullest moment, part by part, against what is free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from medmd.workflows.preflight._case import CaseCost
from medmd.workflows.preflight._free import Free
from medmd.workflows.preflight._network import NetworkCost
from medmd.workflows.preflight._report import REFUSAL, WARNING, Problem, size

# Measured on Linux with PyTorch 2.13: what the imports and first uses after this point add (MLflow, figures, kernels).
_LATER = 140 << 20
# Bytes a voxel while a case is read: as stored, as float32, and once more while it is turned or cropped.
_READING = 12
# Backward passes and convolutions hold copies of activations for a moment.
_WORKSPACE = 0.5
# A process that loads shares the pages of its parent and needs some of its own.
_WORKER = 25 << 20
_PREFETCH = 2
# The loaders of training and of validation live at the same time.
_LOADERS = 2
_WARN_FROM = 0.8


@dataclass(frozen=True, kw_only=True)
class Part:
    """One reason for memory: its name, its bytes, the setting that changes it, and how."""

    name: str
    bytes: int
    setting: str
    advice: str


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """The numbers from which the parts follow.

    Args:
        training: number of training cases.
        validation: number of validation cases.
        voxels: most voxels and pixels of one case as stored.
        batch_size: cases of a batch.
        num_workers: processes of a loader; 0 loads in the main process.
        cache: whether prepared cases are kept.
        cache_workers: threads that fill the cache.
        pretraining: whether stage 1 is in this run, whose optimizers and best weights stay until the end.
        trains: whether a stage that trains is in it.
    """

    training: int
    validation: int
    voxels: int
    batch_size: int = 8
    num_workers: int = 0
    cache: bool = True
    cache_workers: int = 1
    pretraining: bool = True
    trains: bool = True


def data_parts(plan: MemoryPlan, case: CaseCost) -> list[Part]:
    """What data hold in the memory of the host."""
    cached = plan.training * case.training + plan.validation * case.validation if plan.cache else 0
    readers = plan.cache_workers if plan.cache else max(1, plan.num_workers)
    reading = max(1, readers) * plan.voxels * _READING
    return [
        Part(
            name=f"the cache of {plan.training + plan.validation} cases",
            bytes=cached,
            setting="cache",
            advice="Set cache to false (each epoch then reads the files anew), or lower oct_size and fundus_size.",
        ),
        Part(
            name="reading the largest case",
            bytes=reading,
            setting="cache_workers" if plan.cache else "num_workers",
            advice=f"Lower {'cache_workers' if plan.cache else 'num_workers'}: each reads one case.",
        ),
        Part(
            name="batches and the processes that load them",
            bytes=handed_over(plan, case) + _LOADERS * plan.num_workers * _WORKER,
            setting="num_workers",
            advice="Lower num_workers or batch_size.",
        ),
    ]


def handed_over(plan: MemoryPlan, case: CaseCost) -> int:
    """Bytes of the batches that wait in worker processes for their step."""
    return plan.batch_size * case.packed * _LOADERS * plan.num_workers * _PREFETCH


def kept_parts(plan: MemoryPlan, network: NetworkCost) -> list[Part]:
    """What a run keeps in the memory of the host whatever the device: best weights, and modules loaded later."""
    copies = (int(plan.pretraining) + 1) if plan.trains else 0
    advice = "Take a smaller network, or a machine with more memory."
    return [
        Part(name="copies of the best weights", bytes=copies * network.weights, setting="network", advice=advice),
        Part(name="programs that are loaded later", bytes=_LATER, setting="network", advice=advice),
    ]


def step_parts(plan: MemoryPlan, case: CaseCost, network: NetworkCost) -> list[Part]:
    """What a training step holds on the device, one batch included."""
    if not plan.trains:
        return [Part(name="the network", bytes=network.weights, setting="network", advice="Take a smaller network.")]
    # Two moments of Adam in this stage, and those of stage 1 with its last gradients, which nothing frees.
    optimizers = (3 if plan.pretraining else 0) + 3
    # SGM: the gradient of the other objective, their sum, and the weights while they are moved.
    probes = 3
    return [
        Part(
            name="the network, its gradients, optimizers and probes",
            bytes=network.weights + (optimizers + probes) * network.parameters,
            setting="network",
            advice="Take a smaller network (planes, depth), or a preset with one.",
        ),
        Part(
            name=f"the activations of a batch of {plan.batch_size}",
            bytes=plan.batch_size * case.packed + int(network.activations * (1 + _WORKSPACE)) + 2 * network.largest,
            setting="batch_size",
            advice="Lower batch_size, or oct_size and fundus_size.",
        ),
    ]


def total_bytes(parts: Sequence[Part]) -> int:
    """All parts together."""
    return sum(part.bytes for part in parts)


def memory_problems(parts: Sequence[Part], free: Free) -> Iterator[Problem]:
    """A refusal when the parts need more than is free, a warning from four fifths of it on."""
    needed = total_bytes(parts)
    if needed <= _WARN_FROM * free.number:
        return
    biggest = max(parts, key=lambda part: part.bytes)
    fits = needed <= free.number
    yield Problem(
        setting=biggest.setting,
        what="memory will be short" if fits else "the memory does not suffice",
        found=f"{size(free.number)} free {free.where}",
        expected=f"{size(needed)}, of which {size(biggest.bytes)} for {biggest.name}",
        fix=biggest.advice,
        level=WARNING if fits else REFUSAL,
    )


def shared_problems(plan: MemoryPlan, case: CaseCost, free: int | None) -> Iterator[Problem]:
    """Containers often give 64 MiB to the folder through which worker processes hand over batches."""
    needed = handed_over(plan, case)
    if plan.num_workers == 0 or free is None or needed <= free:
        return
    yield Problem(
        setting="num_workers",
        what="the shared memory does not suffice; loading would end with a bus error",
        found=f"{size(free)} in /dev/shm",
        expected=f"{size(needed)} for the batches of {plan.num_workers} workers",
        fix="Set num_workers to 0, or start the container with more (docker run --shm-size=2g).",
    )
