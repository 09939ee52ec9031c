import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from medmd.data import Case, TargetSpec, split_by_patient
from medmd.data._groups import group_cases, severity_edges, stratum
from medmd.utils import MedmdError, derive_seed


@st.composite
def cohorts(draw, min_patients=3):
    patients = draw(st.integers(min_patients, 40))
    cases = []
    for patient in range(patients):
        for _ in range(draw(st.integers(1, 3))):
            content = draw(st.integers(0, 60))
            cases.append(
                Case(
                    case_id=f"c{len(cases):03d}",
                    patient_id=f"p{patient}",
                    inputs={"oct": "x"},
                    target=draw(st.none() | st.floats(-30, 2)),
                    # Few digests repeat, so that some patients are joined and most are not.
                    hashes={"oct": f"{content if content < 3 else 100 + len(cases):064x}"},
                )
            )
    return cases


seeds = st.integers(0, 2**31 - 1)


def _groups_by_brute_force(cases):
    """Connected components by repeated merging: the plain way, as an oracle for the union-find."""
    sets = [({case.case_id}, {("p", case.patient_id), *(("h", h) for h in case.hashes.values())}) for case in cases]
    merged = True
    while merged:
        merged = False
        for i in range(len(sets)):
            for j in range(i + 1, len(sets)):
                if sets[i][1] & sets[j][1]:
                    sets[i] = (sets[i][0] | sets[j][0], sets[i][1] | sets[j][1])
                    del sets[j]
                    merged = True
                    break
            if merged:
                break
    return sorted(sorted(ids) for ids, _ in sets)


def _assert_disjoint(cases, parts):
    drawn = [case.case_id for part in parts.values() for case in part]
    assert sorted(drawn) == sorted(case.case_id for case in cases)
    for first in parts:
        for second in parts:
            if first < second:
                assert not {c.patient_id for c in parts[first]} & {c.patient_id for c in parts[second]}
                assert not {h for c in parts[first] for h in c.hashes.values()} & {
                    h for c in parts[second] for h in c.hashes.values()
                }


@given(cases=cohorts())
def test_groups_are_the_connected_components(cases):
    found = sorted([case.case_id for case in group.cases] for group in group_cases(cases))

    assert found == _groups_by_brute_force(cases)


@given(cases=cohorts(min_patients=8), seed=seeds)
def test_no_patient_case_or_content_is_in_two_parts(cases, seed):
    if len(group_cases(cases)) >= 3:
        parts = split_by_patient(cases, seed=seed)
        _assert_disjoint(cases, parts)
        assert all(parts.values())


@given(cases=cohorts(min_patients=8), seed=seeds, folds=st.integers(2, 5))
def test_folds_share_nothing_and_test_every_case_once(cases, seed, folds):
    if len(group_cases(cases)) < folds:
        return
    result = split_by_patient(cases, seed=seed, folds=folds)

    assert len(result) == folds
    for parts in result:
        _assert_disjoint(cases, parts)
    held_out = "testing" if folds > 2 else "validation"
    counted = Counter(case.case_id for parts in result for case in parts[held_out])
    assert counted == Counter(case.case_id for case in cases)
    validated = Counter(case.case_id for parts in result for case in parts["validation"])
    assert set(validated.values()) == {1}


@given(cases=cohorts(), seed=seeds, shuffle=st.randoms(use_true_random=False))
def test_the_order_of_the_cases_does_not_matter(cases, seed, shuffle):
    if len(group_cases(cases)) < 3:
        return
    other = list(cases)
    shuffle.shuffle(other)

    assert split_by_patient(cases, seed=seed) == split_by_patient(other, seed=seed)


@given(cases=cohorts(min_patients=8), seed=seeds, share=st.floats(0.5, 0.8))
def test_sizes_are_close_to_what_was_asked(cases, seed, share):
    groups = group_cases(cases)
    if len(groups) < 3:
        return
    fractions = {"training": share, "validation": (1 - share) / 2, "testing": (1 - share) / 2}
    parts = split_by_patient(cases, seed=seed, fractions=fractions)
    largest = max(len(group.cases) for group in groups)

    for name, fraction in fractions.items():
        # Each of the four strata is off by one group at most; filling an empty part may move one more.
        assert abs(len(parts[name]) - fraction * len(cases)) <= 5 * largest


