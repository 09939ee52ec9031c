"""What is looked at before a training starts: files, memory, disk, device and output folder, all in seconds."""

from medmd.workflows.preflight._device import device_problems
from medmd.workflows.preflight._examine import examine
from medmd.workflows.preflight._output import output_problems
from medmd.workflows.preflight._plan import Plan
from medmd.workflows.preflight._report import PreflightReport, Problem
from medmd.workflows.preflight._run import Later, run_preflight

__all__ = [
    "Later",
    "Plan",
    "PreflightReport",
    "Problem",
    "device_problems",
    "examine",
    "output_problems",
    "run_preflight",
]
