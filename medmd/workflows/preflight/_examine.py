"""All checks in their order: what costs nothing, the data's records and headers, one case, memory, disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from medmd.data import Case
from medmd.workflows._errors import user_error
from medmd.workflows.preflight._case import CaseCost, flat_item, prepare_case
from medmd.workflows.preflight._depth import depth_problems
from medmd.workflows.preflight._device import device_problems
from medmd.workflows.preflight._disk import disk_problems, phantom_problems, run_bytes
from medmd.workflows.preflight._files import Cohort, cohort_problems, open_files, used_cohort
from medmd.workflows.preflight._free import device_memory, host_memory, shared_memory
from medmd.workflows.preflight._memory import (
    data_parts,
    kept_parts,
    memory_problems,
    shared_problems,
    step_parts,
    total_bytes,
)
from medmd.workflows.preflight._network import NetworkCost, network_cost
from medmd.workflows.preflight._output import output_problems
from medmd.workflows.preflight._plan import Plan
from medmd.workflows.preflight._report import REFUSAL, PreflightReport, Problem

_T = TypeVar("_T")


def examine(plan: Plan) -> PreflightReport:
    """Look at everything that can be known before a run, and collect what is wrong; nothing is raised or written.

    A phantom cohort is made in passing (by `plan.datalist`), unless something was found wrong before.
    """
    examination = _Examination(plan)
    examination.run()
    return PreflightReport(
        problems=tuple(examination.problems), facts=examination.facts, notes=tuple(examination.notes)
    )


class _Examination:
    """The state of one examination: each step adds problems and facts, and leaves out what earlier ones made moot."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.problems: list[Problem] = []
        self.facts: dict[str, int] = {}
        self.notes: list[str] = []

    def run(self) -> None:
        plan = self.plan
        self.problems += device_problems(plan.device, plan.autocast_dtype)
        if plan.makes_phantom:
            self.problems += output_problems(plan.output_dir)
            self.problems += phantom_problems(str(plan.phantom_dir), plan.phantom_eyes)
            if any(problem.level == REFUSAL for problem in self.problems):
                # Rendering the eyes takes longest of all that comes before the training.
                return
        cohort = self._cohort()
        if cohort is not None:
            self._costs(cohort)

    def _cohort(self) -> Cohort | None:
        """The cases with what their headers say, or None when there is nothing to look at."""
        plan = self.plan
        path = self._try("dataset_dir", self._datalist)
        if not plan.makes_phantom:
            self.problems += output_problems(plan.output_dir, None if path is None else path.parent)
        if path is None:
            return None
        cohort = self._try("dataset_dir", lambda: used_cohort(path, plan.run_stages, plan.modalities))
        if cohort is None:
            return None
        trains = plan.batch_size if plan.trains else 1
        self.problems += cohort_problems(cohort, plan.modalities, trains)
        cohort, problems = open_files(cohort)
        self.problems += problems
        self.problems += depth_problems(plan.transform, cohort.depths)
        self.facts |= {"cases": cohort.cases, "files": cohort.files}
        return cohort

    def _datalist(self) -> Path:
        return Path(self.plan.datalist() if callable(self.plan.datalist) else self.plan.datalist)

    def _costs(self, cohort: Cohort) -> None:
        case = self._case(cohort)
        if case is None:
            return
        network = self._network(case)
        if network is None:
            self.notes.append("memory and disk not estimated")
            return
        self._memory(cohort, case, network)
        written = run_bytes(self.plan.disk(cohort), network)
        self.facts["on disk"] = written
        self.problems += disk_problems(self.plan.output_dir, written)

    def _case(self, cohort: Cohort) -> CaseCost | None:
        """A sound case with as many inputs as any, really prepared, and one without laterality if there is one."""
        sound = [case for _, case in cohort.datalist.cases() if case.case_id in cohort.sound]
        if not sound:
            return None
        # Transforms that mirror left eyes refuse an eye of unknown side.
        without = next((case for case in sound if case.laterality is None), None)
        if without is not None and self._prepare(cohort, without) is None:
            return None
        return self._prepare(cohort, max(sound, key=lambda case: len(case.present)))

    def _prepare(self, cohort: Cohort, case: Case) -> CaseCost | None:
        plan, item = self.plan, flat_item(cohort.datalist, case)
        inputs = tuple(plan.modalities)
        return self._try(
            "preprocessing",
            lambda: prepare_case(item, transform=plan.transform, augmented=plan.augmented, inputs=inputs),
        )

    def _network(self, case: CaseCost) -> NetworkCost | None:
        plan = self.plan
        if plan.network is None:
            return None
        description = plan.network
        return self._try("network", lambda: network_cost(description, case.shapes, plan.batch_size))

    def _memory(self, cohort: Cohort, case: CaseCost, network: NetworkCost) -> None:
        plan = self.plan.memory(cohort)
        host, step = [*data_parts(plan, case), *kept_parts(plan, network)], step_parts(plan, case, network)
        free = host_memory()
        self.facts["cache"] = host[0].bytes
        own = device_memory(torch.device(self.plan.device)) if not self._refused("device") else None
        if own is None:
            host += step
        else:
            self.facts |= {"needed on the device": total_bytes(step), "free there": own.number}
            self.problems += memory_problems(step, own)
        self.facts |= {"needed in memory": total_bytes(host), "free": free.number}
        self.problems += memory_problems(host, free)
        self.problems += shared_problems(plan, case, shared_memory())

    def _refused(self, setting: str) -> bool:
        return any(problem.setting == setting for problem in self.problems)

    def _try(self, setting: str, action: Callable[[], _T]) -> _T | None:
        """What the action gives; its `MedmdError` becomes a problem."""
        try:
            return action()
        except Exception as error:
            # MONAI wraps what a component raises.
            cause = user_error(error)
            if cause is None:
                raise
            self.problems.append(Problem(setting=setting, what=str(cause)))
            return None
