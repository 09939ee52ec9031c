"""Read a synthetic DICOM object as the library's users do."""

from __future__ import annotations

from typing import Any

import pytest
from clinical_dicom import as_bytes
from pydicom.dataset import Dataset

from medmd.io import RefusedError, read_all


def records(source: Any, **options: Any) -> list[Any]:
    """The records of a dataset, bytes or a path."""
    from medmd.io import dicom

    plain = as_bytes(source) if isinstance(source, Dataset) else source
    return list(dicom.read_all(plain, **options)) if options else read_all(plain)


def record(source: Any, **options: Any) -> Any:
    """The only one."""
    (found,) = records(source, **options)
    return found


def reason(source: Any, **options: Any) -> str:
    """Why it is refused."""
    with pytest.raises(RefusedError) as caught:
        records(source, **options)
    assert caught.value.fix
    assert caught.value.__cause__ is None
    return caught.value.reason
