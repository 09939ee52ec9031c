"""The whole preflight through the bundle, on a cohort of small noise."""

import json
import logging
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigWorkflow

from medmd.data import write_datalist
from medmd.utils import MedmdError
from medmd.workflows import resolve_literals, user_error
from medmd.workflows.preflight import Later, Plan, _examine, examine, run_preflight
from medmd.workflows.preflight._free import Free

BUNDLE = Path(__file__).parents[3] / "bundles" / "remd"
GIB = 1 << 30


@pytest.fixture
def cohort(make_datalist):
    return make_datalist(missing={2: "fundus"})


@pytest.fixture
def bundle(cohort, tmp_path):
    """Makes a workflow of the tiny preset; nothing is initialised."""

    def make(**settings):
        return ConfigWorkflow(
            config_file=[str(BUNDLE / name) for name in ("train.json", "presets/tiny.json")],
            meta_file=str(BUNDLE / "metadata.json"),
            logging_file=False,
            workflow_type="train",
            **{
                "device": "cpu",
                "dataset_dir": str(cohort.parent),
                "output_dir": str(tmp_path / "run"),
                "retina_band": 10,
                "batch_size": 4,
                "track": False,
                **settings,
            },
        )

    return make


@pytest.fixture
def plan(cohort, tmp_path, bundle):
    """Makes the plan of the same run from plain arguments."""

    def make(**settings):
        parser = bundle().parser
        return Plan(
            **{
                "datalist": cohort,
                "output_dir": tmp_path / "run",
                "modalities": ["oct", "fundus"],
                "transform": parser.get_parsed_content("validate#preprocessing"),
                "augmented": parser.get_parsed_content("train#preprocessing"),
                "network": resolve_literals(parser.config, "network"),
                "batch_size": 4,
                "pretrain_epochs": 20,
                "train_epochs": 20,
                **settings,
            }
        )

    return make


def error_of(workflow):
    with pytest.raises(RuntimeError) as caught:
        workflow.initialize()
    return str(user_error(caught.value))


def test_a_sound_start_is_one_line_of_numbers_and_writes_nothing_but_the_run(bundle, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="medmd.workflows.preflight"):
        bundle().initialize()
    lines = [record.getMessage() for record in caplog.records if "Preflight" in record.getMessage()]
    assert len(lines) == 1
    assert "12 cases, 23 files, cache " in lines[0]
    assert "needed in memory" in lines[0]
    assert "on disk" in lines[0]
    assert (tmp_path / "run" / "run.json").is_file()


def test_everything_that_is_wrong_comes_in_one_error(bundle, cohort, tmp_path):
    (cohort.parent / "oct/c000.nii.gz").write_bytes(b"")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("x")
    lines = error_of(bundle(device="cuda:99", batch_size=9)).splitlines()
    assert lines[0].startswith("4 problems before the start")
    settings = [line.strip().split(":")[0] for line in lines[1:] if not line.startswith("    ")]
    assert settings == ["device", "output_dir", "batch_size", "dataset_dir"]
    assert "case c000, input oct: found an empty file" in lines[-1]
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.tex"]


def test_switched_off_it_looks_at_nothing(bundle, cohort):
    (cohort.parent / "oct/c000.nii.gz").write_bytes(b"")
    bundle(preflight=False).initialize()
    assert run_preflight(enabled=False) is None


def test_a_data_set_that_is_not_there_is_told_with_the_rest(bundle, tmp_path):
    text = error_of(bundle(dataset_dir=str(tmp_path / "none"), device="cuda:99"))
    assert "\n  device: " in text
    assert "\n  dataset_dir: no datalist at " in text


def test_a_phantom_is_not_made_when_the_rest_is_wrong(bundle, tmp_path):
    (tmp_path / "file").write_text("x")
    settings = {"dataset_dir": None, "phantom_dir": str(tmp_path / "eyes"), "output_dir": str(tmp_path / "file")}
    assert "this is a file" in error_of(bundle(**settings))
    assert not (tmp_path / "eyes").exists()


def test_a_phantom_is_made_when_nothing_is_wrong(bundle, tmp_path):
    settings = {"dataset_dir": None, "phantom_dir": str(tmp_path / "eyes"), "phantom": {"n": 12, "seed": 0}}
    bundle(retina_band=64, batch_size=2, **settings).initialize()
    assert (tmp_path / "eyes" / "datalist.json").is_file()


def test_a_preprocessing_that_fails_is_told_before_any_case_is_cached(bundle, cohort):
    text = error_of(bundle(**{"preprocessing#9#shapes#oct": [1, 2, 2, 2]}))
    assert text.startswith("preprocessing: ")
    assert "c000" in text
    assert "expected (1, 2, 2, 2)" in text
    assert str(cohort.parent) not in text


def test_a_case_without_laterality_is_tried_too(bundle, cohort):
    document = json.loads(cohort.read_text())
    document["training"][5]["laterality"] = None
    cohort.write_text(json.dumps(document))
    text = error_of(bundle())
    assert text.startswith("preprocessing: ")
    assert "c005" in text
    assert "laterality" in text


def test_a_data_set_without_a_file_that_can_be_opened_ends_without_an_estimate(plan, cohort):
    for file in cohort.parent.glob("*/*.*"):
        file.write_bytes(b"")
    report = examine(plan())
    assert [problem.setting for problem in report.refusals] == ["dataset_dir"]
    assert "23 of 23" in str(report.refusals[0])
    assert set(report.facts) == {"cases", "files"}


