import json
import subprocess
import sys

import numpy as np
import pytest
from releases import write_mosi
from training import train_once

from data_prep.mosi.__main__ import main
from medmd.cli import main as medmd
from medmd.data import load_datalist


def rewrite(folder, **changes):
    with np.load(folder / "mosi.npz") as file:
        arrays = {name: file[name].copy() for name in file.files}
    arrays.update(changes)
    np.savez_compressed(folder / "mosi.npz", **{name: array for name, array in arrays.items() if array is not None})


def arrays_of(folder):
    with np.load(folder / "mosi.npz") as file:
        return {name: file[name] for name in file.files}


def test_numbers_people_and_parts(tmp_path, capsys):
    source, out = write_mosi(tmp_path / "mosi"), tmp_path / "out"
    assert main([str(source), str(out)]) == 0
    assert "utterances: 80 in = 80 converted" in capsys.readouterr().out
    datalist, arrays = load_datalist(out / "datalist.json"), arrays_of(source)
    assert {name: len(cases) for name, cases in datalist.splits.items()} == {
        "training": 55, "validation": 5, "testing": 20
    }  # fmt: skip
    # The videos' names sort as their numbers; a case is utterance `part` of video `number`.
    for split, cases in datalist.splits.items():
        for case in cases:
            video, part = int(case.case_id[5:8]) - 1, int(case.case_id[9:])
            first = 0 if video < 12 else 12
            name, place = ("train" if video < 12 else "test"), 5 * (video - first) + part
            assert (split == "testing") == (name == "test")
            assert case.target == pytest.approx(float(arrays[f"{name}_y"][place]), abs=1e-4)
            for modality in ("text", "audio", "video"):
                np.testing.assert_array_equal(np.float32(case.inputs[modality]), arrays[f"{name}_{modality}"][place])
    assert medmd(["check", str(out)]) == 0
    assert "Vid_" not in "".join(path.read_text() for path in out.glob("*.json"))


def test_its_own_validation_part_and_a_new_split(tmp_path):
    source = write_mosi(tmp_path / "mosi", valid=True)
    assert main([str(source), str(tmp_path / "own")]) == 0
    sizes = {name: len(cases) for name, cases in load_datalist(tmp_path / "own" / "datalist.json").splits.items()}
    assert sizes == {"training": 60, "validation": 10, "testing": 20}
    assert main([str(source), str(tmp_path / "folds"), "--folds", "3", "--fold", "1"]) == 0
    report = json.loads((tmp_path / "folds" / "report.json").read_text())
    assert report["source"]["split"] == "made by the converter"
    splits = load_datalist(tmp_path / "folds" / "datalist.json").splits
    people = [{case.patient_id for case in cases} for cases in splits.values()]
    assert sum(map(len, people)) == len(set.union(*people)) == 18


def test_the_test_part_alone_is_split_anew(tmp_path, capsys):
    source, out = write_mosi(tmp_path / "mosi", valid=True), tmp_path / "out"
    assert (
        main([str(source), str(out), "--part", "test", "--test-fraction", "0.25", "--validation-fraction", "0.25"]) == 0
    )
    assert "utterances: 20 in = 20 converted" in capsys.readouterr().out
    datalist, arrays = load_datalist(out / "datalist.json"), arrays_of(source)
    assert set(datalist.splits) == {"training", "validation", "testing"}
    found = sorted((case.case_id, case.target) for _, case in datalist.cases())
    np.testing.assert_allclose([target for _, target in found], arrays["test_y"], atol=1e-4)
    people = [{case.patient_id for case in cases} for cases in datalist.splits.values()]
    assert sum(map(len, people)) == len(set.union(*people)) == 4
    with pytest.raises(SystemExit):
        main([str(source), str(tmp_path / "none"), "--part", "train"])
    assert "invalid choice" in capsys.readouterr().err


