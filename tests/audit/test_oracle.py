"""What the audit believes of MONAI, JSON, torch and our own bundle, compared with them."""

import ast
import importlib
import inspect
import json
import re
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmd.audit import audit_bundle, refusal
from medmd.audit._config import Configs
from medmd.audit._expressions import GLOBALS, as_monai_reads, problems_of_expression
from medmd.audit._names import _monai_classes, rules
from medmd.audit._nodes import UnreadableError, read_nodes

ROOT = Path(__file__).parents[2]
pieces = st.lists(
    st.sampled_from(["@", "#", "::", "a", "b::c", "'", " ", "+", "%", "(", "f", "{1}", "@a", "@#", "@##b"]), max_size=8
)


def test_our_own_bundle_is_clean():
    audit = audit_bundle(ROOT / "bundles" / "remd")
    assert [(entry.where, entry.text, entry.reason) for entry in audit.entries if entry.verdict != "allowed"] == []
    assert sum(entry.kind == "target" for entry in audit.entries) > 80
    assert sum(entry.kind == "expression" for entry in audit.entries) > 25


def test_every_expression_and_target_of_our_bundle_is_listed():
    for path in sorted((ROOT / "bundles" / "remd").rglob("*.json")):
        text = path.read_text(encoding="utf-8")
        listed = audit_bundle(path).entries
        assert sum(entry.kind == "target" for entry in listed) == text.count('_target_": "'), path
        assert sum(entry.kind == "expression" for entry in listed) == len(
            re.findall(r'(?<=[:\[,] )"\$|(?<=\[)"\$|(?<=^ {4})"\$', text, re.MULTILINE)
        ), path
        lines = text.splitlines()
        for entry in listed:
            assert json.dumps(entry.text, ensure_ascii=False) in lines[entry.line - 1]


@given(place=st.lists(st.sampled_from(["a", "b", "c'", "0", "x y"]), min_size=1, max_size=4), body=pieces)
def test_expressions_are_read_as_monai_reads_them(place, body):
    from monai.bundle import ConfigParser, ReferenceResolver

    class AnyReference(dict):
        def __contains__(self, key):
            return True

    place, text = "::".join(place), "$" + "".join(body)
    try:
        resolved = ConfigParser.resolve_relative_ids(place, text)
    except ValueError:
        return  # MONAI gives up: more levels up than there are.
    expected = ReferenceResolver.update_refs_pattern(resolved, AnyReference())
    assert as_monai_reads(place, text) == expected[1:]


def test_names_in_reach_are_those_of_monai():
    from monai.bundle import config_parser

    assert config_parser._default_globals == GLOBALS


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def rebuilt(node):
    if node.kind == "mapping":
        return {key.text: rebuilt(value) for key, value in node.pairs}
    if node.kind == "list":
        return [rebuilt(item) for item in node.items]
    return node.text if node.kind == "text" else json.loads(node.literal)


@given(value=json_values, indent=st.sampled_from([None, 0, 3]), escaped=st.booleans())
def test_json_is_read_as_python_reads_it(value, indent, escaped):
    try:
        text = json.dumps(value, indent=indent, ensure_ascii=escaped).encode()
    except UnicodeEncodeError:
        return  # half of a pair: no UTF-8
    assert repr(rebuilt(read_nodes("x.json", text))) == repr(json.loads(text))