def _clinic(patients: int, seed: int = 0) -> list[Case]:
    draw = np.random.RandomState(seed)
    worst = -draw.gamma(1.2, 5.0, patients)
    return [
        Case(case_id=f"c{2 * p + eye:04d}", patient_id=f"p{p}", inputs={}, target=float(worst[p] * (0.5 + 0.5 * eye)))
        for p in range(patients)
        for eye in (0, 1)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_a_clinic_is_balanced_in_size_and_severity(seed):
    cases = _clinic(200, seed)
    parts = split_by_patient(cases, seed=seed)
    edges = (-12.0, -6.0)

    def shares(part):
        strata = [stratum(group, edges) for group in group_cases(part)]
        return np.bincount(strata, minlength=3) / len(strata)

    assert {name: len(part) / 400 for name, part in parts.items()} == pytest.approx(
        {"training": 0.7, "validation": 0.15, "testing": 0.15}, abs=0.01
    )
    for part in parts.values():
        np.testing.assert_allclose(shares(part), shares(cases), atol=0.035)


def _visits(patients: int, seed: int) -> list[Case]:
    """One to nine visits a patient, whose number has nothing to do with the severity."""
    draw = np.random.RandomState(seed)
    return [
        Case(case_id=f"c{p:04d}-{visit}", patient_id=f"p{p}", inputs={}, target=float(worst))
        for p, worst in enumerate(-draw.gamma(1.2, 5.0, patients))
        for visit in range(draw.randint(1, 10))
    ]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shares", [(0.7, 0.1, 0.2), (0.7, 0.15, 0.15), (0.2, 0.1, 0.7)])
def test_patients_with_many_cases_stand_in_every_part(seed, shares):
    cases = _visits(300, seed)
    fractions = dict(zip(("training", "validation", "testing"), shares, strict=True))
    parts = split_by_patient(cases, seed=seed, fractions=fractions)

    def mean(part):
        return len(part) / len({case.patient_id for case in part})

    def strata(part):
        return np.bincount([stratum(group, (-12.0, -6.0)) for group in group_cases(part)], minlength=3)

    whole = strata(cases) / 300
    for name, part in parts.items():
        assert mean(part) == pytest.approx(mean(cases), rel=0.12)
        assert len(part) / len(cases) == pytest.approx(fractions[name], abs=0.01)
        np.testing.assert_allclose(strata(part) / strata(part).sum(), whole, atol=0.06)


@pytest.mark.parametrize("seed", range(20))
def test_what_strata_cannot_share_out_evenly_evens_out_over_them(seed):
    """Three strata of a few patients each: rounding within each would overfill the small parts."""
    fractions = {"training": 0.7, "validation": 0.1, "testing": 0.2}
    parts = split_by_patient(_clinic(20, seed), seed=seed, fractions=fractions)

    assert {name: len(part) for name, part in parts.items()} == {"training": 28, "validation": 4, "testing": 8}


def _dealt_by_absolute_lack(cases: list[Case], folds: int, seed: int) -> list[list[str]]:
    """Folds as they are dealt when every fold has the same share: to the one that lacks most cases."""
    strata: dict[int, list] = {}
    groups = group_cases(cases)
    for group in groups:
        strata.setdefault(stratum(group, severity_edges(groups, TargetSpec())), []).append(group)
    dealt: list[list] = [[] for _ in range(folds)]
    for number in sorted(strata):
        here = [0] * folds
        turn = sorted(strata[number], key=lambda g: (-len(g.cases), derive_seed(seed, "split", g.name), g.name))
        for group in turn:
            fold = min(range(folds), key=lambda f: (here[f], sum(len(g.cases) for g in dealt[f])))
            dealt[fold].append(group)
            here[fold] += len(group.cases)
    return [sorted(case.case_id for group in fold for case in group.cases) for fold in dealt]


@given(cases=cohorts(min_patients=30), seed=seeds, folds=st.integers(3, 7))
def test_folds_are_dealt_by_the_number_of_cases_alone(cases, seed, folds):
    assume(len(group_cases(cases)) >= 5 * folds)
    expected = _dealt_by_absolute_lack(cases, folds, seed)
    assume(all(expected))
    result = split_by_patient(cases, seed=seed, folds=folds)

    assert [[case.case_id for case in parts["testing"]] for parts in result] == expected


def test_seeds_give_different_splits_and_one_seed_the_same():
    cases = _clinic(60)

    assert split_by_patient(cases, seed=1) == split_by_patient(cases, seed=1)
    assert split_by_patient(cases, seed=1) != split_by_patient(cases, seed=2)


def test_adding_content_joins_patients():
    cases = _clinic(10)
    contents = {"c0000": ["same"], "c0019": ["same"]}
    for seed in range(20):
        parts = split_by_patient(cases, seed=seed, contents=contents)
        home = {case.case_id: name for name, part in parts.items() for case in part}
        assert home["c0000"] == home["c0001"] == home["c0018"] == home["c0019"]


def test_the_worst_eye_decides_the_stratum():
    eyes = [
        Case(case_id="a", patient_id="p", inputs={}, target=-1.0),
        Case(case_id="b", patient_id="p", inputs={}, target=-13.0),
        Case(case_id="c", patient_id="q", inputs={}, target=None),
        Case(case_id="d", patient_id="r", inputs={}, target=[-7.0, -8.0]),
        Case(case_id="e", patient_id="s", inputs={}, target=-6.0),
        Case(case_id="f", patient_id="t", inputs={}, target=-12.0),
    ]
    groups = {group.name: group for group in group_cases(eyes)}
    edges = severity_edges(list(groups.values()), TargetSpec())

    assert {name: stratum(group, edges) for name, group in groups.items()} == {"a": 0, "c": 3, "d": 1, "e": 2, "f": 1}


def test_other_targets_are_cut_into_tertiles():
    cases = [Case(case_id=f"c{i:02d}", patient_id=f"p{i}", inputs={}, target=float(i)) for i in range(90)]
    spec = TargetSpec(name="age", unit="years", range=(0, 120))
    parts = split_by_patient(cases, seed=0, target=spec)

    for part in parts.values():
        low = sum(case.target < 30 for case in part) / len(part)
        assert low == pytest.approx(1 / 3, abs=0.05)
    assert severity_edges([], spec) == ()


def test_given_edges_are_used():
    cases = _clinic(40)
    # With one bound at which the cohort is cut in halves, each part is cut in halves.
    worst = [group.worst for group in group_cases(cases)]
    edge = float(np.median(worst))
    parts = split_by_patient(cases, seed=0, edges=[edge], fractions={"training": 0.5, "testing": 0.5})

    for part in parts.values():
        assert sum(group.worst < edge for group in group_cases(part)) == 10


def test_small_cohorts_fill_every_part():
    cases = _clinic(3)
    for seed in range(10):
        assert sorted(len(part) for part in split_by_patient(cases, seed=seed).values()) == [2, 2, 2]


def test_case_order_within_parts_is_by_case_id():
    cases = _clinic(30)
    cases.reverse()
    for part in split_by_patient(cases, seed=0).values():
        assert [case.case_id for case in part] == sorted(case.case_id for case in part)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"fractions": {"training": 0.7, "validation": 0.2}}, "sum to 1"),
        ({"fractions": {"training": 1.0, "holdout": 0.0}}, "sum to 1"),
        ({"fractions": {"training": 1.2, "testing": -0.2}}, "shares above 0"),
        ({"fractions": {}}, "sum to 1"),
        ({"folds": 1}, "expected 2 or more, got 1"),
        ({"folds": 3, "fractions": {"training": 1.0}}, "got both"),
        ({"edges": [-6, -12]}, "expected ascending"),
    ],
)
def test_wrong_arguments_are_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        split_by_patient(_clinic(10), seed=0, **arguments)


def test_too_few_patients_and_doubled_cases_are_refused():
    with pytest.raises(MedmdError, match=r"expected at least 3 groups of patients, .* got 2"):
        split_by_patient(_clinic(2), seed=0)
    with pytest.raises(MedmdError, match="Case c0000: expected every case id once"):
        split_by_patient([*_clinic(5), *_clinic(1)], seed=0)


def test_hashes_of_inputs_tell_content_apart(make_datalist):
    from medmd.data import hash_inputs, load_datalist

    path = make_datalist(patients=3)
    case = load_datalist(path).splits["training"][0]

    assert hash_inputs(path.parent, case.inputs) == case.hashes
    assert hash_inputs(path.parent, {"a": [1, 2], "b": None, "c": [1.0, 2.0]}).keys() == {"a", "c"}
    both = hash_inputs(path.parent, {"a": [1, 2], "c": [1.0, 2.0]})
    assert both["a"] == both["c"]
    assert json.loads(path.read_text())["training"][0]["hashes"] == case.hashes
