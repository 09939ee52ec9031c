import fire
import pytest

from medmd.workflows.check_config import split_words


@pytest.mark.parametrize(
    "words",
    [
        ["--train_epochs", "5", "--lr=0.1", "--name", "eight"],
        ["--train#trainer#max_epochs", "2", "--a::b", "x y"],
        ["--sizes", "[1, 2]", "--more", "1,2,3", "--map", "{'n': 24}"],
        ["--debug", "--track", "False"],
        ["--resume"],
        ["--nothing", "--notrack"],
        ["--offset", "-3", "--scale", "-1e-3"],
        ["--batch-size", "4", "-x", "3"],
        ["--text", "'5'", "--empty", ""],
        ["--stages", "['train']", "--patience", "None"],
    ],
)
def test_overrides_are_read_as_fire_reads_them(words):
    def run(**given):
        return repr(given)

    expected = fire.Fire(run, command=words, serialize=lambda _: "")
    assert split_words(["a.json", *words]) == (["a.json"], eval(expected))  # noqa: S307 - written by repr above


@pytest.mark.parametrize(
    "words",
    [
        ["a.json", "b.json"],
        ["['a.json','b.json']"],
        ["('a.json', 'b.json')"],
        ["a.json,b.json"],
        ["--config_file", "['a.json','b.json']"],
        ["--config_file=a.json,b.json"],
        ["--config_file", "a.json", "b.json"],
    ],
)
def test_files_are_read_in_every_spelling_that_monai_takes(words):
    assert split_words([*words, "--x", "1"]) == (["a.json", "b.json"], {"x": 1})


def test_a_file_whose_name_has_a_comma_is_one_file(tmp_path):
    path = tmp_path / "a,b.json"
    path.touch()
    assert split_words([str(path)]) == ([str(path)], {})
    assert split_words([]) == ([], {})
