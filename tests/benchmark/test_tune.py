"""The search of settings: the same for every method, on validation alone, and the same when it was stopped."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml
from benchmark_cohort import METHODS, plan_content, small_plan
from scipy.stats import ttest_rel

from medmd.benchmark import _worker as worker
from medmd.benchmark import describe_work, failed_searches, make_plan, run_plan
from medmd.benchmark._data import find_data
from medmd.benchmark._objective import by_patient, losses, mean_loss
from medmd.benchmark._schedule import Start, missing_searches
from medmd.benchmark._tune import _chosen, tune
from medmd.benchmark._work import Work
from medmd.cli import main
from medmd.utils import MedmdError, read_json, write_json

SPACE = {"learning_rate": {"low": 0.001, "high": 0.1, "log": True}, "batch_size": {"choices": [4, 8]}}


@pytest.fixture
def job(tmp_path):
    return job_of(tmp_path)


def job_of(folder, trials=14, **changes):
    # More trials than the sampler draws at random: the later ones depend on the values of the earlier ones.
    plan = small_plan(folder, tuning={"trials": trials, "space": SPACE, **changes}, methods=METHODS[:1])
    work = Work(folder / "work")
    return missing_searches(plan, work, Start(), find_data(plan, work, Start()))[0]


def bowl(job, splits):
    """A training whose validation error is known: lowest at a rate of 0.02 and batches of 4."""
    from medmd.benchmark._ended import Ended

    rate, size = job.settings["learning_rate"], job.settings["batch_size"]
    error = abs(np.log(rate / 0.02)) + 0.1 * (size == 8)
    table = pd.DataFrame({"case_id": list("abcd"), "patient_id": list("ppqr"), "split": "validation", "laterality": ""})
    return Ended(predictions=table.assign(target=1.0, fusion=1.0 + error * np.array([1.0, 1.01, 0.99, 1.0])))


def trials(own, others):
    """Trials of one case a patient with the given losses, the configuration's own first."""
    return [
        {
            "settings": {"learning_rate": 0.01 + number, "batch_size": 8},
            "value": float(np.mean(each)),
            "status": "finished",
            "patients": [[value, 1] for value in each],
        }
        for number, each in enumerate([own, *others])
    ]


def test_other_settings_are_chosen_where_a_paired_test_shows_that_they_are_better(job):
    random = np.random.default_rng(0)
    chosen = 0
    for _ in range(200):
        own = random.gamma(1.0, size=20)
        other = own + random.normal(-0.1, 0.4, size=20)
        found = _chosen(trials(own, [other]), job)["learning_rate"] > 1
        assert found == (ttest_rel(other, own).statistic < -1.645)
        chosen += found
    assert 20 < chosen < 180


def test_patients_with_many_cases_are_one_piece_of_evidence(job):
    own, better = np.full(12, 1.0), np.full(12, 0.9)
    both = trials(own, [better - 0.001 * np.arange(12)])
    assert _chosen(both, job)["learning_rate"] > 1
    # All of the gain is one patient's.
    both[1]["patients"] = [[each, 1] for each in [-0.2, *([1.0] * 11)]]
    assert _chosen(both, job)["learning_rate"] < 1
    for trial in both:
        trial["patients"] = [[sum(each[0] for each in trial["patients"]), 12]]
    assert _chosen(both, job)["learning_rate"] < 1


def test_a_case_that_one_seed_cannot_predict_counts_with_the_other_seeds():
    table = pd.DataFrame({"case_id": list("abc"), "patient_id": list("ppq"), "split": "validation", "target": 0.0})
    seeds = [table.assign(fusion=[1.0, 2.0, np.nan]), table.assign(fusion=[3.0, np.nan, np.nan])]
    # Loss of a: (1 + 9) / 2, of b: 4; c is predicted by none.
    assert by_patient([losses(each, "fusion") for each in seeds]).tolist() == [[9.0, 2.0]]


def test_without_the_configurations_own_trial_the_best_is_chosen(job):
    both = trials([1.0, 2.0], [[0.9, 2.05], [0.8, 2.0]])
    both[0] = {"settings": both[0]["settings"], "value": None, "status": "failed"}
    assert _chosen(both, job)["learning_rate"] == 2.01


