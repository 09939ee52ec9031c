import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.hospital._facts import Examination
from data_prep.hospital._pairing import pair
from data_prep.hospital._pairing_reasons import FIXES, HARMLESS, MERGED, REASONS
from data_prep.hospital._site import SiteConfig
from data_prep.hospital._site_sections import FieldRules, FundusRules, Inputs, OctRules, PairingRules, QualityRules

SITE = SiteConfig()
GOOD = {"false_positives": 0.0, "false_negatives": 0.0, "fixation_losses": 0.0}


def make(name, kind, day=0, *, patient="p1", laterality="R", **facts):
    extra = {"vf": {"md": -3.0, "pattern": "24-2", **GOOD}, "oct": {"shape": (32, 64, 64)}, "fundus": {}}[kind]
    content = "" if kind == "vf" else f"content of {name}"
    given = {"content": content, "source_format": "test", **extra, **facts}
    return Examination(pointer=name, kind=kind, patient=patient, laterality=laterality, day=day, **given)


def vf(name, day=0, **facts):
    return make(name, "vf", day, **facts)


def oct_volume(name, day=0, **facts):
    return make(name, "oct", day, **facts)


def photo(name, day=0, **facts):
    return make(name, "fundus", day, **facts)


def site(**rules):
    sections = {
        "inputs": Inputs, "pairing": PairingRules, "visual_field": FieldRules, "oct": OctRules, "fundus": FundusRules,
        "quality": QualityRules,
    }  # fmt: skip
    return SiteConfig(**{name: sections[name](**settings) for name, settings in rules.items()})


def names(pairing):
    return [
        tuple(None if each is None else each.name for each in (found.vf, found.oct, found.fundus))
        for found in pairing.pairs
    ]


def test_the_nearest_image_of_the_same_patient_and_eye():
    pairing = pair(
        [
            vf("v"),
            oct_volume("far", 20),
            oct_volume("near", -10),
            oct_volume("other eye", 0, laterality="L"),
            oct_volume("other patient", 0, patient="p2"),
            photo("f", 5),
        ],
        SITE,
    )
    assert names(pairing) == [("v", "near", "f")]
    found = pairing.pairs[0]
    assert (found.days_oct_vf, found.days_fundus_vf, found.vf_reliability) == (-10, 5, "reliable")
    assert found.why == {"oct": "nearest of 2", "fundus": "the only one in the window"}
    assert pairing.excluded == {
        "far": "another-image-chosen", "other eye": "no-visual-field", "other patient": "no-visual-field",
    }  # fmt: skip


@pytest.mark.parametrize(("day", "paired"), [(180, True), (-180, True), (181, False), (-181, False)])
def test_the_window_includes_its_ends(day, paired):
    pairing = pair([vf("v"), oct_volume("o", day)], SITE)
    assert bool(pairing.pairs) is paired
    if not paired:
        assert pairing.excluded == {"v": "no-image-in-window", "o": "no-field-in-window"}


def test_among_equally_near_scans_the_one_not_after_the_field():
    pairing = pair([vf("v"), oct_volume("a after", 3, signal=9.0), oct_volume("z before", -3)], SITE)
    assert names(pairing) == [("v", "z before", None)]
    assert pairing.pairs[0].why["oct"] == "not after the visual field, of 2 equally near"


@pytest.mark.parametrize(
    ("better", "worse", "word"),
    [
        ({"region": "macula", "signal": 1.0}, {"region": "disc", "signal": 9.0}, "region preferred by the site file"),
        ({"signal": 8.0, "quality": {"contrast": 0.2}}, {"signal": 7.0, "quality": {"contrast": 0.9}}, "best signal"),
        ({"signal": 8.0}, {"signal": None}, "best signal"),
        ({"quality": {"contrast": 0.5}}, {"quality": {"contrast": 0.4}}, "best measured quality"),
    ],
)
def test_ties_are_broken_in_order(better, worse, word):
    pairing = pair([vf("v"), oct_volume("a", **worse), oct_volume("b", **better)], SITE)
    assert names(pairing) == [("v", "b", None)]
    assert pairing.pairs[0].why["oct"] == f"{word}, of 2 equally near"


