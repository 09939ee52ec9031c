"""From what was found to what is used: how many files, examinations, eyes and patients, and why the others are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from data_prep.hospital._facts import Examination
from data_prep.hospital._pairing import Pairing

KINDS = ("vf", "oct", "fundus")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """How many of one thing were found and are used, and why the others are not.

    Args:
        found: how many came in.
        excluded: reason -> how many, most first.
        used: how many stand in a pair.
    """

    found: int
    used: int
    excluded: Mapping[str, int] = field(default_factory=dict)

    def check(self, name: str) -> None:
        """Check that nothing is lost or counted twice.

        Raises:
            RuntimeError: the numbers do not add up, a fault of the converter.
        """
        if self.found != self.used + sum(self.excluded.values()):
            msg = f"{name}: {self.found} found, {self.used} used and {sum(self.excluded.values())} excluded"
            raise RuntimeError(msg)


@dataclass(frozen=True, kw_only=True)
class Flow:
    """The numbers of a flow diagram.

    Args:
        files: of the export; `used` are those that hold a readable examination.
        unpaired: reason -> examinations that lack what pairing needs, such as the patient.
        kinds: `vf`, `oct`, `fundus` -> examinations that could be paired.
        eyes: with any examination, and with a pair.
        patients: the same.
        pairs: number of pairs by the images they have: `oct + fundus`, `oct`, `fundus`.
    """

    files: Stage | None
    unpaired: Mapping[str, int]
    kinds: Mapping[str, Stage]
    eyes: Stage
    patients: Stage
    pairs: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


def count_flow(
    examinations: Sequence[Examination],
    pairing: Pairing,
    *,
    files: int | None = None,
    files_aside: Iterable[str] = (),
    unpaired: Iterable[str] = (),
) -> Flow:
    """Count what became of an export.

    Args:
        examinations: all that `pair` was given.
        pairing: its result.
        files: how many files the export has, when that is to be shown.
        files_aside: the reason of every file that gave no examination.
        unpaired: the reason of every examination that could not be given to `pair`.

    Raises:
        RuntimeError: the numbers do not add up.
    """
    used = _used(pairing)
    aside = _counted(files_aside)
    flow = Flow(
        files=None if files is None else Stage(found=files, used=files - sum(aside.values()), excluded=aside),
        unpaired=_counted(unpaired),
        kinds={kind: _stage([each for each in examinations if each.kind == kind], used, pairing) for kind in KINDS},
        eyes=_groups([(each.patient, each.laterality, each.name) for each in examinations], used),
        patients=_groups([(each.patient, "", each.name) for each in examinations], used),
        pairs=_counted(_images(found.oct, found.fundus) for found in pairing.pairs),
    )
    for name, stage in {**flow.kinds, "eyes": flow.eyes, "patients": flow.patients}.items():
        stage.check(name)
    return flow


def _used(pairing: Pairing) -> set[str]:
    return {each.name for found in pairing.pairs for each in (found.vf, found.oct, found.fundus) if each is not None}


def _stage(examinations: Sequence[Examination], used: set[str], pairing: Pairing) -> Stage:
    left = [pairing.excluded[each.name] for each in examinations if each.name not in used]
    return Stage(found=len(examinations), used=len(examinations) - len(left), excluded=_counted(left))


def _groups(members: Sequence[tuple[str, str, str]], used: set[str]) -> Stage:
    found = {member[:2] for member in members}
    paired = {member[:2] for member in members if member[2] in used}
    without = len(found) - len(paired)
    return Stage(found=len(found), used=len(paired), excluded={"no-pair": without} if without else {})


def _images(oct_volume: Examination | None, photo: Examination | None) -> str:
    return " + ".join(name for name, image in (("oct", oct_volume), ("fundus", photo)) if image is not None)


def _counted(reasons: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(reasons).items(), key=lambda item: (-item[1], item[0])))
