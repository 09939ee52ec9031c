"""Metrics of classes against scikit-learn, and their intervals against drawing patients by hand."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from medmd.metrics import (
    CLASS_STATISTICS,
    classification_metrics,
    clustered_bootstrap_classes,
    confusion_matrix,
    resample_weights,
)


def sample(seed=0, n=60, classes=4, sharpness=1.0):
    random = np.random.default_rng(seed)
    target = random.integers(0, classes, n)
    logits = random.normal(size=(n, classes)) + sharpness * np.eye(classes)[target]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return target, probabilities


def reference(target, probabilities):
    guess = probabilities.argmax(axis=1)
    labels = np.arange(probabilities.shape[1])
    seen = np.unique(np.concatenate([target, guess]))
    return {
        "accuracy": oracle.accuracy_score(target, guess),
        "balanced_accuracy": oracle.recall_score(target, guess, labels=np.unique(target), average="macro"),
        "macro_f1": oracle.f1_score(target, guess, labels=seen, average="macro"),
        "kappa": oracle.cohen_kappa_score(target, guess, labels=labels, weights="quadratic"),
        "log_loss": oracle.log_loss(target, probabilities, labels=labels),
    }


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_metrics_are_those_of_scikit_learn(seed, classes):
    target, probabilities = sample(seed, n=25, classes=classes, sharpness=seed / 2)
    found = classification_metrics(target, probabilities)
    assert found["n"] == 25
    for name, value in reference(target, probabilities).items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


def test_a_class_that_never_occurs_is_left_out_of_the_means():
    target, probabilities = sample(2, classes=4)
    kept = target < 3
    found = classification_metrics(target[kept], probabilities[kept])
    expected = reference(target[kept], probabilities[kept])
    assert found["balanced_accuracy"] == pytest.approx(expected["balanced_accuracy"])
    assert found["macro_f1"] == pytest.approx(expected["macro_f1"])


def test_rows_without_truth_or_prediction_are_left_out():
    target, probabilities = sample()
    whole = classification_metrics(target, probabilities)
    more_target = np.concatenate([target, [-1, np.nan, 2]])
    more = np.concatenate([probabilities, probabilities[:2], np.full((1, 4), np.nan)])
    assert classification_metrics(more_target, more) == whole


def test_a_given_prediction_wins_over_the_most_probable_class():
    target, probabilities = sample()
    assert classification_metrics(target, probabilities, target)["accuracy"] == 1.0


def test_nothing_to_measure_is_nan_and_never_zero():
    found = classification_metrics([], np.zeros((0, 3)))
    assert found.pop("n") == 0
    assert all(np.isnan(value) for value in found.values())
    assert np.isnan(classification_metrics([1, 1], [[0.1, 0.9], [0.2, 0.8]])["kappa"])


def test_an_impossible_truth_costs_what_scikit_learn_lets_it_cost():
    target, probabilities = [0, 1], [[1.0, 0.0], [1.0, 0.0]]
    with np.errstate(all="ignore"):
        expected = oracle.log_loss(target, probabilities)
    assert classification_metrics(target, probabilities)["log_loss"] == pytest.approx(expected)


def test_the_confusion_matrix_is_that_of_scikit_learn():
    target, probabilities = sample(3)
    expected = oracle.confusion_matrix(target, probabilities.argmax(axis=1), labels=np.arange(4))
    np.testing.assert_array_equal(confusion_matrix(target, probabilities), expected)


@pytest.mark.parametrize(
    ("target", "probabilities"),
    [([0, 1], [[0.5, 0.5]]), ([0], [0.5]), ([2], [[0.5, 0.5]]), ([0], [[1.0]])],
)
def test_what_does_not_fit_is_refused(target, probabilities):
    with pytest.raises(ValueError, match="expected"):
        classification_metrics(target, probabilities)


def test_intervals_come_from_drawn_patients():
    target, probabilities = sample(5, n=40)
    patients = [f"p{row // 2}" for row in range(40)]
    guess = probabilities.argmax(axis=1).astype(float)
    missing = probabilities.copy()
    missing[:4], half = np.nan, guess.copy()
    half[:4] = np.nan
    predictions = {"whole": (guess, probabilities), "half": (half, missing)}
    found = clustered_bootstrap_classes(target, predictions, patients, seed=7, replicates=200)
    weights = resample_weights(patients, replicates=200, seed=7).astype(int)
    for name, kept in (("whole", slice(0, 40)), ("half", slice(4, 40))):
        drawn = {statistic: [] for statistic in CLASS_STATISTICS}
        for row in weights:
            chosen = np.repeat(np.arange(40)[kept], row[kept])
            values = reference(target[chosen], probabilities[chosen])
            for statistic in CLASS_STATISTICS:
                drawn[statistic].append(values[statistic])
        for statistic in CLASS_STATISTICS:
            interval = found[name][statistic]
            low, high = np.quantile(drawn[statistic], [0.025, 0.975])
            assert interval.estimate == pytest.approx(reference(target[kept], probabilities[kept])[statistic])
            assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-12)
    assert (found["half"]["kappa"].n, found["half"]["kappa"].patients, found["half"]["kappa"].dropped) == (36, 18, 4)


def test_one_patient_has_no_interval():
    target, probabilities = sample(n=10)
    predictions = {"a": (probabilities.argmax(axis=1), probabilities)}
    found = clustered_bootstrap_classes(target, predictions, ["p"] * 10, seed=0, replicates=20)
    assert np.isnan(found["a"]["accuracy"].low)
    assert not np.isnan(found["a"]["accuracy"].estimate)


def test_unequal_lengths_are_refused():
    target, probabilities = sample(n=10)
    with pytest.raises(ValueError, match="same length"):
        clustered_bootstrap_classes(target, {"a": (target, probabilities)}, ["p"] * 9, seed=0)
