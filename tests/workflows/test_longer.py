import logging

import pytest

from medmd.utils import MedmdError, read_json, sha256_file, write_json
from medmd.workflows._folder import fingerprint, identity, open_folder, write_run_file
from medmd.workflows._longer import Longer, after, begin_longer, plan_longer
from medmd.workflows._progress import Progress

CONFIG = {"seed": 0, "pretrain_epochs": 20, "train_epochs": 30, "output_dir": "/home/canary", "weights": "/home/canary"}
ALL = ("pretrain", "train", "evaluate")
RESULTS = ("predictions.csv", "report/metrics.json", "model/manifest.json", "datalist_header.json")


def content(folder):
    return {str(p.relative_to(folder)): sha256_file(p) for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def run(tmp_path):
    """The folder of a finished run."""
    folder = tmp_path / "run"
    write_run_file(folder, {"fingerprint": fingerprint(CONFIG, "d1"), "datalist_sha256": "d1"}, CONFIG)
    stages = [f"checkpoints/{stage}/checkpoint-00000009.pt" for stage in ("pretrain", "train")]
    for name in (*RESULTS, *stages, "history.csv", "mlruns.db"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    write_json(folder / "mlflow_run.json", {"run_id": "r1", "store": "folder"})
    for stage in ALL:
        Progress(folder).begin(stage)
        Progress(folder).finish(stage)
    return folder


def longer(folder, *, asked=ALL, **changes):
    config = CONFIG | changes
    open_folder(folder, config, "d1", "auto")
    found = plan_longer(folder, config, asked)
    return found, begin_longer(folder, config, found)


def test_the_same_epochs_change_nothing(run):
    before = content(run)
    assert longer(run) == ([], None)
    assert content(run) == before


def test_more_training_goes_on_and_keeps_the_earlier_results(run, caplog):
    before = content(run)
    with caplog.at_level(logging.INFO):
        found, place = longer(run, train_epochs=50)

    assert found == [Longer("train", 30, 50)]
    assert place == run / "earlier" / "pretrain-20-train-30"
    assert (Progress(run).begun, Progress(run).finished) == (ALL, ("pretrain",))
    kept = content(place)
    assert {name: kept[name] for name in (*RESULTS, "history.csv", "config.json")} == {
        name: before[name] for name in (*RESULTS, "history.csv", "config.json")
    }
    assert len(kept) == 6
    left = content(run)
    assert not any(name in left for name in RESULTS)
    for name in ("history.csv", "mlruns.db", "mlflow_run.json", "checkpoints/train/checkpoint-00000009.pt"):
        assert left[name] == before[name]
    assert read_json(run / "config.json") == CONFIG | {"train_epochs": 50}
    assert read_json(run / "run.json")["longer"] == [
        {"stage": "train", "before": 30, "now": 50, "earlier_results": "earlier/pretrain-20-train-30"}
    ]
    assert "More epochs: train 50 epochs instead of 30. The earlier results are in earlier/pretrain-20" in caplog.text


def test_more_pretraining_trains_anew_after_it(run, caplog):
    before = content(run)
    with caplog.at_level(logging.INFO):
        found, place = longer(run, pretrain_epochs=25, train_epochs=10)

    assert found == [Longer("pretrain", 20, 25)]
    assert (Progress(run).begun, Progress(run).finished) == (("pretrain",), ())
    kept, left = content(place), content(run)
    for name in ("checkpoints/train/checkpoint-00000009.pt", "mlflow_run.json", *RESULTS):
        assert kept[name] == before[name]
    assert "checkpoints/train/checkpoint-00000009.pt" not in left
    assert left["checkpoints/pretrain/checkpoint-00000009.pt"] == before["checkpoints/pretrain/checkpoint-00000009.pt"]
    # Another MLflow run begins, and is told the numbers of the epochs before.
    assert read_json(run / "mlflow_run.json") == {}
    assert read_json(run / "config.json") == CONFIG | {"pretrain_epochs": 25, "train_epochs": 10}
    assert "The training after it begins anew." in caplog.text


def test_again_and_again(run):
    longer(run, train_epochs=40)
    assert longer(run, train_epochs=40) == ([], None)
    (run / "predictions.csv").write_text("second")
    _, place = longer(run, train_epochs=50)
    assert place == run / "earlier" / "pretrain-20-train-40"
    assert (place / "predictions.csv").read_text() == "second"
    assert [step["now"] for step in read_json(run / "run.json")["longer"]] == [40, 50]


def test_results_that_are_kept_already_are_not_overwritten(run):
    (run / "earlier" / "pretrain-20-train-30").mkdir(parents=True)
    _, place = longer(run, train_epochs=40)
    assert place == run / "earlier" / "pretrain-20-train-30.1"


def test_a_start_that_was_broken_off_is_done_again(run, monkeypatch):
    import medmd.workflows._longer as module

    def fail(*_):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_record", fail)
        with pytest.raises(OSError, match="disk full"):
            longer(run, train_epochs=40)
    found, place = longer(run, train_epochs=40)

    assert (found, place) == ([Longer("train", 30, 40)], None)
    assert (run / "earlier" / "pretrain-20-train-30" / "predictions.csv").exists()
    assert Progress(run).finished == ("pretrain",)


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"train_epochs": 29}, r"train_epochs \(30 -> 29\)"), ({"pretrain_epochs": 1}, r"pretrain_epochs \(20 -> 1\)")],
    ids=str,
)
def test_fewer_epochs_are_another_run(run, changes, told):
    before = content(run)
    with pytest.raises(MedmdError, match=f"differs in {told}. More epochs continue a run, fewer are another one"):
        longer(run, **changes)
    assert content(run) == before


