import pytest
import torch
from ignite.engine import Events

from medmd.utils import sha256_file
from medmd.workflows import Predictor, cases_to_predict

# MLflow 3.17 uses a loader strategy that SQLAlchemy 2.1 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.*noload.*loader strategy:DeprecationWarning")


class StopError(Exception):
    """Stands for a kill."""


def stop(_):
    raise StopError


def leaves(value, where=""):
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, f"{where}/{name}")
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            yield from leaves(item, f"{where}/{place}")
    else:
        yield where, value


def newest(folder, stage):
    path = sorted((folder / "checkpoints" / stage).glob("checkpoint-*.pt"))[-1]
    return path.name, dict(leaves(torch.load(path, weights_only=True)))


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))
    return a == b or (a != a and b != b)


def assert_equal_runs(a, b):
    for stage in ("pretrain", "train"):
        (name, first), (other, second) = newest(a, stage), newest(b, stage)
        assert name == other
        assert list(first) == list(second)
        assert [leaf for leaf in first if not same(first[leaf], second[leaf])] == []
    assert (a / "history.csv").read_bytes() == (b / "history.csv").read_bytes()


def interrupt(workflow, stage, event):
    workflow.parser.get_parsed_content(f"{stage}#trainer").add_event_handler(event, stop)
    with pytest.raises(RuntimeError) as caught:
        workflow.run()
    assert isinstance(caught.value.__cause__, StopError)


def test_the_same_command_twice_gives_the_same_files(flow, finished, tmp_path):
    torch.manual_seed(99)
    torch.rand(3)
    flow(tmp_path / "again", track=False, cache_workers=1).run()
    assert_equal_runs(finished, tmp_path / "again")
    for name in ("predictions.csv", "model/model.safetensors", "report/metrics.json"):
        assert sha256_file(tmp_path / "again" / name) == sha256_file(finished / name), name


def test_a_run_that_was_stopped_in_both_stages_equals_one_that_was_not(flow, finished, phantom, tmp_path):
    settings = {"track": False, "stages": ["pretrain", "train"]}
    # Stopped after an epoch was saved, then in the middle of one, in each stage.
    for stage, event in (
        ("pretrain", Events.EPOCH_COMPLETED(once=1)),
        ("pretrain", Events.ITERATION_COMPLETED(once=5)),
        ("train", Events.ITERATION_COMPLETED(once=1)),
        ("train", Events.EPOCH_COMPLETED(once=1)),
    ):
        interrupt(flow(tmp_path / "run", **settings), stage, event)
    flow(tmp_path / "run", **settings, num_workers=0).run()
    assert_equal_runs(finished, tmp_path / "run")
    # The evaluation alone, from the checkpoints, leaves the same model.
    flow(tmp_path / "run", track=False, stages=["evaluate"]).run()
    for name in ("predictions.csv", "model/model.safetensors"):
        assert sha256_file(tmp_path / "run" / name) == sha256_file(finished / name), name
    predictor = Predictor(tmp_path / "run" / "model")
    assert len(predictor.predict(cases_to_predict(phantom, predictor.inputs))) == 10


def test_stage_after_stage_equals_both_at_once(flow, finished, tmp_path):
    flow(tmp_path / "run", track=False, stages=["pretrain"]).run()
    assert not (tmp_path / "run" / "checkpoints" / "train").exists()
    flow(tmp_path / "run", track=False, stages=["train"]).run()
    assert_equal_runs(finished, tmp_path / "run")


def test_another_seed_gives_another_run(flow, finished, tmp_path):
    flow(tmp_path / "run", track=False, stages=["pretrain", "train"], seed=1).run()
    (_, first), (_, second) = newest(finished, "train"), newest(tmp_path / "run", "train")
    weights = [name for name in first if "network" in name and name.endswith("weight")]
    assert weights
    assert not any(torch.equal(first[name], second[name]) for name in weights)