def test_lines_are_those_of_the_file():
    root = read_nodes("x.json", b'{\n "a": [1,\n  "x"],\n\n "b": {"c":\n null}}')
    (_, a), (_, b) = root.pairs
    assert [a.line, a.items[0].line, a.items[1].line, b.line, b.pairs[0][1].line] == [2, 2, 3, 5, 6]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.json", b"{"), ("x.json", b'{"a": 1,}'), ("x.json", b"\xff\xfe"), ("x.json", b"[" * 100_000),
        ("x.json", b"\xef\xbb\xbf{}"), ("x.json", b"1" * 5000), ("x.json", b"[" + b"0," * (8 << 20) + b"0]"),
        ("x.yaml", b"a: [1"), ("x.yaml", b"a: 1\n---\nb: 2"), ("x.yml", b""), ("x.yaml", b"#" * ((1 << 20) + 1)),
        ("x.yaml", b"[" * 5000), ("x.yaml", b"\x00"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told(tmp_path, name, content):
    with pytest.raises(UnreadableError):
        read_nodes(name, content)
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good.json").write_text('{"a": "$open(1)"}')
    audit = audit_bundle(tmp_path)
    assert [entry.file for entry in audit.unreadable] == [name]
    assert [entry.file for entry in audit.findings] == ["good.json"]
    assert audit.exit_code == 2


def test_listed_functions_and_packages_exist():
    for name in [*rules()["guarded"], *rules()["denied"]]:
        if name.startswith("monai."):
            assert name.rpartition(".")[2] in _monai_classes(), name
    for name in rules()["functions"]:
        module, _, attribute = name.rpartition(".")
        while True:
            try:
                owner = importlib.import_module(module)
                break
            except ModuleNotFoundError:
                module, _, above = module.rpartition(".")
                attribute = f"{above}.{attribute}"
        for part in attribute.split("."):
            assert hasattr(owner, part), name
            owner = getattr(owner, part)


def test_what_is_allowed_by_its_capital_letter_is_of_the_library_itself():
    """In the packages of torch and ignite a capital letter is all that is asked for."""
    foreign = []
    for package in rules()["class_packages"]["torch"] + rules()["class_packages"]["ignite"]:
        module = importlib.import_module(package)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, value in inspect.getmembers(module):
                home = getattr(value, "__module__", None) or ""
                if (
                    callable(value)
                    and name[0].isupper()
                    and refusal(f"{package}.{name}") is None
                    and not home.startswith(("torch", "ignite"))
                ):
                    foreign.append((package, name, home))
    harmless = {
        "typing",
        "collections",
        "collections.abc",
        "enum",
        "functools",
        "numbers",
        "types",
        "builtins",
        "typing_extensions",
        "pathlib",
        "abc",
    }
    assert [entry for entry in foreign if entry[2] not in harmless] == []


RISKY = {"locate", "eval", "exec", "import_module", "instantiate", "_instantiate"}


def risky_calls(node):
    """Calls in the source of a class that run or import what its arguments name, or unpickle."""
    for call in ast.walk(node):
        if not isinstance(call, ast.Call):
            continue
        name = ast.unparse(call.func)
        last = name.rpartition(".")[2]
        is_risky = name in RISKY or name.startswith(("pickle.", "subprocess.", "os.system")) or name == "torch.hub.load"
        if last == "optional_import" and call.args and not isinstance(call.args[0], ast.Constant):
            is_risky = True
        if name in ("torch.load", "np.load", "torch.jit.load"):
            only = {k.arg: ast.unparse(k.value) for k in call.keywords}
            is_risky = (
                only.get("weights_only") != "True" and "allow_pickle" not in only and len(only) + len(call.args) > 1
            )
            is_risky = is_risky or "self.allow_pickle" in only.values()
        if is_risky:
            yield name


def test_classes_of_monai_that_run_what_their_arguments_name_are_denied_or_guarded():
    import monai

    root = Path(monai.__file__).parent
    missed = []
    for package in rules()["class_packages"]["monai"]:
        for path in (root.parent / package.replace(".", "/")).rglob("*.py"):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and list(risky_calls(node)):
                    name = f"{package}.{node.name}"
                    if refusal(name, guarded=False) is None:
                        missed.append((name, list(risky_calls(node))))
    # HyenaMixer's `_instantiate` is of a library of its own and takes objects, no names.
    assert [entry for entry in missed if entry[1] != ["_instantiate"]] == []


def test_names_of_pickles_are_among_those_that_torch_allows():
    from torch._weights_only_unpickler import _get_allowed_globals

    assert set(rules()["pickle_names"]) - set(_get_allowed_globals()) == set()


@pytest.mark.parametrize(
    "name",
    [
        "Compose",
        "UNet",
        "LoadImaged",
        "SupervisedTrainer",
        "DiceCELoss",
        "CacheDataset",
        "StatsHandler",
        "SlidingWindowInferer",
    ],
)
def test_bare_names_are_found_where_monai_finds_them(name):
    from monai.bundle import ComponentLocator

    found = ComponentLocator().get_component_module_name(name)
    assert set([found] if isinstance(found, str) else found) <= set(_monai_classes()[name])
    assert refusal(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a..b",
        "monai.",
        ".UNet",
        "monai.networks.nets.",
        "torch.nn.",
        "torch.nn.relu",
        "UNet.__init__",
        "monai.networks.nets.UNet.forward",
        "os",
        "monai",
        "torch.nn.Évil",
    ],
)
def test_odd_names_are_refused(name):
    assert refusal(name) is not None


# Expressions as public bundles of MONAI's model zoo have them.
USUAL = [
    "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
    "$list(sorted(glob.glob(@dataset_dir + '/imagesTr/*.nii.gz')))",
    "$[{'image': i, 'label': l} for i, l in zip(@images[:-9], @labels[:-9])]",
    "$@network_def.to(@device)",
    "$@bundle_root + '/models/model.pt'",
    "$monai.handlers.from_engine(['pred', 'label'])",
    "$monai.utils.set_determinism(seed=123)",
    "$@train#trainer.run()",
    "$not os.path.exists(@ckpt_path)",
    "$torch.nn.ReLU(inplace=True)",
    "$lambda x: x.shape[-1] > 1",
    "$@optimizer.state_dict()",
    "$1e-4 * 10 ** -2",
    "$os.path.join(@root, f'model_{1}.pt')",
    "$monai.transforms.EnsureTyped(keys='image')",
    "$torch.float32",
    "$dist.get_rank() > 0",
    "$[x for x in (Path(@root) / 'a').parent.stem if x not in {'b': 1}]",
]


@pytest.mark.parametrize("text", USUAL)
def test_usual_expressions_pass(text):
    imported = {"glob": "glob", "os": "os", "dist": "torch.distributed", "Path": "pathlib.Path"}
    assert problems_of_expression(as_monai_reads("x", text), imported) == []


def test_attributes_of_modules_in_reach_are_harmless():
    """A module may be handed on by an import that is referred to: its functions of these names must be no danger."""
    for name in rules()["imports"]:
        module = importlib.import_module(name)
        callables = {attribute for attribute in rules()["attributes"] if callable(getattr(module, attribute, None))}
        values = [getattr(module, attribute, None) for attribute in rules()["attributes"]]
        roots = {value.__name__.split(".")[0] for value in values if inspect.ismodule(value)}
        assert roots <= {"torch", "monai", "numpy", "medmd", "ignite"}, name
        if name.split(".")[0] not in ("torch", "numpy", "monai", "medmd", "ignite"):
            assert callables <= {"exists", "join", "split"}, name  # They only tell.


def test_configurations_laid_over_one_another_share_their_imports():
    files = {
        "a.json": read_nodes("a.json", b'{"imports": ["$import glob"]}'),
        "b.json": read_nodes("b.json", b'{"x": "$glob.glob(\'*\')"}'),
    }
    assert [entry.verdict for entry in Configs(files).entries()] == ["allowed", "allowed"]


def test_macros_to_audited_files_pass():
    files = {
        "configs/a.json": read_nodes("a.json", b'{"x": "%b.json#net", "y": "%#x", "z": "%configs/b.json"}'),
        "configs/b.json": read_nodes("b.json", b'{"net": {"_target_": "UNet"}}'),
    }
    assert {entry.verdict for entry in Configs(files).entries()} == {"allowed"}


def test_a_space_in_front_is_a_text_for_monai_and_is_told(tmp_path):
    from monai.bundle import ConfigExpression

    assert not ConfigExpression.is_expression(" $open(1)")
    (tmp_path / "x.json").write_text('{"a": " $open(1)"}')
    audit = audit_bundle(tmp_path)
    assert [entry.verdict for entry in audit.entries] == ["note"]
    assert audit.exit_code == 0
