"""The datalist as plain records: what is known of a cohort, of its inputs and target, and of each case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SPLITS = ("training", "validation", "testing")
UNSPLIT = "unsplit"
KINDS = ("volume", "image", "vector")

InputValue = str | Sequence[float] | None
TargetValue = float | Sequence[float | None] | None


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """One modality of the cohort.

    Args:
        kind: `volume` (NIfTI file), `image` (PNG or JPEG file) or `vector` (list of numbers in the datalist itself, or
            a row of a matrix beside it).
        details: further facts, such as `description`, `axes`, `spacing_mm`, `spacing_source`, `length`.
    """

    kind: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TargetSpec:
    """What is predicted.

    Args:
        name: its name, `md` for the Mean Deviation of the visual field.
        kind: `number`, `class` (the index of a class, from 0), or `multi` (a list, one entry a task).
        unit: `dB` for MD.
        range: smallest and largest allowed value, in `unit`; [-40, 6] for MD, [0, classes - 1] for a class. Of `multi`
            it is what holds all tasks; each task has its own.
        classes: names of the classes in the order of their indices, for kind `class`.
        tasks: what each entry of a `multi` target is, of kind `number` or `class`.
        details: further facts, such as the visual-field `pattern`.
    """

    name: str = "md"
    kind: str = "number"
    unit: str = "dB"
    range: tuple[float, float] = (-40.0, 6.0)
    classes: tuple[str, ...] = ()
    tasks: tuple[TargetSpec, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_classes(cls, name: str, classes: Sequence[str], **details: Any) -> TargetSpec:
        """A target of kind `class`, whose range follows from its classes."""
        limits = (0.0, float(len(classes) - 1))
        return cls(name=name, kind="class", unit="", range=limits, classes=tuple(classes), details=details)

    @classmethod
    def of_tasks(cls, name: str, tasks: Sequence[TargetSpec], **details: Any) -> TargetSpec:
        """A target of kind `multi`, whose range holds those of its tasks."""
        limits = (min(task.range[0] for task in tasks), max(task.range[1] for task in tasks))
        return cls(name=name, kind="multi", unit="", range=limits, tasks=tuple(tasks), details=details)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes' names, or their numbers where the datalist names none; empty for a target of another kind."""
        if self.kind != "class":
            return ()
        return self.classes or tuple(str(index) for index in range(int(self.range[1]) + 1))


@dataclass(frozen=True, kw_only=True)
class Header:
    """What is said of the whole cohort. `created_with` and `counts` are filled by the writer, whatever is given.

    Args:
        name: short name of the cohort.
        description: one paragraph for a reader.
        version: version of the cohort, a text.
        inputs: the modalities in the order in which networks and `present` masks list them.
        target: what is predicted.
        source: where the data came from: a release, an export, "synthetic".
        converter: the program that made the datalist.
        created_with: version of medmd that wrote the file.
        counts: cases, patients, targets, and cases by split and by present input.
        reference: free JSON, for instance the ceilings of a synthetic cohort.
        details: further facts kept as they are.
    """

    name: str
    inputs: Mapping[str, InputSpec]
    description: str = ""
    version: str = "1"
    target: TargetSpec = field(default_factory=TargetSpec)
    source: str = ""
    converter: str = ""
    created_with: str = ""
    counts: Mapping[str, Any] = field(default_factory=dict)
    reference: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One eye (or one subject) at one time.

    Args:
        case_id: pseudonym of the case, unique in the datalist.
        patient_id: pseudonym of the patient; all cases of a patient stay in one split.
        inputs: name -> path relative to the datalist's folder (POSIX), list of numbers, or None when missing. To be
            written, a vector may also be `file.npy#row`; read, it is always the numbers.
        target: in the header's unit; None when unknown; of kind `class` the index of the class; of kind `multi` a list
            in the order of the tasks, None for a task that is not known.
        laterality: `R`, `L` or None.
        age: years, or None.
        sex: `F`, `M`, `O` or None.
        patient_id_is_surrogate: True when the source names no patients, so that both eyes of one may be told apart.
        hashes: name -> SHA-256 of the file's bytes (of a vector: see `hash_inputs`).
        reference: known truths and reference predictors, never an input.
        details: further facts, such as `device`, `days_oct_vf`, `vf_pattern`; they stand beside the others in the file.
    """

    case_id: str
    patient_id: str
    inputs: Mapping[str, InputValue]
    target: TargetValue = None
    laterality: str | None = None
    age: float | None = None
    sex: str | None = None
    patient_id_is_surrogate: bool = False
    hashes: Mapping[str, str] = field(default_factory=dict)
    reference: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def present(self) -> tuple[str, ...]:
        """Names of the inputs that are there."""
        return tuple(name for name, value in self.inputs.items() if value is not None)


@dataclass(frozen=True, kw_only=True)
class Datalist:
    """A cohort: its header and its cases by split.

    Args:
        header: what is said of the whole.
        splits: `training`, `validation`, `testing`, or `unsplit` alone -> cases in file order.
        path: the file it was read from, None when it was not.
    """

    header: Header
    splits: Mapping[str, Sequence[Case]]
    path: Path | None = None

    @property
    def folder(self) -> Path | None:
        """The folder against which the cases' paths are meant."""
        return None if self.path is None else self.path.parent

    def cases(self) -> Iterator[tuple[str, Case]]:
        """Each case with the name of its split, in file order."""
        for split, cases in self.splits.items():
            for case in cases:
                yield split, case