@pytest.mark.parametrize(
    ("changes", "asked"),
    [({"train_epochs": 40}, ["evaluate"]), ({"pretrain_epochs": 40}, ["train", "evaluate"])],
    ids=str,
)
def test_more_epochs_of_a_stage_that_is_not_to_run_are_refused(run, changes, asked):
    before = content(run)
    with pytest.raises(MedmdError, match="stages does not name"):
        longer(run, asked=asked, **changes)
    assert content(run) == before


@pytest.mark.parametrize("epochs", [10, 60])
def test_a_stage_that_was_not_begun_may_have_any_length(tmp_path, epochs):
    folder = tmp_path / "run"
    write_run_file(folder, {"fingerprint": fingerprint(CONFIG, "d1"), "datalist_sha256": "d1"}, CONFIG)
    Progress(folder).begin("pretrain")

    assert longer(folder, train_epochs=epochs) == ([], None)
    assert read_json(folder / "config.json") == CONFIG | {"train_epochs": epochs}
    assert "longer" not in read_json(folder / "run.json")


def test_a_run_in_the_middle_of_its_training_may_be_made_longer(run):
    for name in ("predictions.csv", "datalist_header.json", "model/manifest.json", "report/metrics.json"):
        (run / name).unlink()
    for name in ("model", "report"):
        (run / name).rmdir()
    Progress(run).reopen("train", "evaluate")

    assert longer(run, train_epochs=40) == ([Longer("train", 30, 40)], None)
    assert not (run / "earlier").exists()


def test_what_is_begun_and_finished_afterwards(run):
    progress = Progress(run)
    assert after([], progress) == (ALL, ALL)
    assert after([Longer("train", 1, 2)], progress) == (ALL, ("pretrain",))
    assert after([Longer("pretrain", 1, 2)], progress) == (("pretrain",), ())


@pytest.mark.parametrize("other", ["$10 + 20", 30.5, True], ids=str)
def test_an_expression_is_compared_as_it_stands(run, other):
    before = content(run)
    with pytest.raises(MedmdError, match="differs in train_epochs"):
        longer(run, train_epochs=other)
    assert content(run) == before


def test_lengths_are_no_part_of_the_fingerprint_and_paths_no_part_of_the_identity():
    assert fingerprint(CONFIG, "d") == fingerprint(CONFIG | {"train_epochs": 1, "pretrain_epochs": 7}, "d")
    assert fingerprint(CONFIG, "d") != fingerprint(CONFIG | {"train_epochs": "$1"}, "d")
    assert identity(CONFIG, "d") == {"settings": {"seed": 0, "weights": "<path>"}, "datalist_sha256": "d"}
