"""The import arrows of the design, and what no module may do, read from the sources."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 500
# Which folders of medmd a folder may import, itself and utils aside. What is not listed sits on top of all.
ARROWS = {
    "utils": set(),
    "data": set(),
    "io": set(),
    "transforms": set(),
    "networks": set(),
    "losses": set(),
    "metrics": set(),
    "balancing": set(),
    "engines": {"balancing", "losses", "networks", "metrics"},
    "handlers": {"balancing", "engines"},
}
MAY_PRINT = ("medmd/cli.py", "medmd/commands/", "data_prep/", "benchmarks/")
TOP = {"medmd", "data_prep", "benchmarks"}


def _sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(tree: ast.AST) -> set[str]:
    """Every module that is imported anywhere in the file, also inside functions."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _top_level_imports(tree: ast.Module, known: set[str]) -> set[str]:
    """The modules among `known` that are loaded when the file is; annotations' imports and functions do not load."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in known}
        elif isinstance(node, ast.ImportFrom):
            modules = {f"{node.module}.{alias.name}" for alias in node.names} & known
            found |= modules or ({node.module} & known)
    return found


def _folder(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "medmd" and len(parts) > 1 else None


def _trees(*folders: str) -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in _sources(*folders)}


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    return [(_dotted(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def forbidden_calls(tree: ast.AST, *, may_print: bool) -> list[str]:
    """Calls that load code from files, or print where a library must not."""
    found = []
    for name, call in _calls(tree):
        weights_only = any(
            keyword.arg == "weights_only" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
            for keyword in call.keywords
        )
        if name == "torch.load" and not weights_only:
            found.append(f"line {call.lineno}: torch.load without weights_only=True")
        if name in ("yaml.load", "yaml.unsafe_load", "eval", "exec", "joblib.load"):
            found.append(f"line {call.lineno}: {name}")
        if name == "np.load" and any(keyword.arg == "allow_pickle" for keyword in call.keywords):
            found.append(f"line {call.lineno}: np.load with allow_pickle")
        if name == "print" and not may_print:
            found.append(f"line {call.lineno}: print")
    modules = {module.split(".")[0] for module in _imports(tree)}
    return found + [f"imports {name}" for name in ("pickle", "dill", "cloudpickle", "marshal") if name in modules]


def crossings(trees: dict[Path, ast.Module]) -> list[str]:
    """Imports against the arrows."""
    found = []
    for path, tree in trees.items():
        here = _folder(_name(path))
        if here in ARROWS:
            there = {folder for module in _imports(tree) if (folder := _folder(module))}
            bad = there & _folders() - ARROWS[here] - {here, "utils"}
            found += [f"{_name(path)} imports medmd.{folder}" for folder in sorted(bad)]
    return found


def _folders() -> set[str]:
    return {path.name for path in (ROOT / "medmd").iterdir() if path.is_dir()} | {"cli"}


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Circles of a directed graph, each found once per back edge."""
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(node: str, way: list[str]) -> None:
        if node in way:
            found.append([*way[way.index(node) :], node])
        elif node not in done:
            for other in sorted(graph.get(node, ())):
                visit(other, [*way, node])
            done.add(node)

    for node in sorted(graph):
        visit(node, [])
    return found


def test_the_arrows_of_import_are_obeyed():
    assert crossings(_trees("medmd")) == []


def test_medmd_never_imports_what_uses_it():
    for path, tree in _trees("medmd").items():
        top = {module.split(".")[0] for module in _imports(tree)}
        assert not top & {"data_prep", "benchmarks", "tests"}, _name(path)


def test_data_prep_uses_readers_and_datalists_only():
    # metrics: the score of a challenge is part of its converter. transforms: the circle that a converter masks
    # photographs with, and measures them in, is the one that training fits.
    allowed = {"data", "io", "metrics", "transforms", "utils", "_version", "__version__"}
    for path, tree in _trees("data_prep").items():
        there = {folder for module in _imports(tree) if (folder := _folder(module))}
        assert there <= allowed, f"{_name(path)} imports {there - allowed}"


def test_no_module_is_in_a_circle_of_imports():
    trees = _trees(*TOP)
    known = {_name(path) for path in trees}
    graph = {}
    for path, tree in trees.items():
        graph[_name(path)] = _top_level_imports(tree, known) - {_name(path)}

    assert cycles(graph) == []


def test_no_source_loads_code_from_files_or_prints():
    bad = {}
    for path, tree in _trees(*TOP).items():
        relative = path.relative_to(ROOT).as_posix()
        found = forbidden_calls(tree, may_print=relative.startswith(MAY_PRINT))
        if found:
            bad[relative] = found

    assert bad == {}


def test_no_source_is_too_long():
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in _sources(*TOP)}

    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_names_of_other_folders_private_modules_are_not_used():
    bad = []
    for path, tree in _trees(*TOP).items():
        here = _name(path).split(".")
        if here[0] == "benchmarks":
            continue  # They time inner parts.
        for module in _imports(tree):
            parts = module.split(".")
            private = [place for place, part in enumerate(parts) if part.startswith("_") and not part.startswith("__")]
            # `a.b._c` belongs to `a.b` and to what lies below it.
            if parts[0] in TOP and private and parts[: private[0]] != here[: private[0]]:
                bad.append(f"{_name(path)} imports {module}")

    assert [line for line in bad if "_version" not in line] == []


@pytest.mark.parametrize(
    "code",
    [
        "import torch\ntorch.load('x')",
        "import torch\ntorch.load('x', weights_only=False)",
        "import pickle",
        "from pickle import loads",
        "import yaml\nyaml.load('x')",
        "eval('1')",
        "print(1)",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
    ],
)
def test_the_rules_catch_what_they_forbid(code):
    assert forbidden_calls(ast.parse(code), may_print=False)


def test_the_rules_allow_what_is_right():
    code = "import torch, json\ntorch.load('x', weights_only=True)\njson.load(f)\nmodel.eval()"

    assert forbidden_calls(ast.parse(code), may_print=False) == []
    assert forbidden_calls(ast.parse("print(1)"), may_print=True) == []


def test_crossings_and_circles_are_found():
    wrong = {ROOT / "medmd/data/_x.py": ast.parse("def f():\n    from medmd.losses import SmapeR2Loss")}

    assert crossings(wrong) == ["medmd.data._x imports medmd.losses"]
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c", "a"]]
    assert cycles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
