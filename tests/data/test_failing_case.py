"""A case that cannot be loaded: one sentence, and the program ends in order."""

import subprocess
import sys

import pytest

from medmd.data import CaseDataset
from medmd.transforms import LoadVolumed
from medmd.utils import MedmdError

SCRIPT = """
from medmd.data import CaseDataset
from medmd.transforms import LoadVolumed
items = [{"case_id": f"c{i}", "oct": f"/nowhere/c{i}.nii.gz"} for i in range(40)]
CaseDataset(items, [LoadVolumed("oct")], seed=0, num_workers=2, progress=False)
"""


def test_the_transforms_own_sentence_is_not_wrapped_in_another(tmp_path):
    items = [{"case_id": "c7", "oct": str(tmp_path / "mueller.nii.gz")}]
    with pytest.raises(MedmdError) as caught:
        CaseDataset(items, [LoadVolumed("oct")], seed=0, progress=False)
    text = str(caught.value)
    assert text.count("c7") == 1
    assert "no such file" in text
    assert "cannot be loaded" not in text
    assert "mueller" not in text


def test_the_program_ends_with_an_error_and_is_not_aborted():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "terminate called" not in done.stderr
