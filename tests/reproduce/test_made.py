"""Which trainings of the bundle figures 2 and 5 take."""

import pytest

from medmd.cli import main
from medmd.reproduce import datalist_of, made_trainings, named_trainings
from medmd.utils import MedmdError, sha256_file, write_json

HISTORY = "stage,epoch,iteration,name,value\n"


def training(folder, *, stages=("pretrain", "train", "evaluate"), finished=None, left=("history.csv",), digest="0"):
    folder.mkdir(parents=True)
    write_json(folder / "run.json", {"datalist_sha256": digest})
    write_json(folder / "config.json", {"stages": list(stages), "pretraining": "pretrain" in stages})
    write_json(folder / "progress.json", {"begun": list(stages), "finished": list(finished or stages)})
    for name in left:
        (folder / name).write_text(HISTORY)
    return folder


def test_only_finished_trainings_are_taken(tmp_path):
    whole = ("history.csv", "predictions.csv")
    training(tmp_path / "sgm-all", left=whole)
    training(tmp_path / "mmpareto-all", stages=("train", "evaluate"), left=whole)
    training(tmp_path / "joint_loss-all", finished=["pretrain"])
    training(tmp_path / "uniform_sum-all", left=("history.csv",))
    training(tmp_path / "zebra-all", left=whole)
    # A run of stage 1 alone predicts nothing.
    training(tmp_path / "alone-all", stages=("pretrain",))
    training(tmp_path / "alone-head", stages=("pretrain",), finished=["nothing"])
    (tmp_path / "mmpareto-head").mkdir()
    write_json(tmp_path / "mmpareto-head/run.json", {})
    assert set(made_trainings(tmp_path)) == {"sgm-all", "mmpareto-all", "alone-all"}


def test_a_training_that_is_named_comes_before_one_that_was_made(tmp_path, capsys):
    whole = ("history.csv", "predictions.csv")
    made = training(tmp_path / "work/bundle/default/sgm-all", left=whole)
    steps = [f"train,1,{step},{name},{step}" for step in range(5) for name in ("gamma", "sharpness")]
    (made / "history.csv").write_text(HISTORY + "\n".join(steps) + "\n")
    own = training(tmp_path / "own")
    (own / "history.csv").write_text(HISTORY + "\n".join(steps[:6]) + "\n")
    arguments = ["reproduce", "fig5", "--work", str(tmp_path / "work")]
    assert main(arguments) == 0
    assert "over 5 recorded steps" in capsys.readouterr().out
    assert main([*arguments, "--run-dir", f"sgm-all={own}"]) == 0
    assert "over 3 recorded steps" in capsys.readouterr().out


def test_a_training_that_is_named_is_not_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("medmd.reproduce._made.bundle_run", None)
    own = training(tmp_path / "own")
    steps = [f"train,1,{step},{name},{step}" for step in range(5) for name in ("gamma", "sharpness")]
    (own / "history.csv").write_text(HISTORY + "\n".join(steps) + "\n")
    arguments = ["reproduce", "fig5", "--work", str(tmp_path / "work"), "--run", "--run-dir", str(own)]
    assert main(arguments) == 0
    assert "over 5 recorded steps" in capsys.readouterr().out


def test_names_and_folders_of_trainings_are_checked(tmp_path):
    own = training(tmp_path / "own")
    assert named_trainings([str(own)]) == {"sgm-all": own}
    with pytest.raises(MedmdError, match=r"--run-dir: expected NAME=DIR with one of alone-all, .*; got sgm="):
        named_trainings([f"sgm={own}"])
    with pytest.raises(MedmdError, match=r"finished training with history.csv; got sgm-all="):
        named_trainings([f"sgm-all={tmp_path}"])


def test_a_datalist_is_that_of_the_trainings_or_none(tmp_path):
    phantom = tmp_path / "datalist.json"
    phantom.write_text("{}")
    own = training(tmp_path / "own", digest=sha256_file(phantom))
    other = training(tmp_path / "other")
    assert datalist_of({"sgm-all": own}, [phantom]) == phantom
    assert datalist_of({"sgm-all": own, "mmpareto-all": other}, [phantom]) is None
    assert datalist_of({}, [phantom]) is None
    assert datalist_of({"sgm-all": own}, [tmp_path / "absent.json"]) is None