def test_the_first_trial_is_the_configurations_own_only_when_all_of_its_settings_are_searched(tmp_path):
    """Its rate of 0.01 lies outside the space: what the first trial has instead is no better than any other."""
    space = {**SPACE, "learning_rate": {"low": 0.02, "high": 0.1, "log": True}}
    both = trials([1.0, 2.0], [[0.9, 2.05], [0.8, 2.0]])

    assert _chosen(both, job_of(tmp_path / "own"))["learning_rate"] == 0.01
    assert _chosen(both, job_of(tmp_path / "other", space=space))["learning_rate"] == 2.01


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(worker, "fit", bowl)


def untimed(record):
    trials = [{name: value for name, value in trial.items() if name != "processor"} for trial in record["trials"]]
    return {**record, "trials": trials}


@pytest.mark.usefixtures("quick")
def test_the_best_trial_is_chosen_and_the_first_is_the_configuration(job):
    record = tune(job)
    values = [trial["value"] for trial in record["trials"]]

    assert len(values) == 14
    assert record["trials"][0]["settings"] == {"learning_rate": 0.01, "batch_size": 8}
    assert record["chosen"] == record["trials"][int(np.argmin(values))]["settings"]
    assert min(values) < values[0]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("stopped_after", [1, 11, 13])
def test_a_search_that_was_stopped_equals_one_that_was_not(tmp_path, monkeypatch, stopped_after):
    whole = tune(job_of(tmp_path / "whole"))
    calls = []

    def stopping(job, splits):
        if len(calls) == stopped_after:
            raise KeyboardInterrupt
        calls.append(job)
        return bowl(job, splits)

    again = job_of(tmp_path / "stopped")
    with monkeypatch.context() as patch:
        patch.setattr(worker, "fit", stopping)
        with pytest.raises(KeyboardInterrupt):
            tune(again)
    path = again.first.place.tuning("numbers", "uniform_sum", 0)
    assert len(read_json(path)["trials"]) == stopped_after
    assert read_json(path)["chosen"] is None
    assert untimed(tune(again)) == untimed(whole) == untimed(read_json(path))


def test_trials_that_fail_are_recorded_and_never_chosen(job, monkeypatch):
    def failing(job, splits):
        if job.settings["batch_size"] == 4:
            msg = "it diverged"
            raise MedmdError(msg)
        return bowl(job, splits)

    monkeypatch.setattr(worker, "fit", failing)
    record = tune(job)
    failed = [trial for trial in record["trials"] if trial["status"] == "failed"]

    assert failed
    assert {trial["error"]["message"] for trial in failed} == {"it diverged"}
    assert record["chosen"]["batch_size"] == 8


def test_a_search_without_any_result_chooses_nothing(job, monkeypatch):
    def failing(job, splits):
        msg = "no such luck"
        raise RuntimeError(msg)

    monkeypatch.setattr(worker, "fit", failing)
    told = r"none of 14 trials.*\(tuning/numbers/uniform_sum/fold0\.json; .*The first: RuntimeError: no such luck"
    with pytest.raises(MedmdError, match=told):
        tune(job)


def test_trials_that_predict_nothing_say_so(job, monkeypatch):
    def empty(job, splits):
        ended = bowl(job, splits)
        return replace(ended, predictions=ended.predictions.assign(fusion=np.nan))

    monkeypatch.setattr(worker, "fit", empty)
    with pytest.raises(MedmdError, match="The first: ValueError: it predicted no number"):
        tune(job)


@pytest.mark.usefixtures("quick")
def test_a_search_that_another_worker_has_carried_further_is_taken_over(tmp_path, monkeypatch):
    """As one on a cluster that goes on after Ctrl-C, beside the one of the next start."""
    whole = tune(job_of(tmp_path / "whole"))
    slow = job_of(tmp_path / "slow")
    path, calls = slow.first.place.tuning("numbers", "uniform_sum", 0), []

    def overtaken(job, splits):
        calls.append(job)
        if len(calls) == 3:
            write_json(path, whole)
        return bowl(job, splits)

    monkeypatch.setattr(worker, "fit", overtaken)
    assert tune(slow) == whole == read_json(path)
    assert len(calls) == 3


@pytest.fixture
def hopeless(tmp_path, monkeypatch):
    """A plan on which every trial of one method fails, until its list of faults is emptied."""
    fit, faults = worker.fit, ["it diverged"]

    def failing(job, splits):
        if job.method.name == "remd" and job.settings and faults:
            raise MedmdError(faults[0])
        return fit(job, splits)

    monkeypatch.setattr(worker, "fit", failing)
    space = {"learning_rate": {"low": 0.001, "high": 0.1, "log": True}}
    content = plan_content(tmp_path, tuning={"trials": 2, "space": space}, methods=METHODS, seeds=1)
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(content))
    return make_plan(content), faults


