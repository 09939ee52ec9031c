import ast

import pytest


@pytest.mark.parametrize(
    "text",
    [
        "$1 + 1", "$@a * 2 if @a else [x for x in range(3)]", "$lambda e, *rest: (e, rest)", "$import os",
        "$from pathlib import Path as P", "$P('x') / os.sep", "$torch.zeros(1) + np.ones(1)", "$monai.__version__",
        "$[y := 3, y][0]", "$f'{@a}'", "$sum(i * j for i, j in zip([1], [2]))", "$@a['k'] + @l#0", "$'@ not'",
    ],
)  # fmt: skip
def test_sound_expressions_are_no_finding(check, text):
    config = {
        "run": ["$@imports and 0", text],
        "a": {"k": 1},
        "l": [1],
        "imports": ["$import os", "$from pathlib import Path as P"],
    }
    kinds = {finding.kind for finding in check(config).errors}
    assert "expression" not in kinds


@pytest.mark.parametrize(
    "text", ["$1 +", "$x = 1", "$", "$ 1 + 1", "$(@a", "$for i in x: pass", "$a\0b", "$" + "(" * 300]
)
def test_what_is_no_python_is_found(check, text):
    (finding,) = [finding for finding in check({"run": [text], "a": 1}).errors if "expression" in finding.what]
    assert finding.kind == "expression"
    assert finding.path == ("run", "0")
    python = text[1:].replace("@a", "a")
    with pytest.raises((SyntaxError, ValueError, MemoryError)):
        compile(python if not python.startswith(" ") else ast.parse(python), "x", "eval")


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("$moani.x", "did you mean monai?"),
        ("$rate * 2", "did you mean @rate?"),
        ("$pathlib.Path('x')", 'write "$import pathlib" into imports'),
    ],
)
def test_names_without_a_meaning_are_found(check, text, fix):
    (finding,) = [f for f in check({"run": ["@rate", text], "rate": 1}).errors if f.kind == "expression"]
    assert fix in finding.fix


def test_nothing_is_evaluated(check, tmp_path):
    mark = tmp_path / "mark"
    touch = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    check({
        "run": [f"${touch}"],
        "imports": [f"$exec({touch!r})"],
        "a": {"_target_": "os.system", "command": f"touch {mark}"},
        "b": {"_target_": f"${touch}"},
        "c": {"_target_": "antigravity"},
    })  # fmt: skip
    assert not mark.exists()
    import sys

    assert "antigravity" not in sys.modules