def test_what_is_not_finite_is_missing_and_twins_leave_the_earlier_part(tmp_path):
    source = write_mosi(tmp_path / "mosi")
    arrays = arrays_of(source)
    audio, text, y = arrays["train_audio"].copy(), arrays["train_text"].copy(), arrays["train_y"].copy()
    audio[3, 5] = -np.inf
    text[4] = arrays["test_text"][0]
    y[5], y[6] = 3.5, np.nan
    rewrite(source, train_audio=audio, train_text=text, train_y=y)
    assert main([str(source), str(tmp_path / "out")]) == 3
    cases = {case.case_id: case for _, case in load_datalist(tmp_path / "out" / "datalist.json").cases()}
    assert len(cases) == 77
    assert cases["mosi-001-003"].inputs["audio"] is None
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    aside = {reason: entry["items"] for reason, entry in report["utterances"]["quarantined"].items()}
    assert aside == {
        "in_two_parts": ["mosi-001-004"], "label_out_of_range": ["mosi-002-000"], "label_absent": ["mosi-002-001"]
    }  # fmt: skip
    assert report["missing_inputs"]["audio"] == 1
    assert medmd(["check", str(tmp_path / "out")]) == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"test_text": None}, "test_text are absent"),
        ({"train_y": np.zeros(3, np.float32)}, "train_text has shape"),
        ({"test_audio": np.zeros((20, 74), np.float32)}, "another length"),
        ({"train_uid": np.array(["a"] * 60)}, "named twice"),
        ({"train_uid": np.arange(60)}, "train_uid has shape"),
        ({"train_uid": np.array([f"v_{place}" for place in range(59)] + ["v_01"])}, "named twice"),
        ({"train_y": np.float32(1)}, "train_y has shape ()"),
    ],
)
def test_another_layout_is_told_in_one_message(tmp_path, capsys, changes, words):
    source = write_mosi(tmp_path / "mosi")
    rewrite(source, **changes)
    assert main([str(source), str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Expected arrays" in captured.err
    assert not (tmp_path / "out").exists()


def test_parts_that_share_a_video_are_refused_or_split_anew(tmp_path, capsys):
    source = write_mosi(tmp_path / "mosi")
    uids = arrays_of(source)["test_uid"].copy()
    uids[:5] = [f"Vid_03-x_{place}" for place in range(5, 10)]
    rewrite(source, test_uid=uids)
    assert main([str(source), str(tmp_path / "out")]) == 2
    assert "got 1 of 15 patients in several. Split anew with --resplit" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([str(source), str(tmp_path / "out"), "--resplit"]) == 0
    splits = load_datalist(tmp_path / "out" / "datalist.json").splits
    videos = [{case.patient_id for case in cases} for cases in splits.values()]
    assert sum(map(len, videos)) == len(set.union(*videos)) == 15


def test_objects_need_pickle_and_are_refused(tmp_path, capsys):
    source = write_mosi(tmp_path / "mosi")
    rewrite(source, train_uid=np.array([{"a": 1}] * 60, dtype=object))
    assert main([str(source), str(tmp_path / "out")]) == 2
    assert "pickle" in capsys.readouterr().err
    assert main([str(tmp_path / "empty"), str(tmp_path / "out")]) == 2
    assert "expected one .npz file" in capsys.readouterr().err


def test_again_with_equal_arguments_gives_equal_bytes(tmp_path):
    source = write_mosi(tmp_path / "mosi")
    for _ in range(2):
        assert main([str(source), str(tmp_path / "a")]) == 0
    assert main([str(source), str(tmp_path / "b")]) == 0
    found, expected = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "a", tmp_path / "b")
    )
    assert found == expected


def test_help_is_light():
    code = (
        "import sys\nfrom data_prep.mosi.__main__ import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "heavy = {'torch', 'monai', 'pandas', 'openpyxl', 'PIL', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "data/mosi.json" in done.stdout


def test_the_bundle_trains_on_it_and_the_model_carries_its_statistics(tmp_path):
    source, out = write_mosi(tmp_path / "mosi"), tmp_path / "out"
    assert main([str(source), str(out)]) == 0
    table = train_once(out, tmp_path / "run", "mosi", "methods/uniform_sum.json", batch_size=8)
    assert table[["fusion", "unimodal_text", "unimodal_audio", "unimodal_video"]].notna().all(axis=None)
    assert medmd(["predict", str(tmp_path / "run"), str(out / "datalist.json"), str(tmp_path / "p.csv")]) == 0
    from medmd.workflows import load_model_folder

    rows = np.array([case.inputs["text"] for case in load_datalist(out / "datalist.json").splits["training"]])
    encoder = load_model_folder(tmp_path / "run" / "model").network.encoders["text"]
    np.testing.assert_allclose(encoder.mean.numpy(), rows.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(encoder.std.numpy(), rows.std(axis=0), rtol=1e-4)


@pytest.mark.real_data
def test_the_real_release(real_data, tmp_path):
    assert main([str(real_data / "mosi"), str(tmp_path / "out")]) == 0
    datalist = load_datalist(tmp_path / "out" / "datalist.json")
    assert len(datalist.splits["testing"]) == 752
    assert len({case.patient_id for _, case in datalist.cases()}) == 93
    assert len(datalist.splits["training"]) + len(datalist.splits["validation"]) == 1447
    assert medmd(["check", str(tmp_path / "out")]) == 0