def test_a_method_whose_search_found_nothing_is_not_run_with_other_settings(tmp_path, hopeless, caplog):
    plan, _ = hopeless
    runs = run_plan(plan, tmp_path / "work", jobs=0, tracking=False)
    assert list(runs.results["method"]) == ["uniform_sum"]
    assert "none of 2 trials came to its end" in caplog.text
    told = (
        "numbers, remd, fold 0: the search of settings failed: MedmdError: none of 2 trials came to its end "
        "(tuning/numbers/remd/fold0.json; --retry-failed repeats them). The first: MedmdError: it diverged"
    )
    assert sorted(runs.problems) == [told, "numbers, remd: 1 of 1 runs are missing."]


def test_a_failed_search_is_repeated_only_when_asked_for(tmp_path, hopeless):
    plan, faults = hopeless
    options = {"jobs": 0, "tracking": False}
    run_plan(plan, tmp_path / "work", **options)
    path = tmp_path / "work" / "tuning" / "numbers" / "remd" / "fold0.json"
    failed = read_json(path)
    faults.clear()
    assert len(run_plan(plan, tmp_path / "work", **options).problems) == 2
    assert read_json(path) == failed
    trainings = " and 2 trainings of its search"
    assert trainings not in describe_work(plan, tmp_path / "work")[0]
    assert trainings in describe_work(plan, tmp_path / "work", retry_failed=True)[0]

    assert run_plan(plan, tmp_path / "work", retry_failed=True, **options).problems == []
    again = read_json(path)
    assert [trial["status"] for trial in again["trials"]] == ["finished"] * 2
    # The same settings were tried.
    assert [trial["settings"] for trial in again["trials"]] == [trial["settings"] for trial in failed["trials"]]
    # A search with a finished trial is done.
    run_plan(plan, tmp_path / "work", retry_failed=True, **options)
    assert read_json(path) == again


def test_a_failed_search_shows_in_the_exit_code(tmp_path, hopeless, capsys):
    words = ["benchmark", str(tmp_path / "plan.yaml"), "--work", str(tmp_path / "work"), "--jobs", "0", "--no-tracking"]
    assert main(words) == 1
    told = capsys.readouterr().out
    assert "1 runs finished, 0 failed, 1 searches failed" in told
    assert told.count("The first: MedmdError: it diverged") == 1
    hopeless[1].clear()
    assert main([*words, "--retry-failed"]) == 0


def test_a_search_whose_process_died_is_told_until_it_is_begun_again(job, quick):
    place = job.first.place
    worker.lost(job)
    (told,) = failed_searches(place)
    assert told.startswith("numbers, uniform_sum, fold 0: the search of settings failed: WorkerDied: ")
    assert worker.work_on(job).status == "finished"
    assert failed_searches(place) == []


@pytest.mark.usefixtures("quick")
def test_another_search_in_the_same_place_is_refused(job, tmp_path):
    tune(job)
    with pytest.raises(MedmdError, match="these differ: seed"):
        tune(job_of_again(tmp_path, seed=7))
    path = job.first.place.tuning("numbers", "uniform_sum", 0)
    record = read_json(path)
    record["trials"][3]["settings"]["learning_rate"] = 0.5
    write_json(path, record)
    with pytest.raises(MedmdError, match="trial 3 is recorded with other settings"):
        tune(job)


def job_of_again(folder, **changes):
    job = job_of(folder / "other", **changes)
    return replace(job, first=replace(job.first, work=folder / "work"))


