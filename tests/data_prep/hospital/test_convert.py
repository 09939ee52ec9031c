"""Whole conversions: what comes out of an export, and what a second call does."""

import json
import shutil

import nibabel
import numpy as np
import pytest
from clinical_dicom_export import default_eyes, write_pacs_export
from PIL import Image

from data_prep.hospital import Pseudonyms
from medmd.data import check_datalist, load_datalist
from medmd.utils import MedmdError

KEY = b"a key of at least 16 bytes"
SITE = "name: clinic\noct: {min_slices: 4}\nquality: {max_saturated_volume: 1.0}\n"


def report_of(out):
    return json.loads((out / "report.json").read_text())


def adds_up(report):
    for tally in report.tallies:
        tally.check()
    return True


def test_every_eye_becomes_a_case_with_the_truth_in_it(tmp_path, pool, run):
    written = write_pacs_export(tmp_path / "pacs", eyes=default_eyes(4), shape=(6, 32, 24))

    report = run(source=tmp_path / "pacs")

    assert adds_up(report)
    datalist = load_datalist(tmp_path / "out" / "datalist.json")
    cases = {(case.patient_id, case.laterality): case for _, case in datalist.cases()}
    names = Pseudonyms(KEY)
    assert len(cases) == len(written) == 7
    for eye in written:
        case = cases[names.patient(eye.eye.person.identifier), eye.eye.laterality]
        assert case.target == pytest.approx(eye.eye.md, abs=1e-4)
        assert case.details["days_oct_vf"] == (eye.eye.oct_day - eye.eye.field_day).days
        assert case.details["days_fundus_vf"] == (eye.eye.photo_day - eye.eye.field_day).days
        assert case.age == eye.eye.field_day.year - eye.eye.person.birth.year - (
            (eye.eye.field_day.month, eye.eye.field_day.day) < (eye.eye.person.birth.month, eye.eye.person.birth.day)
        )
        assert case.sex == eye.eye.person.sex
        volume = np.asarray(nibabel.load(tmp_path / "out" / case.inputs["oct"]).dataobj)
        np.testing.assert_array_equal(volume.transpose(2, 1, 0), eye.oct)


def test_the_datalist_passes_its_check_and_no_patient_is_in_two_lists(tmp_path, pool, run):
    run()

    found = check_datalist(tmp_path / "out" / "datalist.json")

    assert found.ok, found.findings
    datalist = load_datalist(tmp_path / "out" / "datalist.json")
    assert set(datalist.splits) == {"training", "validation", "testing"}


def test_photographs_are_black_outside_the_field_and_the_same_inside(tmp_path, pool, run):
    eyes = default_eyes(3)
    written = write_pacs_export(
        tmp_path / "pacs", eyes=eyes, shape=(6, 32, 24), photo_size=(240, 280), photo_syntax="1.2.840.10008.1.2.1"
    )
    run(source=tmp_path / "pacs")

    cases = [case for _, case in load_datalist(tmp_path / "out" / "datalist.json").cases()]
    photos = {eye.eye.laterality + Pseudonyms(KEY).patient(eye.eye.person.identifier): eye.photo for eye in written}
    for case in cases:
        pixels = np.asarray(Image.open(tmp_path / "out" / case.inputs["fundus"]))
        truth = photos[case.laterality + case.patient_id]
        assert pixels[:20, :20].max() == 0
        np.testing.assert_array_equal(pixels[80:160, 100:180], truth[80:160, 100:180])


def test_every_file_that_came_in_is_counted_once(export, tmp_path, pool, run):
    (export / ".DS_Store").write_bytes(b"x")
    (export / "scan.zip").write_bytes(b"PK\x03\x04" + bytes(40))
    (export / "scan.tar").write_bytes(bytes(257) + b"ustar" + bytes(250))
    (export / "vf.pdf").write_bytes(b"%PDF-1.4 ...")
    (export / "empty").write_bytes(b"")
    (export / "list.csv").write_text("a;b\n1;2\n")
    (export / "notes").write_text("x" * 500)
    (export / "link").symlink_to(tmp_path)

    report = run()

    files, examinations = report.tallies
    assert adds_up(report)
    assert files.total == 21 + 1 + 8
    assert files.converted == examinations.converted == 21
    assert {reason: len(items) for reason, items in files.excluded.items()} == {
        "archive": 2,
        "dicomdir": 1,
        "document": 1,
        "empty-file": 1,
        "format-unknown": 1,
        "link-outside": 1,
        "litter": 1,
        "table-not-listed": 1,
    }
    assert report.faulty


