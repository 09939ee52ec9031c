import json

import numpy as np
import pytest
import torch
from releases import write_chimera
from training import train_once

from data_prep.chimera.__main__ import main
from data_prep.chimera._clinical import COMPONENTS, FACTS, clinical_vector, is_foreign_therapy
from medmd.cli import main as medmd
from medmd.data import load_datalist


def cases_of(out):
    return {case.case_id: case for _, case in load_datalist(out / "datalist.json").cases()}


def test_features_facts_and_months(tmp_path, capsys):
    source, out = write_chimera(tmp_path / "chimera"), tmp_path / "out"
    assert main([str(source), str(out)]) == 0
    assert "4  no recurrence up to the last follow-up" in (said := capsys.readouterr().out)
    assert "feature files: pathology 48, radiology 23" in said
    assert "not used" not in said
    cases = cases_of(out)
    assert len(cases) == 20
    case = cases["chimera-1006"]
    assert (case.target, case.details["event"], case.inputs["radiology"]) == (10.0, 1, None)
    patches = torch.cat([torch.load(path, weights_only=True) for path in source.rglob("1006_[12].pt")])
    np.testing.assert_allclose(case.inputs["pathology"], patches.mean(0).numpy(), rtol=1e-4, atol=1e-6)
    facts = dict(zip(COMPONENTS, case.inputs["clinical"], strict=True))
    assert facts["age_at_prostatectomy"] == 61
    assert (facts["pT_stage"], facts["pT_stage_known"]) == (2.1, 1)
    assert (facts["positive_lymph_nodes"], facts["positive_lymph_nodes_known"]) == (0, 0)
    assert (facts["tertiary_gleason_known"], facts["lymphovascular_invasion_known"]) == (0, 0)
    assert facts["earlier_therapy"] == 1
    assert medmd(["check", str(out)]) == 0


def test_the_outcome_is_no_input():
    record = {"BCR": "1.0", "BCR_PSA": 3.0, "time_to_follow-up/BCR": 5}
    assert clinical_vector(record) == [0.0] * len(COMPONENTS) == [0.0] * 26
    assert not {"BCR", "BCR_PSA", "time_to_follow-up/BCR"} & set(FACTS)
    assert clinical_vector({"pre_operative_PSA": "7,5", "ISUP": float("inf"), "positive_lymph_nodes": True})[8:14] == [
        0.0, 0.0, 7.5, 1.0, 1.0, 1.0
    ]  # fmt: skip


def test_censored_patients_are_kept_when_asked_and_other_keys_named(tmp_path, capsys):
    source = write_chimera(tmp_path / "chimera")
    assert main([str(source), str(tmp_path / "kept"), "--censored", "keep"]) == 0
    assert "a time they have not reached" in capsys.readouterr().out
    assert len(cases_of(tmp_path / "kept")) == 24
    assert main([str(source), str(tmp_path / "psa"), "--target", "BCR_PSA"]) == 0
    assert {case.target for case in cases_of(tmp_path / "psa").values()} == {0.3}
    assert main([str(source), str(tmp_path / "leak"), "--target", "ISUP"]) == 2
    assert "a fact that is no input" in capsys.readouterr().err


def test_what_cannot_be_used_is_set_aside(tmp_path):
    source, out = write_chimera(tmp_path / "chimera"), tmp_path / "out"

    def edit(number, **changes):
        path = source / "clinical_data" / f"{number}.json"
        path.write_text(json.dumps([{**json.loads(path.read_text()), **changes}]))

    edit(1006, BCR="perhaps")
    edit(1009, **{"time_to_follow-up/BCR": "soon"})
    edit(1012, **{"time_to_follow-up/BCR": 900})
    edit(1015, ISUP=5)  # A list of one record is one record.
    assert main([str(source), str(out)]) == 3
    report = json.loads((out / "report.json").read_text())["patients"]["quarantined"]
    found = {reason: entry["items"] for reason, entry in report.items()}
    found.pop("censored")
    assert found == {
        "event_unknown": ["chimera-1006"], "label_absent": ["chimera-1009"], "label_out_of_range": ["chimera-1012"]
    }  # fmt: skip
    assert cases_of(out)["chimera-1015"].inputs["clinical"][8] == 5