def test_too_little_memory_is_refused_with_the_biggest_part(plan, monkeypatch):
    monkeypatch.setattr(_examine, "host_memory", lambda: Free(number=1 << 20, where="within the memory limit"))
    (problem,) = examine(plan()).refusals
    assert "1 MiB free within the memory limit" in str(problem)


def test_a_gpu_is_counted_apart(plan, monkeypatch):
    monkeypatch.setattr(_examine, "device_problems", lambda *_: [])
    monkeypatch.setattr(_examine, "device_memory", lambda device: Free(number=1000, where=f"on {device}"))
    on_gpu, on_cpu = examine(plan(device="cuda:0")), None
    (problem,) = on_gpu.refusals
    assert "on cuda:0" in str(problem)
    monkeypatch.undo()
    on_cpu = examine(plan())
    assert on_cpu.ok
    assert on_gpu.facts["needed in memory"] + on_gpu.facts["needed on the device"] == on_cpu.facts["needed in memory"]


def test_without_a_plain_network_it_says_that_nothing_was_estimated(plan):
    report = examine(plan(network=None))
    assert report.ok
    assert "memory and disk not estimated" in report.summary()


def test_a_network_with_an_expression_is_left_out(bundle, caplog):
    with caplog.at_level(logging.INFO, logger="medmd.workflows.preflight"):
        bundle(**{"network#encoders#oct#depth": "$5 + 5"}).initialize()
    assert "memory and disk not estimated" in caplog.text


def test_a_network_that_does_not_take_the_images_is_told(plan):
    from copy import deepcopy

    made = plan()
    wrong = deepcopy(made.network)
    wrong["encoders"]["oct"]["in_channels"] = 2
    (problem,) = examine(plan(network=wrong)).refusals
    assert problem.setting == "network"


def test_a_warning_is_logged_and_the_run_begins(plan, caplog, cohort):
    arguments = vars(plan(output_dir=cohort.parent / "output"))
    with caplog.at_level(logging.WARNING, logger="medmd.workflows.preflight"):
        report = run_preflight(**arguments)
    assert report is not None
    assert report.ok
    assert "inside of the data set" in caplog.text


def test_a_crop_made_for_other_volumes_is_a_warning_and_the_run_begins(bundle, caplog):
    with caplog.at_level(logging.WARNING, logger="medmd.workflows.preflight"):
        bundle(retina_band=2).initialize()
    assert "retina_band: little of the depth of oct is kept; found 2 of 10 voxels" in caplog.text
    assert "hospital.json" in caplog.text


def test_an_error_that_is_no_user_s_stays_one(plan):
    def broken():
        raise RuntimeError("a fault of the program")

    with pytest.raises(RuntimeError, match="a fault of the program"):
        examine(plan(datalist=broken))


def test_a_plain_call_raises_one_error(plan, cohort):
    from medmd.data import Datalist, load_datalist

    datalist = load_datalist(cohort)
    write_datalist(cohort, Datalist(header=datalist.header, splits={"training": datalist.splits["training"]}))
    with pytest.raises(MedmdError, match=r"2 problems(.|\n)*validation(.|\n)*testing"):
        run_preflight(**vars(plan()))


def test_later_needs_a_bundle():
    with pytest.raises(MedmdError, match="no bundle"):
        Later("datalist")


def test_only_the_epochs_of_stages_that_run_are_written_down(plan):
    both, one, none = (
        examine(plan(pretrain_epochs=10**5, train_epochs=10**5, **settings)).facts["on disk"]
        for settings in ({}, {"pretraining": False}, {"stages": ["evaluate"]})
    )
    assert both > 1.5 * one
    assert one > 10 * none


def test_an_evaluation_alone_looks_at_its_own_lists(plan):
    report = examine(plan(stages=["evaluate"]))
    assert report.facts["cases"] == 4
    assert report.facts["needed in memory"] < examine(plan()).facts["needed in memory"]


def first_step(workflow):
    """All initial weights, and two batches of the training loader."""
    workflow.initialize()
    parser = workflow.parser
    weights = parser.get_parsed_content("network_on_device").state_dict()
    parser.get_parsed_content("train#sampler").set_epoch(3)
    batches = list(parser.get_parsed_content("train#dataloader"))
    return weights, batches


def test_neither_preflight_nor_cache_changes_a_weight_or_a_pixel(bundle, tmp_path):
    expected, batches = first_step(bundle(output_dir=str(tmp_path / "a")))
    assert len(batches) == 2
    for name, settings in (("b", {"preflight": False}), ("c", {"cache": False})):
        weights, others = first_step(bundle(output_dir=str(tmp_path / name), **settings))
        assert all(torch.equal(weights[key], tensor) for key, tensor in expected.items())
        for one, two in zip(batches, others, strict=True):
            assert one.keys() == two.keys()
            assert one["case_id"] == two["case_id"]
            for key in ("oct", "fundus", "present", "target"):
                assert torch.equal(one[key], two[key]), key


@pytest.mark.parametrize("settings", [{"preflight": False}, {"cache": False}])
def test_a_run_goes_on_whatever_these_say(bundle, tmp_path, settings):
    bundle().initialize()
    before = (tmp_path / "run" / "run.json").read_bytes()
    bundle(**settings, resume=True).initialize()
    assert (tmp_path / "run" / "run.json").read_bytes() == before