def test_the_name_decides_in_the_end():
    pairing = pair([vf("v"), photo("b"), photo("a")], SITE)
    assert names(pairing) == [("v", None, "a")]
    assert pairing.pairs[0].why["fundus"] == "first by name, of 2 equally near"


def test_an_image_serves_the_nearest_field_only():
    members = [vf("v1", 0), vf("v2", 50), oct_volume("o", 40), oct_volume("p", -60)]
    pairing = pair(members, SITE)
    assert names(pairing) == [("v1", "p", None), ("v2", "o", None)]
    assert pairing.pairs[0].why["oct"] == "best of 1 that serve no nearer visual field"
    shared = pair(members, site(pairing={"one_field_per_scan": False}))
    assert names(shared) == [("v1", "o", None), ("v2", "o", None)]


def test_a_field_left_without_images_is_told():
    pairing = pair([vf("v1"), vf("v2", 1), oct_volume("o")], SITE)
    assert pairing.excluded == {"v2": "images-serve-nearer-fields"}


def test_required_images():
    members = [vf("v1"), vf("v2", 30), oct_volume("o"), photo("f", 30)]
    assert names(pair(members, SITE)) == [("v1", "o", None), ("v2", None, "f")]
    both = pair(members, site(inputs={"required": ("oct", "fundus")}))
    # One of the two gives way, so that the other has both.
    assert len(both.pairs) == 1
    assert None not in names(both)[0]
    lacking = pair([vf("v"), oct_volume("o")], site(inputs={"required": ("oct", "fundus")}))
    assert lacking.excluded == {"v": "required-image-missing", "o": "field-not-used"}


def test_only_wanted_kinds():
    pairing = pair([vf("v"), oct_volume("o"), photo("f")], site(inputs={"wanted": ("oct",)}))
    assert names(pairing) == [("v", "o", None)]
    assert pairing.excluded == {"f": "input-not-wanted"}


@pytest.mark.parametrize(("per_eye", "kept"), [("latest", "v3"), ("first", "v1"), ("all", None)])
def test_fields_of_an_eye(per_eye, kept):
    members = [vf(f"v{n}", 300 * n) for n in (1, 2, 3)] + [oct_volume(f"o{n}", 300 * n) for n in (1, 2, 3)]
    pairing = pair([*members, vf("v4", 3000)], site(pairing={"per_eye": per_eye}))
    if kept is None:
        assert len(pairing.pairs) == 3
    else:
        assert [found.vf.name for found in pairing.pairs] == [kept]
        assert pairing.excluded["v2"] == "another-field-chosen"
        assert pairing.excluded["o2"] == "field-not-used"
    assert pairing.excluded["v4"] == "no-image-in-window"


def test_of_two_fields_of_one_day_the_reliable_is_kept():
    members = [vf("a", fixation_losses=0.9), vf("b"), oct_volume("o")]
    assert names(pair(members, site(pairing={"per_eye": "latest"}))) == [("b", "o", None)]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"md": None}, "md-missing"),
        ({"md": float("nan")}, "md-missing"),
        ({"md": 6.5}, "md-out-of-range"),
        ({"pattern": "10-2"}, "pattern-not-accepted"),
        ({"pattern": None}, "pattern-not-accepted"),
        ({"strategy": "sita-swap"}, "strategy-excluded"),
        ({"false_positives": 0.16}, "false-positives-high"),
        ({"false_negatives": 0.34}, "false-negatives-high"),
        ({"false_positives": 0.15, "false_negatives": 0.33}, None),
        ({"pattern": "24-2C", "strategy": "sita-faster"}, None),
    ],
)
def test_limits_of_visual_fields(facts, reason):
    pairing = pair([vf("v", **facts), oct_volume("o")], SITE)
    assert pairing.excluded.get("v") == reason


