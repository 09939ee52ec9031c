"""Training refuses a datalist that breaks a rule which its records alone show."""

import json

import pytest

from medmd.utils import MedmdError
from medmd.workflows import ensure_datalist


def change(path, edit):
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def test_a_patient_in_two_splits_is_refused_by_pseudonym(make_datalist, tmp_path):
    path = make_datalist()
    patient = json.loads(path.read_text())["training"][0]["patient_id"]
    change(path, lambda document: document["testing"][0].update(patient_id=patient))
    with pytest.raises(MedmdError, match=f"must not be trained on.*patient-in-two-splits.*{patient}"):
        ensure_datalist(str(path), phantom_dir=str(tmp_path / "phantom"), phantom={})


def test_a_target_outside_its_range_is_refused(make_datalist, tmp_path):
    path = make_datalist()
    change(path, lambda document: document["training"][1].update(target=-60.0))
    with pytest.raises(MedmdError, match=r"-60.*medmd check"):
        ensure_datalist(str(path), phantom_dir=str(tmp_path / "phantom"), phantom={})


def test_a_sound_datalist_is_taken(make_datalist, tmp_path):
    path = make_datalist()
    assert ensure_datalist(str(path), phantom_dir=str(tmp_path / "phantom"), phantom={}) == str(path)
    assert not (tmp_path / "phantom").exists()