def test_core_methods_are_searched_equally_and_run_with_what_was_chosen(tmp_path, monkeypatch):
    asked = []
    fit = worker.fit

    def watched(job, splits):
        asked.append((job.method.name, job.seed, splits, bool(job.settings)))
        return fit(job, splits)

    monkeypatch.setattr(worker, "fit", watched)
    other = {"name": "other", "overlays": ["joint_loss", "no_pretraining"], "label": "default", "seeds": 1}
    space = {"learning_rate": {"low": 0.001, "high": 0.1, "log": True}}
    plan = small_plan(tmp_path, tuning={"trials": 3, "space": space}, methods=[*METHODS, other], seeds=[5, 6])
    runs = run_plan(plan, tmp_path / "work", jobs=0, tracking=False)
    trials = [each for each in asked if each[2] == ("validation",)]

    assert [each[:2] for each in trials] == [("uniform_sum", 5)] * 3 + [("remd", 5)] * 3
    assert all(each[2] == ("validation", "testing") for each in asked[6:])
    for name in ("uniform_sum", "remd"):
        record = read_json(tmp_path / "work" / "tuning" / "numbers" / name / "fold0.json")
        for seed in (5, 6):
            assert runs.result(f"runs/numbers/{name}/fold0-seed{seed}")["settings"] == record["chosen"]
    assert runs.result("runs/numbers/other/fold0-seed0")["settings"] == {}
    searches = runs.searches()
    assert searches[["dataset", "method", "fold", "trials"]].values.tolist() == [
        ["numbers", "remd", 0, 3], ["numbers", "uniform_sum", 0, 3]
    ]  # fmt: skip
    assert (searches["processor"] > 0).all()


def test_each_fold_is_searched_on_its_own_validation_cases(tmp_path, monkeypatch):
    asked = []
    fit = worker.fit

    def watched(job, splits):
        ended = fit(job, splits)
        asked.append((job.fold, splits, set(ended.predictions["case_id"])))
        return ended

    monkeypatch.setattr(worker, "fit", watched)
    plan = small_plan(
        tmp_path,
        dataset={"folds": 3},
        tuning={"trials": 2, "space": {"learning_rate": {"low": 0.001, "high": 0.1, "log": True}}},
        methods=METHODS[:1],
        seeds=1,
    )
    runs = run_plan(plan, tmp_path / "work", jobs=0, tracking=False)
    validated = {fold: cases for fold, splits, cases in asked if splits == ("validation",)}
    assert set(validated) == {0, 1, 2}
    for fold in range(3):
        record = read_json(tmp_path / "work" / "tuning" / "numbers" / "uniform_sum" / f"fold{fold}.json")
        assert runs.result(f"runs/numbers/uniform_sum/fold{fold}-seed0")["settings"] == record["chosen"]
        tested = runs.table(f"runs/numbers/uniform_sum/fold{fold}-seed0")
        assert not validated[fold] & set(tested.loc[tested["split"] == "testing", "case_id"])


def test_a_trial_prepares_no_case_to_test_on(tmp_path, monkeypatch):
    from medmd.benchmark import _cohort

    prepared = []
    batches = _cohort.in_batches
    monkeypatch.setattr(_cohort, "in_batches", lambda items: prepared.append(items) or batches(items))
    _cohort._HELD.clear()
    job = job_of(tmp_path, trials=1)
    tune(job)
    seen = {item["case_id"] for items in prepared for item in items}
    cohort = read_json(tmp_path / "data" / "datalist.json")

    assert seen == {case["case_id"] for case in cohort["validation"]}


def test_the_objective_is_that_of_the_rows_column():
    table = pd.DataFrame(
        {
            "case_id": list("abc"), "patient_id": list("abc"), "split": ["validation", "validation", "testing"],
            "laterality": "", "target": [0.0, 1.0, 9.0], "fusion": [1.0, 1.0, 0.0],
            "pretrain_a": [2.0, 1.0, 0.0], "pretrain_b": [0.0, np.nan, 0.0],
        }
    )  # fmt: skip

    assert mean_loss(losses(table, "fusion")) == 0.5
    assert mean_loss(losses(table, "pretrain_*")) == (2.0 + 0.0) / 2
    assert np.isnan(mean_loss(losses(table.assign(pretrain_b=np.nan), "pretrain_*")))
    with pytest.raises(MedmdError, match="has no 'late_average'"):
        mean_loss(losses(table, "late_average"))


def test_the_objective_of_classes_is_the_log_loss():
    from sklearn.metrics import log_loss

    shares = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    table = pd.DataFrame({"case_id": list("abc"), "patient_id": list("abc"), "split": "validation", "laterality": ""})
    table = table.assign(target=[0.0, 2.0, 2.0], fusion=shares.argmax(1).astype(float))
    table = table.assign(**{f"fusion_p{i}": shares[:, i] for i in range(3)})

    np.testing.assert_allclose(mean_loss(losses(table, "fusion")), log_loss([0, 2, 2], shares, labels=[0, 1, 2]))
