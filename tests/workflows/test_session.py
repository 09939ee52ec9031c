import json
import signal
import threading
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from medmd.handlers._history import Entry
from medmd.utils import STOP, MedmdError, Stopped, read_json
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
        self.run_id = None

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


@pytest.fixture
def _signals_as_before():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    assert {number: signal.getsignal(number) for number in before} == before


def raising(number):
    return lambda: signal.raise_signal(number)


@pytest.mark.usefixtures("_signals_as_before")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("stage", ALL)
def test_a_signal_ends_the_run_as_killed_with_its_code_and_one_sentence(make, capfd, stage, number, code):
    session = make()
    session.open()
    seen, calls = steps(*ALL)
    calls[stage] = raising(number)
    with pytest.raises(Stopped) as caught:
        session.run(**calls)

    assert caught.value.code == code
    assert session.tracker.status == "KILLED"
    assert seen == list(ALL[: ALL.index(stage)])
    last = capfd.readouterr().err.splitlines()[-1]
    assert last == f"medmd: stopped by {number.name}. Start the same command again, and the run goes on where it stood."
    again = make()
    again.open()
    seen, calls = steps(*ALL)
    again.run(**calls)
    assert seen == list(ALL)
    assert again.tracker.status == "FINISHED"


@pytest.mark.usefixtures("_signals_as_before")
def test_a_training_stage_comes_to_its_own_end_and_the_history_is_written(make, tmp_path):
    session = make()
    session.open()
    ended = []

    def step():
        signal.raise_signal(signal.SIGTERM)
        session.history.add([Entry("train", 1, 5, "loss", 0.5)])
        ended.append(STOP.requested)

    with pytest.raises(Stopped):
        session.run(train=step)
    assert ended == [signal.SIGTERM]
    assert "train,1,5,loss,0.5" in (tmp_path / "run" / "history.csv").read_text()


@pytest.mark.usefixtures("_signals_as_before")
def test_what_fails_because_of_the_signal_is_no_failure(make, caplog):
    session = make()
    session.open()

    def step():
        signal.raise_signal(signal.SIGTERM)
        raise RuntimeError("DataLoader worker is killed by signal: Terminated.")

    with pytest.raises(Stopped), caplog.at_level("INFO"):
        session.run(train=step)
    assert session.tracker.status == "KILLED"
    assert "After the signal: DataLoader worker" in caplog.text


@pytest.mark.usefixtures("_signals_as_before")
def test_a_signal_while_the_tracking_store_opens_or_closes_waits_for_it(make):
    session = make()
    session.open()
    start, finish, done = session.tracker.start, session.tracker.finish, []

    def interrupted(call):
        def act(*arguments, **options):
            signal.raise_signal(signal.SIGTERM)
            call(*arguments, **options)
            done.append(call)

        return act

    session.tracker.start = interrupted(start)
    with pytest.raises(Stopped):
        session.run()
    assert (done, session.tracker.status) == ([start], "KILLED")

    again = make()
    again.open()
    finish = again.tracker.finish
    again.tracker.finish = interrupted(finish)
    again.run()
    assert (done, again.tracker.status) == ([start, finish], "FINISHED")


@pytest.mark.usefixtures("_signals_as_before")
def test_the_advice_after_a_fresh_start_insists_on_going_on(make, capfd):
    session = make(resume=False)
    session.open()
    with pytest.raises(Stopped):
        session.run(train=raising(signal.SIGINT))
    assert "Start the same command with --resume True, and the run goes on" in capfd.readouterr().err


@pytest.mark.usefixtures("_signals_as_before")
def test_in_another_thread_a_run_leaves_the_signals_alone(make):
    session = make()
    session.open()
    seen, calls = steps(*ALL)
    thread = threading.Thread(target=session.run, kwargs=calls)
    thread.start()
    thread.join()
    assert seen == list(ALL)
    assert session.tracker.status == "FINISHED"


def foreign_checkpoint(session, stage="train", **changes):
    path = session.folder / "checkpoints" / stage / "checkpoint-00000003.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {"fingerprint": session.fingerprint, "identity": json.dumps(session.identity), "stage": stage}
    with path.open("wb") as file:
        torch.save({**state, "iteration": 3, "epoch": 1, "finished": False, "objects": {}, **changes}, file)
    return path


def test_a_foreign_checkpoint_is_refused_before_anything_runs(make, tmp_path):
    session = make()
    session.open()
    other = make(output_dir=tmp_path / "other", config=CONFIG | {"seed": 1, "network": {"depth": 50}})
    foreign_checkpoint(session)
    make().open()
    foreign_checkpoint(session, fingerprint=other.fingerprint, identity=json.dumps(other.identity))
    with pytest.raises(MedmdError, match=r"differs in seed \(1 -> 0\); network#depth \(50 -> 18\); network#planes"):
        make().open()


def test_left_over_temporary_files_are_removed_at_the_next_start(make, tmp_path):
    make().open()
    left = tmp_path / "run" / "checkpoints" / "train" / ".tmp-abcdefgh.pt"
    left.parent.mkdir(parents=True)
    left.touch()
    make().open()
    assert not left.exists()


@pytest.mark.parametrize("stage", ["pretrain", "train"])
def test_more_epochs_are_tracked(make, stage):
    lengths = {"pretrain_epochs": 3, "train_epochs": 2}
    plan = CONFIG | lengths | {"uses": [*CONFIG["uses"], *(f"@{name}" for name in lengths)]}
    session = make(config=plan)
    session.open()
    _, calls = steps(*ALL)
    session.run(**calls)
    (session.folder / "predictions.csv").write_text("first")
    tags, logged = {}, []
    longer = make(config=plan | {f"{stage}_epochs": 5})
    longer.open()
    longer.tracker.run_id = "r1"
    longer.tracker.client = SimpleNamespace(set_tag=lambda run, name, value: tags.update({(run, name): value}))
    longer.tracker.speaking = nullcontext
    longer.tracker.log_file = lambda path, folder=None: logged.append((path.name, folder))
    seen, calls = steps(*ALL)
    longer.run(**calls)

    assert seen == list(ALL)
    assert tags == {("r1", f"{stage}_epochs"): "5"}
    assert (("pretrain-3-train-2", "earlier/pretrain-3-train-2") in logged) == (stage == "train")


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
    before = torch.get_num_threads()
    try:
        make(threads=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_outside_of_a_bundle_there_is_no_configuration(make):
    assert make(config=None).config == {}
