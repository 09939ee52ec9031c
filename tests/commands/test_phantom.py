"""`medmd phantom` writes a cohort and prints its ceilings."""

import argparse

import pytest

from medmd.commands import phantom
from medmd.data import load_datalist
from medmd.data.phantom import PhantomCohort


def parse(*words):
    parser = argparse.ArgumentParser()
    phantom.add_arguments(parser)
    return parser.parse_args(words)


def test_arguments_reach_the_cohort(tmp_path, capsys):
    words = ["--eyes", "8", "--seed", "4", "--information", "oct=0.5", "--tail", "0.5", "--missing", "fundus=0.3"]
    args = parse(str(tmp_path / "p"), *words, "--workers", "1", "--both-eyes", "0")
    assert phantom.run(args) == 0
    datalist = load_datalist(tmp_path / "p" / "datalist.json")
    cohort = PhantomCohort(8, 4, information={"oct": 0.5}, tail=0.5, missing={"fundus": 0.3}, both_eyes=0.0)
    assert datalist.header.reference["arguments"] == cohort.arguments
    out = capsys.readouterr().out
    assert "8 eyes of 8 patients" in out
    assert f"{cohort.ceilings('testing')['label_noise']['mae']:.2f}" in out


def test_defaults_are_those_of_the_cohort():
    args = parse("x")
    assert PhantomCohort(args.eyes, args.seed, tail=args.tail, both_eyes=args.both_eyes).arguments == (
        PhantomCohort().arguments
    )


@pytest.mark.parametrize("word", ["oct", "oct=high", "0.5"])
def test_a_share_without_name_or_number_is_refused(word, capsys):
    with pytest.raises(SystemExit):
        parse("x", "--missing", word)
    assert "NAME=SHARE" in capsys.readouterr().err


def test_one_eye_prints_a_dash_for_r2(tmp_path, capsys):
    args = parse(str(tmp_path / "p"), "--eyes", "3", "--seed", "1", "--workers", "1")
    assert phantom.run(args) == 0
    assert "-" in capsys.readouterr().out