def test_a_clean_export_is_not_called_faulty(pool, run):
    report = run()

    assert report.usable
    assert not report.faulty


def test_a_second_call_reads_nothing_and_changes_nothing(tmp_path, pool, run, snapshot):
    run()
    before, done = snapshot(tmp_path / "out"), len(pool.done)

    run()

    assert len(pool.done) == done
    assert snapshot(tmp_path / "out") == before


def test_another_site_file_needs_no_reading(tmp_path, pool, run, snapshot):
    run()
    read = pool.count("scan")

    run(site=SITE + "pairing: {window_days: 1}\n")
    narrow = (
        load_datalist(tmp_path / "out" / "datalist.json") if (tmp_path / "out" / "datalist.json").exists() else None
    )
    run()

    assert narrow is None
    assert pool.count("scan") == read
    run(out="fresh")
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "fresh")


def test_only_what_is_new_or_changed_is_read(tmp_path, export, pool, run, snapshot):
    run()
    read = pool.count("scan")
    write_pacs_export(tmp_path / "more", eyes=default_eyes(5)[-1:], shape=(6, 32, 24))
    (tmp_path / "more" / "DICOMDIR").unlink()
    shutil.copytree(tmp_path / "more", export / "more")

    run()

    assert pool.count("scan") == read + 3
    assert len(list(load_datalist(tmp_path / "out" / "datalist.json").cases())) == 8
    run(out="fresh")
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "fresh")


def test_what_is_removed_from_the_export_leaves_the_result(tmp_path, export, pool, run, snapshot):
    run()
    pseudonym = Pseudonyms(KEY).patient("HOSP-0001")
    for path in [path for path in export.rglob("*") if path.is_file() and path.name != "DICOMDIR"]:
        if b"HOSP-0001" in path.read_bytes():
            path.unlink()

    run()

    assert pseudonym not in (tmp_path / "out" / "datalist.json").read_text()
    assert pseudonym.encode() not in (tmp_path / "out" / ".medmd-index.sqlite").read_bytes()
    run(out="fresh")
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "fresh")


def test_verify_finds_a_change_that_size_and_time_hide(tmp_path, export, pool, run):
    import os

    run()
    path = next(path for path in export.rglob("*") if path.is_file() and b"HOSP-0001" in path.read_bytes()[:4000])
    facts, data = path.stat(), path.read_bytes()
    path.write_bytes(data.replace(b"HOSP-0001", b"HOSP-0009"))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    read = pool.count("scan")

    run()
    assert pool.count("scan") == read
    run(verify=True)
    assert pool.count("scan") == read + 1


def test_a_damaged_index_is_made_anew(tmp_path, pool, run, snapshot):
    run()
    before = snapshot(tmp_path / "out")
    (tmp_path / "out" / ".medmd-index.sqlite").write_bytes(b"no database" * 500)

    run()

    assert snapshot(tmp_path / "out") == before


def test_another_key_is_refused_and_nothing_is_changed(tmp_path, pool, run, snapshot):
    run()
    before = snapshot(tmp_path / "out")

    with pytest.raises(MedmdError, match="another key"):
        run(key=KEY + b"2")
    assert snapshot(tmp_path / "out") == before


def test_the_key_is_nowhere_in_the_result(tmp_path, pool, run):
    run()

    for path in (tmp_path / "out").rglob("*"):
        assert path.is_dir() or KEY not in path.read_bytes()


def test_a_folder_of_others_is_left_alone(tmp_path, pool, run):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("x")

    with pytest.raises(MedmdError, match="another origin"):
        run()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(("out", "words"), [("export/out", "only read"), (".", "source lies in it")])
