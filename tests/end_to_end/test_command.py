"""The bundle from the command line, as the README writes it; each start costs seconds, so there are few."""

import json
import os
import subprocess
import sys
from pathlib import Path

from medmd.commands.bundle_path import bundle_folder

ROOT = Path(__file__).parents[2]
QUICK = ["--pretrain_epochs", "1", "--train_epochs", "1", "--phantom", "{'n': 40}", "--device", "cpu", "--threads", "1"]


def monai(*words, cwd, threads=1):
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    command = [sys.executable, "-m", "monai.bundle", "run", *map(str, words)]
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment | {"OMP_NUM_THREADS": str(threads)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_of_the_readme_from_the_repository(tmp_path):
    places = ["--output_dir", tmp_path / "run", "--phantom_dir", tmp_path / "phantom"]
    done = monai("--config_file", "bundles/remd/train.json", *QUICK, *places, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "fusion" in done.stdout
    assert (tmp_path / "run" / "report" / "report.html").exists()
    assert (tmp_path / "run" / "mlruns.db").exists()
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["network"]["encoders"]["oct"]["depth"] == 18


def test_from_another_folder_with_overlays_the_places_are_below_it(tmp_path):
    folder = bundle_folder()
    files = [str(folder / name) for name in ("train.json", "presets/tiny.json", "methods/mmpareto.json")]
    words = ["--config_file", str(files), *QUICK, "--stages", "['pretrain']", "--track", "False"]
    done = monai(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*")) == ["output/phantom", "output/remd"]
    assert json.loads((tmp_path / "output/remd/run.json").read_text())["method"] == "mmpareto"
    assert (tmp_path / "output/remd/checkpoints/pretrain").is_dir()
    assert not (tmp_path / "output/remd/mlruns.db").exists()


def test_two_threads_as_a_user_has_them(tmp_path):
    """The tests have one thread each. Two crashed over missing images while channels were last in memory."""
    words = ["--config_file", str([str(bundle_folder() / name) for name in ("train.json", "presets/tiny.json")])]
    words += ["--phantom", "{'n': 40, 'seed': 0, 'missing': {'fundus': 0.2}}", "--threads", "2", "--device", "cpu"]
    words += ["--pretrain_epochs", "5", "--train_epochs", "3", "--track", "False"]
    done = monai(*words, "--stages", "['pretrain', 'train']", cwd=tmp_path, threads=2)
    assert done.returncode == 0, (done.returncode, done.stderr[-3000:])
    assert "train: epoch 3 of 3" in done.stdout


def test_an_error_of_the_user_is_one_sentence(tmp_path):
    done = monai("--config_file", bundle_folder() / "train.json", "--dataset_dir", "absent", cwd=tmp_path)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if "error" in line.lower()]
    assert errors == [line for line in errors if line.startswith("medmd: error: dataset_dir: no datalist at absent")]
    assert len(errors) == 1
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
