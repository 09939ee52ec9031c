import json
import logging
from pathlib import Path

import pytest

from medmd.utils import MedmdError
from medmd.workflows._settings import check_settings

BUNDLE = Path(__file__).parents[2] / "bundles" / "remd"
CONFIG = json.loads((BUNDLE / "train.json").read_text())


def test_every_setting_of_the_bundle_is_used(caplog):
    with caplog.at_level(logging.INFO):
        check_settings(CONFIG)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("train_epoch", "train_epochs"), ("learning_rates", "learning_rate"), ("dataset_dirs", "dataset_dir")],
)
def test_a_slip_of_the_pen_is_refused_with_what_was_meant(wrong, meant):
    with pytest.raises(MedmdError, match=f"{wrong}: .*Did you mean {meant}"):
        check_settings(CONFIG | {wrong: 3})


def test_a_setting_that_resembles_none_is_named_in_the_log(caplog):
    with caplog.at_level(logging.INFO):
        check_settings(CONFIG | {"zebra": 1, "_remark_": "none"})
    assert [record.getMessage() for record in caplog.records] == ["Used by nothing: zebra."]


def test_a_setting_of_an_overlay_that_is_referenced_is_used():
    check_settings(CONFIG | {"train_epoch": 3, "a": "$2 * @train_epoch", "b": ["@a"], "c": {"x": "@b", "y": "@c"}})
