"""Datalists: reading, writing, checking and splitting them, and handing their cases to MONAI.

Names that need torch or MONAI are imported at first use, so that converters start quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from medmd.data._content import hash_inputs
from medmd.data._items import load_items
from medmd.data._read import load_datalist
from medmd.data._records import Case, Datalist, Header, InputSpec, TargetSpec
from medmd.data._split import split_by_patient
from medmd.data._statistics import label_density, target_statistics, vector_statistics
from medmd.data._target_range import target_range
from medmd.data._write import write_datalist
from medmd.data.check import CheckReport, Finding, check_datalist, record_findings, run_check

if TYPE_CHECKING:
    from medmd.data._dataset import CaseDataset
    from medmd.data._sampler import SeededSampler
    from medmd.data.phantom import PhantomCohort

__all__ = [
    "Case",
    "CaseDataset",
    "CheckReport",
    "Datalist",
    "Finding",
    "Header",
    "InputSpec",
    "PhantomCohort",
    "SeededSampler",
    "TargetSpec",
    "check_datalist",
    "hash_inputs",
    "label_density",
    "load_datalist",
    "load_items",
    "record_findings",
    "run_check",
    "split_by_patient",
    "target_range",
    "target_statistics",
    "vector_statistics",
    "write_datalist",
]

_LAZY = {
    "CaseDataset": "medmd.data._dataset",
    "PhantomCohort": "medmd.data.phantom",
    "SeededSampler": "medmd.data._sampler",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_LAZY[name]), name)
