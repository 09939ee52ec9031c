"""CREMA-D's layout, written by the tests."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile
from scipy.signal import stft

from data_prep.crema_d import Options, convert
from data_prep.crema_d.__main__ import main
from data_prep.crema_d._clips import EMOTIONS, find_clips
from data_prep.crema_d._sound import COLUMNS, RATE, ROWS, read_sound, spectrogram
from medmd.data import check_datalist, load_datalist
from medmd.utils import MedmdError


def tone(frequency=1000, seconds=0.4):
    return np.sin(2 * np.pi * frequency * np.arange(int(RATE * seconds)) / RATE).astype(np.float32)


def write_sound(path: Path, samples, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, rate, (20000 * samples).astype(np.int16))


def write_frames(folder: Path, greys):
    folder.mkdir(parents=True)
    for place, grey in enumerate(greys):
        Image.new("RGB", (20, 16), (grey, grey, grey)).save(folder / f"{place:04d}.jpg", quality=95)


@pytest.fixture
def source(tmp_path):
    """Six actors, an emotion each but the last two; actor 1003 has no frame, actor 1004 no sound."""
    folder = tmp_path / "CREMA-D"
    for number, emotion in enumerate(EMOTIONS):
        name = f"{1001 + number}_IEO_{emotion}_HI"
        if number != 3:
            write_sound(folder / "AudioWAV" / f"{name}.wav", tone(300 * (number + 1)))
        if number != 2:
            write_frames(folder / "Image-01-FPS" / name, [20 * number, 20 * number + 100, 255])
    (folder / "VideoFlash").mkdir()
    (folder / "VideoFlash" / "1001_IEO_NEU_HI.flv").write_bytes(b"FLV")
    (folder / "README.md").write_text("text")
    return folder


def test_the_layout_is_read(source):
    found = find_clips(source)
    assert [clip.name.split("_")[0] for clip in found.clips] == [str(number) for number in range(1001, 1007)]
    assert [clip.emotion for clip in found.clips] == list(range(6))
    assert found.clips[0].middle.name == "0001.jpg"
    assert (found.videos, found.others, found.unnamed) == (1, 1, [])


def test_a_cohort_is_sound_and_says_what_is_missing(source, tmp_path):
    report = convert(source, tmp_path / "out", workers=2)
    assert report.usable == 6
    assert report.facts["missing_inputs"] == {"audio": 1, "frame": 1}
    path = tmp_path / "out" / "datalist.json"
    assert check_datalist(path).ok
    datalist = load_datalist(path)
    assert datalist.header.target.classes == tuple(EMOTIONS.values())
    cases = {case.case_id: case for _, case in datalist.cases()}
    assert {case.patient_id for case in cases.values()} == {f"actor-{number}" for number in range(1001, 1007)}
    assert cases["1003_IEO_SAD_HI"].inputs["frame"] is None
    assert cases["1004_IEO_FEA_HI"].inputs["audio"] is None
    assert cases["1006_IEO_ANG_HI"].target == 5
    with Image.open(tmp_path / "out" / cases["1002_IEO_HAP_HI"].inputs["frame"]) as frame:
        assert abs(int(np.asarray(frame)[5, 5, 0]) - 120) < 5
    with Image.open(tmp_path / "out" / cases["1002_IEO_HAP_HI"].inputs["audio"]) as sound:
        assert sound.size == (COLUMNS, ROWS)
        assert sound.mode == "L"


def test_a_tone_is_a_line_at_its_frequency():
    picture = spectrogram(tone(2000, seconds=3))
    assert picture.shape == (256, 300)
    # Row 255 is 31.25 Hz, a row more for each 31.25 Hz.
    assert (picture[:, :290].argmax(axis=0) == 256 - 64).all()
    assert picture.max() == 255


def test_the_spectrogram_is_that_of_scipy():
    samples = np.random.default_rng(0).normal(size=RATE * 3).astype(np.float32)
    power = np.square(np.abs(stft(samples, window="hann", nperseg=512, noverlap=352, boundary=None, padded=False)[2]))
    expected = 10 * np.log10(power[1:] / power.max())[::-1]
    found = spectrogram(samples)[:, : expected.shape[1]] / 255 * 80 - 80
    inner = expected > -79
    # Both are relative to their loudest value, which the last columns may hold.
    difference = (found - expected)[inner]
    assert difference.std() < 0.12


def test_a_short_sound_is_repeated():
    short = tone(1000, seconds=0.5)
    np.testing.assert_array_equal(spectrogram(short), spectrogram(np.tile(short, 6)))


def test_stereo_and_other_depths_are_read(tmp_path):
    path = tmp_path / "a.wav"
    samples = tone()
    wavfile.write(path, RATE, np.stack([samples, samples], axis=1))
    np.testing.assert_allclose(read_sound(path), samples, atol=1e-6)


@pytest.mark.parametrize(
    ("samples", "rate", "text"), [(tone(), 44_100, "44100 samples"), (0 * tone(), RATE, "empty or silent")]
)
def test_sounds_that_cannot_be_used_are_named(source, tmp_path, samples, rate, text):
    write_sound(source / "AudioWAV" / "1004_IEO_FEA_HI.wav", samples, rate)
    report = convert(source, tmp_path / "out")
    assert report.usable == 6
    assert [fault["clip"] for fault in report.facts["faults"]] == ["1004_IEO_FEA_HI"]
    assert text in report.facts["faults"][0]["audio"]


def test_a_clip_of_which_nothing_is_usable_is_set_aside(source, tmp_path):
    (source / "AudioWAV" / "1003_IEO_SAD_HI.wav").write_bytes(b"RIFF")
    write_sound(source / "AudioWAV" / "somebody.wav", tone())
    report = convert(source, tmp_path / "out")
    assert report.usable == 5
    assert report.tallies[0].excluded == {"unusable": ["1003_IEO_SAD_HI"], "not_a_clip": ["somebody.wav"]}
    report.tallies[0].check()


def test_the_result_does_not_depend_on_workers_or_repetition(source, tmp_path):
    for name, workers in (("a", 1), ("b", 3)):
        convert(source, tmp_path / name, workers=workers)
    convert(source, tmp_path / "a")
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*") if path.is_file()]
    for file in files:
        if not file.name.startswith("."):
            assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_limits_and_wrong_sources(source, tmp_path):
    report = convert(source, tmp_path / "out", options=Options(limit=4))
    assert report.usable == 4
    assert report.tallies[0].excluded_count == 2
    with pytest.raises(MedmdError, match="AudioWAV"):
        convert(tmp_path / "out", tmp_path / "again")
    with pytest.raises(MedmdError, match="limit"):
        convert(source, tmp_path / "other", options=Options(limit=0))


def test_the_command_takes_frames_from_elsewhere(source, tmp_path, capsys):
    (source / "Image-01-FPS").rename(tmp_path / "frames")
    assert main([str(source), str(tmp_path / "out"), "--frames", str(tmp_path / "frames")]) == 0
    assert "6 converted" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "report.json").read_text())["missing_inputs"] == {"audio": 1, "frame": 1}
    assert main([str(source), str(tmp_path / "other"), "--frames", str(tmp_path / "nothing")]) == 2
    assert "expected a folder with the frame folders" in capsys.readouterr().err
