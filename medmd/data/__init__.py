"""Datalists: reading, writing, checking and splitting them, and handing their cases to MONAI."""

from medmd.data._read import load_datalist
from medmd.data._records import Case, Datalist, Header, InputSpec, TargetSpec
from medmd.data._write import write_datalist

__all__ = [
    "Case",
    "Datalist",
    "Header",
    "InputSpec",
    "TargetSpec",
    "load_datalist",
    "write_datalist",
]
