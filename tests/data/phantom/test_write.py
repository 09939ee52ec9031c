"""The cohort as files: equal bytes, resumable, and no stranger's folder is touched."""

import gzip
import struct
import subprocess
import sys
import time

import nibabel
import numpy as np
import psutil
import pytest
from PIL import Image

from medmd.data import load_datalist
from medmd.data.phantom import GENERATOR_VERSION, PhantomCohort
from medmd.utils import MedmdError, read_json, sha256_file

N = 8


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "cohort"
    return PhantomCohort(N, 21, missing={"fundus": 0.2}).write(folder)


def test_bytes_do_not_depend_on_workers(written, tmp_path):
    again = PhantomCohort(N, 21, missing={"fundus": 0.2}).write(tmp_path / "two", workers=2)
    assert files(again.parent) == files(written.parent)


def test_datalist_holds_every_eye_once_with_true_hashes(written):
    cohort = PhantomCohort(N, 21, missing={"fundus": 0.2})
    datalist = load_datalist(written)
    cases = {case.case_id: (split, case) for split, case in datalist.cases()}
    assert len(cases) == N
    for eye, split, reference in zip(cohort.eyes, cohort.splits, cohort.references, strict=True):
        found, case = cases[eye.case_id]
        assert (found, case.target, case.laterality) == (split, eye.measured_md, eye.laterality)
        assert dict(case.reference) == reference
        for name, path in case.inputs.items():
            assert (path is None) == (name in eye.missing)
            if path is not None:
                assert case.hashes[name] == sha256_file(written.parent / path)
    assert any(case.inputs["fundus"] is None for _, case in cases.values())


def test_header_tells_arguments_and_ceilings(written):
    reference = read_json(written)["reference"]
    cohort = PhantomCohort(N, 21, missing={"fundus": 0.2})
    assert reference["arguments"] == cohort.arguments
    assert reference["arguments"]["generator"].endswith(GENERATOR_VERSION)
    assert reference["ceilings"]["all"] == cohort.ceilings()
    assert reference["ceilings"]["testing"] == cohort.ceilings("testing")
    assert reference["information_together"] == pytest.approx(0.8293, abs=1e-4)


def test_images_are_as_documented(written):
    volume_path = next((written.parent / "oct").iterdir())
    image = nibabel.load(volume_path)
    assert image.shape == (64, 96, 32)
    assert image.get_data_dtype() == np.uint8
    np.testing.assert_allclose(image.affine, np.diag([6 / 64, 0.015, 6 / 32, 1]), rtol=1e-6)
    assert image.header.get_xyzt_units()[0] == "mm"
    raw = volume_path.read_bytes()
    assert struct.unpack("<I", raw[4:8]) == (0,)
    assert gzip.decompress(raw)
    with Image.open(next((written.parent / "fundus").iterdir())) as photograph:
        assert photograph.mode == "RGB"
        assert photograph.size == (144, 144)
        assert photograph.info == {}
    with Image.open(written.parent / "contact_sheet.png") as sheet:
        assert sheet.size[0] > 8 * 144


def test_the_same_arguments_again_change_nothing(written):
    before = {p: p.stat().st_mtime_ns for p in written.parent.rglob("*") if p.is_file()}
    PhantomCohort(N, 21, missing={"fundus": 0.2}).write(written.parent)
    assert {p: p.stat().st_mtime_ns for p in written.parent.rglob("*") if p.is_file()} == before


def test_a_stopped_run_is_finished_and_damage_is_mended(written, tmp_path):
    cohort = PhantomCohort(N, 21, missing={"fundus": 0.2})
    path = cohort.write(tmp_path / "copy")
    whole = files(path.parent)
    path.unlink()
    victims = sorted((path.parent / "oct").iterdir())[:3]
    for victim in victims:
        victim.unlink()
    cohort.write(path.parent)
    assert files(path.parent) == whole
    victims[0].write_bytes(b"broken")
    (path.parent / "contact_sheet.png").unlink()
    cohort.write(path.parent)
    assert files(path.parent) == whole


def test_a_run_killed_before_its_first_file_is_finished(tmp_path):
    (tmp_path / ".tmp-abc.json").write_text("{")
    assert PhantomCohort(2, 0).write(tmp_path, contact_sheet=False).exists()
    assert not (tmp_path / "contact_sheet.png").exists()


def test_other_arguments_are_refused_and_named(written):
    before = files(written.parent)
    with pytest.raises(MedmdError, match=r"seed: expected 22, found 21"):
        PhantomCohort(N, 22, missing={"fundus": 0.2}).write(written.parent)
    assert files(written.parent) == before


def test_strange_folders_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(MedmdError, match="not empty"):
        PhantomCohort(2, 0).write(tmp_path)
    assert files(tmp_path) == {"thesis.tex": b"years of work"}
    with pytest.raises(MedmdError, match="found a file"):
        PhantomCohort(2, 0).write(tmp_path / "thesis.tex")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "phantom.json").write_text("[]")
    with pytest.raises(MedmdError, match="not an object"):
        PhantomCohort(2, 0).write(tmp_path / "odd")


def test_workers_end_with_a_killed_parent(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        "from medmd.data.phantom import PhantomCohort\n"
        "if __name__ == '__main__':\n"
        f"    PhantomCohort(400, 1).write({str(tmp_path / 'p')!r}, workers=2)\n"
    )
    parent = psutil.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    while len(list(tmp_path.glob("p/oct/p*.nii.gz"))) < 2:
        assert parent.poll() is None
        time.sleep(0.05)
    children = parent.children()
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
    assert not (tmp_path / "p" / "datalist.json").exists()