@pytest.mark.parametrize(
    ("facts", "tag", "strict_reason"),
    [
        ({}, "reliable", None),
        ({"fixation_losses": 0.34}, "fixation-losses-high", "fixation-losses-high"),
        ({"false_positives": None}, "unknown", "reliability-unknown"),
        ({"false_negatives": None, "fixation_losses": None}, "unknown", "reliability-unknown"),
        ({"fixation_losses": None}, "reliable", None),
    ],
)
def test_reliability_is_told_or_asked_for(facts, tag, strict_reason):
    members = [vf("v", **facts), oct_volume("o")]
    assert pair(members, SITE).pairs[0].vf_reliability == tag
    assert pair(members, site(visual_field={"strict": True})).excluded.get("v") == strict_reason


def test_the_same_pixels_under_several_patients_are_not_used():
    pairing = pair(
        [
            vf("v"),
            oct_volume("a", content="x"),
            oct_volume("b", content="x", patient="p2"),
            oct_volume("c", content="x"),
        ],
        SITE,
    )
    reason = "identical-content-across-patients"
    assert pairing.excluded == {"a": reason, "b": reason, "c": reason, "v": "no-image"}


def test_the_same_pixels_under_both_eyes_are_not_used():
    pairing = pair([vf("v"), photo("a", content="x"), photo("b", content="x", laterality="L")], SITE)
    assert pairing.excluded == {
        "a": "identical-content-both-eyes", "b": "identical-content-both-eyes", "v": "no-image",
    }  # fmt: skip


def test_copies_are_merged_into_the_earliest():
    pairing = pair([vf("v"), vf("w"), oct_volume("b", 5, content="x"), oct_volume("a", 9, content="x")], SITE)
    assert names(pairing) == [("v", "b", None)]
    assert pairing.merged == {"a": "b", "w": "v"}
    assert pairing.excluded == {"a": "same-content", "w": "same-content"}


def test_a_blank_image_is_told_as_blank_and_not_as_a_copy_of_other_blanks():
    blank = {"content": "blank", "quality": {"blank_slices": 1.0}}
    pairing = pair([oct_volume("a", **blank), oct_volume("b", patient="p2", **blank)], SITE)
    assert set(pairing.excluded.values()) == {"slices-blank"}


def test_names_must_differ():
    with pytest.raises(ValueError, match="expected 2 different names, got 1"):
        pair([vf("v"), oct_volume("v")], SITE)


def test_nothing_gives_nothing():
    assert pair([], SITE).pairs == ()


def test_every_reason_has_words_and_a_fix():
    assert set(REASONS) == set(FIXES)
    assert set(REASONS) >= MERGED
    assert "same-content" in HARMLESS
    assert "identical-content-across-patients" not in HARMLESS


@st.composite
def cohorts(draw):
    members = []
    for number in range(draw(st.integers(0, 9))):
        facts = {
            "patient": draw(st.sampled_from(["p1", "p2"])),
            "laterality": draw(st.sampled_from("RRL")),
        }
        kind = draw(st.sampled_from(["vf", "oct", "fundus"]))
        day = draw(st.integers(0, 8)) * 30
        if kind == "vf":
            facts |= {
                "md": draw(st.sampled_from([-3.0, -12.0, 9.0])),
                "false_positives": draw(st.sampled_from([None, 0.1, 0.1, 0.5])),
                "pattern": draw(st.sampled_from(["24-2", "24-2", "10-2"])),
            }
        else:
            facts |= {
                "content": draw(st.sampled_from(["", "", "", "x", f"own {number}"])),
                "signal": draw(st.sampled_from([None, 5.0, 7.0])),
                "region": draw(st.sampled_from([None, "macula", "disc"])),
            }
        members.append(make(f"e{number}", kind, day, **facts))
    return members