def test_a_patient_whose_slides_differ_in_length(tmp_path, capsys):
    source = write_chimera(tmp_path / "chimera")
    torch.save(torch.zeros(2, 512), source / "pathology" / "features" / "1006_2.pt")
    assert main([str(source), str(tmp_path / "out")]) == 2
    assert "1006_2.pt: expected features of one length in all files of a patient, 1024 as in 1006_1.pt, got 512" in (
        capsys.readouterr().err
    )


def test_what_there_is_of_each_kind_is_counted(tmp_path, capsys):
    source = write_chimera(tmp_path / "chimera")
    (source / "pathology").rename(source / "Pathology")
    (source / "radiology").rename(source / "mri")
    torch.save(torch.zeros(1, 1024), source / "Pathology" / "notes.pt")
    torch.save(torch.zeros(1, 1024), source / "Pathology" / "9999_1.pt")
    assert main([str(source), str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "feature files: pathology 48, radiology none: the input is missing for everybody" in said
    unused = {
        "in no folder pathology or radiology": 23,
        "not named as 1003_1.pt": 1,
        "without a record of the patient": 1,
    }
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["feature_files_not_used"] == unused
    assert all(f"{count} {why}" in said for why, count in unused.items())
    assert all(case.inputs["pathology"] for case in cases_of(tmp_path / "out").values())


@pytest.mark.parametrize(
    ("words", "value", "foreign"),
    [
        (("none", "No "), [0.0, 1.0], False),
        (
            ("radiotherapy", "Radiotherapy + hormones", "cryotherapy+hormones", "hormones and radiotherapy"),
            [1.0, 1.0],
            False,
        ),
        (("unknow", "unknown", "x", "", "nan", None, float("nan")), [0.0, 0.0], False),
        (("unk", "nnone", "radiotherapy + unknow", 1), [0.0, 0.0], True),
    ],
)
def test_an_earlier_therapy_is_one_of_a_closed_list(words, value, foreign):
    for word in words:
        record = {"earlier_therapy": word}
        assert clinical_vector(record)[-2:] == value
        assert is_foreign_therapy(record) == foreign


def test_patients_with_a_foreign_therapy_are_named(tmp_path, capsys):
    source = write_chimera(tmp_path / "chimera")
    path = source / "clinical_data" / "1006.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "earlier_therapy": "Dr Smith knows"}))
    assert main([str(source), str(tmp_path / "out")]) == 0
    assert "words that are not known, taken as unknown: chimera-1006" in (said := capsys.readouterr().out)
    assert "Smith" not in said + (tmp_path / "out" / "report.json").read_text()


class Code:
    def __reduce__(self):
        return print, ("code",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (torch.tensor([[float("nan")] * 1024]), "expected finite features"),
        (torch.zeros(2, 512), "features of one length"),
        ({"a": torch.zeros(2, 1024)}, "one tensor"),
        (Code(), "is refused"),
    ],
)
def test_features_that_are_none(tmp_path, capsys, content, words):
    source = write_chimera(tmp_path / "chimera")
    path = source / "pathology" / "features" / "1006_1.pt"
    torch.save(content, path)
    (path.parent / "1006_2.pt").unlink()
    assert main([str(source), str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err


def test_another_layout_is_told_in_one_message(tmp_path, capsys):
    source = write_chimera(tmp_path / "chimera")
    (source / "1006_CD.json").write_text("{}")
    assert main([str(source), str(tmp_path / "out")]) == 2
    assert "1006 has two records" in capsys.readouterr().err
    (source / "1006_CD.json").unlink()
    for content, words in (("[1, 2]", "a JSON object"), (json.dumps({"a": "b" * 70000}), "at most 65536 bytes")):
        (source / "clinical_data" / "1006.json").write_text(content)
        assert main([str(source), str(tmp_path / "out")]) == 2
        assert words in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty"), str(tmp_path / "out")]) == 2
    assert "expected records" in capsys.readouterr().err


def test_the_bundle_trains_on_it(tmp_path):
    source, out = write_chimera(tmp_path / "chimera"), tmp_path / "out"
    assert main([str(source), str(out), "--validation-fraction", "0.2"]) == 0
    table = train_once(out, tmp_path / "run", "chimera", batch_size=4)
    assert table[["fusion", "unimodal_pathology", "unimodal_clinical"]].notna().all(axis=None)
