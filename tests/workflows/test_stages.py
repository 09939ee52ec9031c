import itertools

import pytest

from medmd.utils import MedmdError
from medmd.workflows._progress import Progress
from medmd.workflows._stages import STAGES, check_stages


@pytest.mark.parametrize("asked", [["pretrain"], ["train"], ["train", "evaluate"], list(STAGES), ["pretrain", "train"]])
def test_in_a_fresh_folder(asked):
    check_stages(asked, begun=(), finished=())


@pytest.mark.parametrize("asked", [[], ["stage1"], ["train", "Evaluate"]])
def test_unknown_stages_are_refused(asked):
    with pytest.raises(MedmdError, match=r"stages: expected some of"):
        check_stages(asked, begun=(), finished=())


@pytest.mark.parametrize("asked", [["evaluate"], ["pretrain", "evaluate"]])
def test_an_untrained_network_is_not_evaluated(asked):
    with pytest.raises(MedmdError, match="no trained network"):
        check_stages(asked, begun=("pretrain", "train"), finished=("pretrain",))


def test_training_does_not_start_from_a_broken_off_pretraining():
    with pytest.raises(MedmdError, match="not finished"):
        check_stages(["train"], begun=("pretrain",), finished=())
    check_stages(["pretrain", "train"], begun=("pretrain",), finished=())
    check_stages(["train"], begun=("pretrain",), finished=("pretrain",))


def test_pretraining_does_not_come_after_training():
    with pytest.raises(MedmdError, match="without pretraining"):
        check_stages(list(STAGES), begun=("train",), finished=("train",))
    check_stages(["train", "evaluate"], begun=("train",), finished=("train",))


def test_whatever_was_run_can_be_asked_for_again():
    for asked in itertools.chain.from_iterable(itertools.combinations(STAGES, size) for size in (1, 2, 3)):
        if "evaluate" in asked and "train" not in asked:
            continue
        check_stages(asked, begun=asked, finished=asked)
        check_stages(asked, begun=asked, finished=())


def test_progress_is_kept_in_the_folder(tmp_path):
    Progress(tmp_path).begin("pretrain")
    assert Progress(tmp_path).begun == ("pretrain",)
    assert Progress(tmp_path).finished == ()
    for stage in STAGES:
        Progress(tmp_path).begin(stage)
        Progress(tmp_path).finish(stage)
        Progress(tmp_path).finish(stage)
    assert Progress(tmp_path).begun == Progress(tmp_path).finished == STAGES
    assert Progress(tmp_path).finished_training == ("pretrain", "train")
