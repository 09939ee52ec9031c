import json

import pytest

from medmd.utils import MedmdError, read_json
from medmd.workflows import Session

CONFIG = {
    "seed": 0,
    "output_dir": "/home/canary",
    "network": {"depth": 18, "planes": [1, 2], "weights": "/home/canary/w.pt"},
    "uses": ["@seed", "@network", "$'/home/canary'"],
    "more": "@uses",
    "also": "@more",
    "_remark_": "none",
    "_meta_": {"version": "1"},
    "run": "@also",
}


class Recorder:
    """Stands for the MLflow run."""

    def __init__(self):
        self.calls, self.status, self.files = [], None, {}

    def start(self, *, parameters, tags):
        self.parameters, self.tags = parameters, tags

    def log_file(self, path, folder=None):
        self.files[path.name] = path.read_text()

    def finish(self, status):
        self.status = status


@pytest.fixture
def make(make_datalist, tmp_path):
    datalist = make_datalist()

    def session(**changes):
        arguments = {"output_dir": tmp_path / "run", "datalist": datalist, "seed": 0, "config": CONFIG} | changes
        made = Session(**arguments)
        made.tracker = Recorder()
        return made

    return session


def steps(*names, fail=None):
    seen = []

    def step(name):
        def call():
            seen.append(name)
            if fail is not None and name in fail:
                raise fail[name]

        return call

    return seen, {name: step(name) for name in names}


ALL = ("pretrain", "train", "evaluate")


def test_the_stages_run_in_order_and_the_run_ends_finished(make):
    session = make()
    session.open()
    seen, calls = steps(*reversed(ALL))
    session.run(**calls)
    assert seen == list(ALL)
    assert session.tracker.status == "FINISHED"


def test_a_finished_run_puts_its_weights_back_and_evaluates(make):
    for asked, expected in ((ALL, list(ALL)), (["evaluate"], list(ALL)), (["train"], ["pretrain", "train"])):
        session = make(stages=asked)
        session.open()
        seen, calls = steps(*ALL)
        session.run(**calls)
        assert seen == expected


def test_stage_after_stage_in_one_folder(make):
    for asked, expected in ((["pretrain"], ["pretrain"]), (["train"], ["pretrain", "train"])):
        session = make(stages=asked)
        session.open()
        seen, calls = steps(*ALL)
        session.run(**calls)
        assert seen == expected


@pytest.mark.parametrize(("error", "status"), [(RuntimeError("x"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_a_broken_run_says_so_and_goes_on_later(make, error, status):
    session = make()
    session.open()
    seen, calls = steps(*ALL, fail={"train": error})
    with pytest.raises(type(error)):
        session.run(**calls)
    assert session.tracker.status == status
    assert seen == ["pretrain", "train"]
    again = make()
    again.open()
    seen, calls = steps(*ALL)
    again.run(**calls)
    assert seen == list(ALL)
    assert again.tracker.status == "FINISHED"


def test_a_failure_to_open_the_tracking_store_is_a_failed_run_too(make):
    session = make()
    session.open()

    def refuse(**_):
        raise OSError("no server")

    session.tracker.start = refuse
    seen, calls = steps(*ALL)
    with pytest.raises(OSError, match="no server"):
        session.run(**calls)
    assert (seen, session.tracker.status) == ([], "FAILED")


def test_a_broken_off_pretraining_is_not_trained_from(make):
    session = make()
    session.open()
    _, calls = steps(*ALL, fail={"pretrain": RuntimeError("x")})
    with pytest.raises(RuntimeError):
        session.run(**calls)
    with pytest.raises(MedmdError, match="not finished"):
        make(stages=["train"]).open()


def test_training_without_pretraining_stays_that(make):
    session = make(stages=["train"])
    session.open()
    seen, calls = steps(*ALL)
    session.run(**calls)
    assert seen == ["train"]
    with pytest.raises(MedmdError, match="without pretraining"):
        make().open()
    make(resume=False).open()


def test_unknown_stages_and_settings_touch_nothing(make, tmp_path):
    with pytest.raises(MedmdError, match="stages"):
        make(stages=["fuse"]).open()
    with pytest.raises(MedmdError, match="Did you mean seed"):
        make(config=CONFIG | {"seeds": 1}).open()
    assert not (tmp_path / "run").exists()


def test_the_run_file_says_what_was_run(make, tmp_path):
    make(method="sgm").open()
    found = read_json(tmp_path / "run" / "run.json")
    assert found["method"] == "sgm"
    assert len(found["datalist_sha256"]) == len(found["fingerprint"]) == 64
    assert "torch" in found["environment"]
    assert read_json(tmp_path / "run" / "config.json") == CONFIG


def test_what_is_tracked_holds_no_path(make):
    session = make()
    session.open()
    session.run()
    tracker = session.tracker
    assert tracker.parameters == {
        "seed": 0,
        "network.depth": 18,
        "network.planes": [1, 2],
        "network.weights": "<path>",
        "more": "@uses",
        "also": "@more",
    }
    assert set(tracker.files) == {"run.json", "config.json"}
    assert json.loads(tracker.files["config.json"]) == {
        **{name: value for name, value in CONFIG.items() if name != "_meta_"},
        "output_dir": "<path>",
        "network": CONFIG["network"] | {"weights": "<path>"},
        "uses": ["@seed", "@network", "$'<path>'"],
    }
    assert "canary" not in repr((tracker.parameters, tracker.tags, tracker.files))


def test_threads_are_set_on_request(make):
    import torch

    before = torch.get_num_threads()
    try:
        make(threads=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_outside_of_a_bundle_there_is_no_configuration(make):
    assert make(config=None).config == {}
