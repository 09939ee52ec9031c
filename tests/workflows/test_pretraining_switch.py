"""A method without stage 1 never runs it, and is another run than one with it."""

import pytest

from medmd.utils import MedmdError
from medmd.workflows import Session

CONFIG = {"seed": 0, "pretraining": True, "_used_": "@seed @pretraining"}


def session(path, folder, *, pretraining):
    config = {**CONFIG, "pretraining": pretraining}
    return Session(output_dir=folder, datalist=path, seed=0, tracking=False, pretraining=pretraining, config=config)


def test_pretraining_is_skipped_and_the_other_folder_refused(make_datalist, tmp_path):
    path, done = make_datalist(), []
    steps = {name: lambda name=name: done.append(name) for name in ("pretrain", "train", "evaluate")}
    first = session(path, tmp_path / "run", pretraining=True)
    first.open()
    first.run(**steps)
    assert done == ["pretrain", "train", "evaluate"]
    with pytest.raises(MedmdError, match="pretraining"):
        session(path, tmp_path / "run", pretraining=False).open()
    done.clear()
    second = session(path, tmp_path / "other", pretraining=False)
    second.open()
    second.run(**steps)
    assert done == ["train", "evaluate"]