def test_output_and_source_are_kept_apart(pool, run, out, words):
    with pytest.raises(MedmdError, match=words):
        run(out=out)


def test_a_source_that_is_no_folder_is_refused(tmp_path, pool, run):
    (tmp_path / "a.zip").write_bytes(b"PK")

    with pytest.raises(MedmdError, match="unpacked"):
        run(source=tmp_path / "a.zip")


def test_nothing_usable_ends_with_a_report_and_without_a_datalist(tmp_path, pool, run):
    (tmp_path / "empty").mkdir()

    report = run(source=tmp_path / "empty")

    assert report.usable == 0
    assert not (tmp_path / "out" / "datalist.json").exists()
    assert "nothing usable" in (tmp_path / "out" / "report.html").read_text()


def test_too_few_patients_for_a_split_give_one_list(tmp_path, pool, run):
    write_pacs_export(tmp_path / "one", eyes=default_eyes(1), shape=(6, 32, 24))

    report = run(source=tmp_path / "one")

    assert list(load_datalist(tmp_path / "out" / "datalist.json").splits) == ["unsplit"]
    assert "fewer patients" in report.text()


def test_copies_are_merged(tmp_path, export, pool, run):
    first = sorted(path for path in export.rglob("*") if path.is_file() and path.name != "DICOMDIR")
    for number, path in enumerate(first):
        shutil.copy(path, export / f"copy{number}")

    report = run()

    files, examinations = report.tallies
    assert adds_up(report)
    assert (files.converted, files.merged) == (examinations.converted, examinations.merged) == (21, 21)


def test_identical_images_of_two_patients_are_used_for_none(tmp_path, pool, run):
    from dataclasses import replace

    eyes = default_eyes(4)
    eyes[2] = replace(eyes[2], seed=eyes[0].seed)
    write_pacs_export(tmp_path / "pacs", eyes=eyes, shape=(6, 32, 24))

    report = run(source=tmp_path / "pacs")

    assert adds_up(report)
    assert len(report.tallies[1].excluded["identical-content-across-patients"]) == 4


def test_an_image_that_changes_between_reading_and_writing_is_set_aside(tmp_path, export, pool, run, monkeypatch):
    from data_prep.hospital import _scan_export

    paths = sorted(path for path in export.rglob("*") if path.is_file() and path.name != "DICOMDIR")
    volume = max(paths, key=lambda path: path.stat().st_size)
    real = _scan_export.scan_export

    def scan_and_change(*args, **options):
        failed = real(*args, **options)
        volume.write_bytes(volume.read_bytes()[:-200])
        return failed

    monkeypatch.setattr("data_prep.hospital._convert.scan_export", scan_and_change)
    report = run()

    assert adds_up(report)
    assert list(report.tallies[1].excluded) == ["changed-while-read"]
    assert check_datalist(tmp_path / "out" / "datalist.json").ok
    monkeypatch.undo()


def test_what_could_not_be_read_this_time_is_read_the_next(tmp_path, export, pool, run, snapshot, monkeypatch):
    from data_prep.hospital import _scan_export
    from data_prep.hospital._facts import Scanned

    real = _scan_export.scan
    begun = []

    def fail_twice(task):
        begun.append(task)
        reason = {1: "worker-died", 2: "file-unreadable"}.get(len(begun))
        return real(task) if reason is None else Scanned(pointer=task.pointer, reason=reason)

    monkeypatch.setattr(_scan_export, "scan", fail_twice)
    first = run()
    run()

    assert adds_up(first)
    assert {"worker-died", "file-unreadable"} <= set(first.tallies[0].excluded)
    assert len(begun) == 24
    monkeypatch.undo()
    assert _scan_export._lost(begun[0]).reason == "worker-died"


def test_verify_takes_a_file_that_cannot_be_read_for_changed(tmp_path, export, pool, run, monkeypatch):
    run()
    read = pool.count("scan")

    def fail(_):
        raise PermissionError

    monkeypatch.setattr("data_prep.hospital._scan_export.sha256_file", fail)
    run(verify=True)

    assert pool.count("scan") == 2 * read