RULES = st.builds(
    lambda window, per_eye, once, required: site(
        pairing={"window_days": window, "per_eye": per_eye, "one_field_per_scan": once}, inputs={"required": required}
    ),
    st.sampled_from([0, 60, 180]),
    st.sampled_from(["all", "latest", "first"]),
    st.booleans(),
    st.sampled_from([(), ("oct",), ("oct", "fundus")]),
)


@settings(max_examples=300)
@given(cohorts(), RULES, st.randoms(use_true_random=False))
def test_what_holds_of_every_pairing(members, rules, random):
    pairing = pair(members, rules)
    used = [each for found in pairing.pairs for each in (found.vf, found.oct, found.fundus) if each is not None]

    assert {each.name for each in used}.isdisjoint(pairing.excluded)
    assert {each.name for each in used} | set(pairing.excluded) == {each.name for each in members}
    assert set(pairing.excluded.values()) <= set(REASONS)
    assert set(pairing.merged) == {name for name, reason in pairing.excluded.items() if reason in MERGED}
    fields = [found.vf.name for found in pairing.pairs]
    assert len(set(fields)) == len(fields)
    if rules.pairing.one_field_per_scan:
        assert len({each.name for each in used}) == len(used)
    if rules.pairing.per_eye != "all":
        eyes = [(found.vf.patient, found.vf.laterality) for found in pairing.pairs]
        assert len(set(eyes)) == len(eyes)
    for found in pairing.pairs:
        for image, days in ((found.oct, found.days_oct_vf), (found.fundus, found.days_fundus_vf)):
            assert (image is None) is (days is None)
            if image is not None:
                assert (image.patient, image.laterality) == (found.vf.patient, found.vf.laterality)
                assert days == image.day - found.vf.day
                assert abs(days) <= rules.pairing.window_days
        present = {kind for kind in ("oct", "fundus") if getattr(found, kind) is not None}
        assert present.issuperset(rules.inputs.required)
        assert present == set(found.why)
        assert present

    random.shuffle(members)
    assert pair(members, rules) == pairing


@settings(max_examples=150)
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from([None, 5.0, 7.0])), max_size=4),
)
def test_against_all_ways_to_pair(field_days, scans):
    """Of all maximal ways to pair, the one whose sorted list of ranks is smallest."""
    window = 5
    fields = [vf(f"v{n}", day, md=-1.0 - n) for n, day in enumerate(field_days)]
    images = [oct_volume(f"o{n}", day, signal=signal) for n, (day, signal) in enumerate(scans)]

    def rank(a, b):
        signal = float("inf") if b.signal is None else -b.signal
        return (abs(a.day - b.day), b.day > a.day, signal, b.name, a.name)

    allowed = {(a.name, b.name): rank(a, b) for a in fields for b in images if abs(a.day - b.day) <= window}
    ways = []
    for count in range(min(len(fields), len(images)) + 1):
        for some in itertools.combinations(fields, count):
            for order in itertools.permutations(images, count):
                way = {(a.name, b.name) for a, b in zip(some, order, strict=True)}
                if way <= set(allowed) and _maximal(way, allowed):
                    ways.append(way)
    best = min(ways, key=lambda way: sorted(allowed[edge] for edge in way))

    pairing = pair([*fields, *images], site(pairing={"window_days": window}))
    assert {(found.vf.name, found.oct.name) for found in pairing.pairs} == best


def _maximal(way, allowed):
    left, right = {a for a, _ in way}, {b for _, b in way}
    return not any(a not in left and b not in right for a, b in allowed)


def test_many_examinations_of_one_eye_take_no_long_time():
    members = [vf(f"v{n}", 30 * n, md=-n / 10) for n in range(60)]
    members += [oct_volume(f"o{n}", 31 * n) for n in range(60)] + [photo(f"f{n}", 29 * n) for n in range(60)]
    pairing = pair(members, site(inputs={"required": ("oct", "fundus")}))
    assert len(pairing.pairs) > 50


def test_examinations_stay_as_they_are():
    members = [vf("v"), oct_volume("o")]
    before = [replace(each) for each in members]
    pair(members, SITE)
    assert members == before
