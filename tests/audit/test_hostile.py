"""Samples of hostile bundles: each is found, and nothing of it runs."""

import json
import os
import subprocess
import sys
import textwrap
import zipfile

import pytest

from medmd.audit import audit_bundle

# By name: entries of a configuration, and a piece of the reason that must be told.
CONFIGS = {
    "target": ({"x": {"_target_": "os.system", "command": "touch proof"}}, "not in the list"),
    "popen": ({"x": {"_target_": "subprocess.Popen", "args": ["ls"]}}, "not in the list"),
    "builtin": ({"x": {"_target_": "builtins.eval"}}, "not in the list"),
    "bare builtin": ({"x": {"_target_": "eval", "source": "1"}}, "not in the list"),
    "partial": ({"x": {"_target_": "functools.partial", "func": "@y"}}, "not in the list"),
    "through monai": ({"x": {"_target_": "monai.transforms.utils.os.system", "command": "ls"}}, "not in the list"),
    "through torch": ({"x": {"_target_": "torch.nn.modules.module.sys.exit"}}, "not in the list"),
    "through a class": ({"x": {"_target_": "monai.networks.nets.unet.subprocess.Popen"}}, "not in the list"),
    "globals": ({"x": {"_target_": "monai.transforms.Compose.__init__.__globals__"}}, "not in the list"),
    "hub": ({"x": {"_target_": "torch.hub.load", "repo": "a/b"}}, "not in the list"),
    "torch.load": ({"x": {"_target_": "torch.load", "f": "x"}}, "not in the list"),
    "scripts": ({"x": {"_target_": "scripts.evil.Net"}}, "not in the list"),
    "another bundle": ({"x": {"_target_": "monai.bundle.run", "config_file": "x"}}, "not in the list"),
    "bundle script": ({"x": {"_target_": "monai.bundle.scripts.download"}}, "not in the list"),
    "unknown class": ({"x": {"_target_": "EvilTransformd"}}, "not in the list"),
    "our writer": ({"x": {"_target_": "medmd.utils.write_atomic", "path": "x", "content": "y"}}, "not in the list"),
    "pickled cache": ({"x": {"_target_": "PersistentDataset", "cache_dir": "x"}}, "cache of pickles"),
    "alias of a class": ({"x": {"_target_": "TorchVisionD", "name": "x"}}, "another package"),
    "sends data": ({"x": {"_target_": "MLFlowHandler", "tracking_uri": "http://x"}}, "sends"),
    "perceptual": ({"x": {"_target_": "PerceptualLoss"}}, "torch.hub"),
    "reader": ({"x": {"_target_": "LoadImaged", "keys": "a", "reader": "os.system"}}, "expected one of"),
    "reader list": ({"x": {"_target_": "LoadImaged", "reader": ["PILReader", "os.system"]}}, "expected one of"),
    "reader referred": ({"x": {"_target_": "LoadImaged", "reader": "@bundle_root"}}, "expected one of"),
    "reader overlay": ({"pre#transforms#0#reader": "evil.Reader"}, "expected one of"),
    "reader later": ({"x": {"_target_": "LoadImaged", "_mode_": "callable"}}, "arguments come from elsewhere"),
    "mode overlay": ({"pre#transforms#0#_mode_": "callable"}, "arguments come from elsewhere"),
    "unpickling": ({"x": {"_target_": "NumpyReader", "allow_pickle": True}}, "expected one of"),
    "unpickling as 1": ({"x": {"_target_": "NumpyReader", "allow_pickle": 1}}, "expected one of"),
    "debugger": ({"x": {"_target_": "Compose", "_mode_": "debug"}}, "expected one of"),
    "breakpoint": ({"x": {"_target_": "Compose", "_debug_": True}}, "expected one of"),
    "nested in lists": ({"x": [[{"y": [{"_target_": "os.system"}]}]]}, "not in the list"),
    "disabled": ({"x": {"_target_": "os.system", "_disabled_": True}}, "not in the list"),
    "disabled by code": ({"x": {"_target_": "Compose", "_disabled_": "$open('proof', 'w')"}}, "uses open"),
    "required": ({"x": {"_target_": "Compose", "_requires_": "$open('proof', 'w')"}}, "uses open"),
    "overlay key": ({"network#_target_": "os.system"}, "not in the list"),
    "overlay key, new": ({"network::_target_": "os.system"}, "not in the list"),
    "merging key": ({"+network": {"_target_": "os.system"}}, "not in the list"),
    "merging a target": ({"+network#_target_": "os.system"}, "not in the list"),
    "target by reference": ({"n": "os.system", "x": {"_target_": "@n"}}, "decided while it runs"),
    "target by macro": ({"n": "os.system", "x": {"_target_": "%n"}}, "decided while it runs"),
    "target by expression": ({"x": {"_target_": "$'os' + '.system'"}}, "decided while it runs"),
    "target by method": ({"x": {"_target_": "$@network.name"}}, "decided while it runs"),
    "target no text": ({"x": {"_target_": ["os.system"]}}, "decided while it runs"),
    "full width": ({"x": {"_target_": "ｏs.system"}}, "not in the list"),
    "macro to a file": ({"x": "%/tmp/evil.json#net"}, "not among those"),
    "macro upwards": ({"x": "%../evil.YAML::net"}, "not among those"),
    "import": ({"imports": ["$import subprocess"]}, "imports subprocess"),
    "import from": ({"imports": ["$from os import system as list_files"]}, "imports os.system"),
    "import of scripts": ({"imports": ["$from scripts.evil import Net"]}, "imports scripts.evil.Net"),
    "import in the middle": ({"x": {"y": ["$import ctypes"]}}, "imports ctypes"),
    "import with two meanings": ({"imports": ["$import os as p", "$import glob as p"]}, "two meanings"),
    "import of torch as another": ({"imports": ["$import os as torch"]}, "two meanings"),
    "open": ({"x": "$open('proof', 'w').write('x')"}, "uses open"),
    "dunder import": ({"x": "$__import__('os').system('touch proof')"}, "uses __import__"),
    "exec": ({"x": "$exec('import os')"}, "uses exec"),
    "compile": ({"x": "$compile('1', '', 'eval')"}, "uses compile"),
    "getattr": ({"x": "$getattr(torch, 'lo' + 'ad')('x')"}, "uses getattr"),
    "globals()": ({"x": "$globals()['torch']"}, "uses globals"),
    "class walk": ({"x": "$().__class__.__bases__[0].__subclasses__()"}, ".__class__"),
    "frames": ({"x": "$(y for y in ()).gi_frame.f_builtins['open']"}, ".gi_frame"),
    "format": ({"x": "$'{0.__class__}'.format(1)"}, ".format"),
    "os.system": ({"x": "$os.system('touch proof')"}, "uses os.system"),
    "os.remove": ({"x": "$os.remove('x')"}, "uses os.remove"),
    "module in a list": ({"x": "$[os][0].system('x')"}, "hands on the module os"),
    "module through monai": ({"x": "$monai.utils.misc.os.system('x')"}, "uses monai.utils.misc.os.system"),
    "torch.load in code": ({"x": "$torch.load('x', weights_only=False)"}, "torch.load"),
    "torch.load weights_only": ({"x": "$torch.load('x')"}, "uses torch.load"),
    "numpy load": ({"x": "$np.load('x.npy', allow_pickle=True)"}, "uses numpy.load"),
    "method of a reference": ({"x": "$@network.register_forward_hook(print)"}, ".register_forward_hook"),
    "write by a path": ({"x": "$(@folder / 'x').open('w')"}, "attribute .open"),
    "import by reference": ({"x": "$@imports#1.system('ls')"}, "attribute .system"),
    "loader in code": ({"x": "$monai.transforms.LoadImaged('a', 'os.system')"}, "reader that a text names"),
    "loader handed on": ({"x": "$list(map(monai.transforms.LoadImage, ['os.system']))"}, "reader that a text names"),
    "keywords unseen": ({"x": "$torch.tensor(**@y)"}, "not written out"),
    "keyword": ({"x": "$@z(1, allow_pickle=True)"}, "allow_pickle"),
    "lambda": ({"x": "$lambda a: os.system(a)"}, "uses os.system"),
    "comprehension": ({"x": "$[eval(y) for y in @names]"}, "uses eval"),
    "new meaning": ({"x": "$([0 for open in ()], open('proof', 'w'))"}, "another meaning"),
    "walrus": ({"x": "$(y := 1)"}, "uses NamedExpr"),
    "huge power": ({"x": "$9 ** 9 ** 9"}, "power"),
    "name like a letter": ({"x": "$ｏｐｅｎ('proof', 'w')"}, "uses open"),
    "joined": ({"x": "$__builtins__['ev' 'al']('1')"}, "uses __builtins__"),
    "f-string": ({"x": "$f\"{open('proof', 'w')}\""}, "uses open"),
    # MONAI replaces @f by __local_refs['f'] inside of the quotes, which ends the text and begins an f-string.
    "text that becomes code": ({"f": 1, "x": "$'@f{open(\"proof\")}'"}, "uses open"),
    # And it puts the keys above in the place of @#.
    "key that becomes code": ({"and' + open('proof": {"b": "$'@#c')"}}, "uses open"),
    "not Python": ({"x": "$rm -rf /"}, "no expression"),
    "two statements": ({"x": "$1; import os"}, "no expression"),
    "deep": ({"x": "$" + "[" * 300 + "1" + "]" * 300}, "no expression"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_hostile_configurations_are_found(bundle, tmp_path, monkeypatch, name):
    entries, words = CONFIGS[name]
    folder = bundle(**entries)
    monkeypatch.chdir(tmp_path)
    audit = audit_bundle(folder)
    assert audit.exit_code == 1
    assert any(words in entry.reason for entry in audit.findings), audit.findings
    assert all(entry.line > 0 for entry in audit.findings)
    assert not (tmp_path / "proof").exists()


def test_the_clean_bundle_is_clean(bundle):
    audit = audit_bundle(bundle())
    assert audit.findings == []
    assert audit.exit_code == 0
    kinds = {entry.where: entry.kind for entry in audit.entries}
    assert kinds["imports#0"] == "import"
    assert kinds["network#_target_"] == kinds["pre#transforms#0#_target_"] == "target"
    assert kinds["device"] == kinds["handlers#0#output_transform"] == "expression"
    assert len(audit.entries) == 14


def test_an_overlay_that_changes_how_something_is_called_is_found(bundle):
    folder = bundle()
    (folder / "overlay.json").write_text('{"pre#transforms#0#_mode_": "callable"}')
    found = {entry.file: entry.reason for entry in audit_bundle(folder).findings}
    assert "stands elsewhere" in found["overlay.json"]
    assert "arguments come from elsewhere" in found["configs/train.json"]


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ('{"\\u005ftarget\\u005f": "\\u006fs.system"}', "_target_", "not in the list"),
        ('{"a": "\\u0024open(1)"}', "a", "uses open"),
        ('{"a": "$1", "a": "$open(1)"}', "a", "uses open"),
        ('{"a": "$open(1)", "a": "$1"}', "a", "uses open"),
    ],
)
def test_json_that_hides_something(tmp_path, text, where, words):
    (tmp_path / "x.JSON").write_text(text)
    audit = audit_bundle(tmp_path)
    assert [(entry.where, words in entry.reason) for entry in audit.findings] == [(where, True)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: !!python/object/apply:os.system ['ls']", "Python object"),
        ("a: !!python/name:os.system", "Python object"),
        ("n: &n os.system\na: {_target_: *n}", "not in the list"),
        ("b: &b {_target_: os.system}\na: {<<: *b, x: 1}", "not in the list"),
        ("a: !!str $open('x')", "uses open"),
        ("a: >\n  $open('x')", "uses open"),
        ('a: "\\x24open(1)"', "uses open"),
        ("a: &a [*a, $open(1)]", "uses open"),
        ("a:\n  b: &b $@##x\nc:\n  d:\n    e: *b", "mean something else"),
        ("m: &m {_mode_: callable}\na: {_target_: LoadImaged, <<: *m}", "stands elsewhere"),
        ("a: {_target_: LoadImaged, <<: {_mode_: callable}}", "come from elsewhere"),
    ],
)
def test_yaml_that_hides_something(tmp_path, text, words):
    (tmp_path / "x.yaml").write_text(text)
    audit = audit_bundle(tmp_path)
    assert any(words in entry.reason for entry in audit.findings), audit.entries


def test_a_laughing_yaml_is_read_in_no_time(tmp_path):
    lines = ["a0: &a0 [$open(1)]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    (tmp_path / "x.yaml").write_text("\n".join(lines))
    audit = audit_bundle(tmp_path / "x.yaml")
    assert len(audit.findings) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class=eval\nargs=('1',)", "list of classes"),
        ("class=logging.handlers.HTTPHandler\nargs=('host', '/')", "list of classes"),
        ("class=StreamHandler\nargs=(__import__('os').system('ls'),)", "evaluated"),
        ("class=StreamHandler\nargs=(sys.stdout.write('x'),)", "evaluated"),
        ("class=FileHandler\nargs=(open('x'),)", "evaluated"),
        ("class=StreamHandler\nargs=(sys.stdout,)\nkwargs={'x': exit()}", "evaluated"),
        ("x=exit()\nclass=StreamHandler\nargs=(%(x)s,)", "evaluated"),
        ("class=StreamHandler\nargs=(%(unknown)s,)", "evaluated"),
    ],
)
def test_a_hostile_logging_configuration_is_found(bundle, text, words):
    folder = bundle()
    (folder / "configs" / "logging.conf").write_text(f"[handlers]\nkeys=x\n[handler_x]\n{text}\n")
    audit = audit_bundle(folder)
    assert [words in entry.reason for entry in audit.findings] == [True]
    assert audit.findings[0].where.startswith("handler_x#")


def test_programs_are_listed(bundle):
    folder = bundle()
    for name in ("scripts/__init__.py", "scripts/net.PY", "glob.pyc", "run.sh", "x.so", "notes.ipynb"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("print()")
    audit = audit_bundle(folder)
    assert [entry.kind for entry in audit.findings] == ["code"] * 6


def test_links_and_pipes_are_findings_and_not_followed(bundle, tmp_path):
    folder = bundle()
    (tmp_path / "secret.json").write_text('{"a": "$open(1)"}')
    (folder / "x.json").symlink_to(tmp_path / "secret.json")
    (folder / "more").symlink_to(tmp_path)
    os.mkfifo(folder / "y.json")
    found = {entry.file: entry.reason for entry in audit_bundle(folder).findings}
    assert set(found) == {"x.json", "more", "y.json"}
    assert "pipe" in found["y.json"]


def pack(folder, path, more=(), compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent))
        for name, content in more:
            archive.writestr(name, content)
    return path


def test_a_zip_is_audited_as_its_folder_without_being_unpacked(bundle, tmp_path):
    folder = bundle(x={"_target_": "os.system"})
    packed = pack(folder, tmp_path / "b.zip")
    before = sorted(tmp_path.rglob("*"))
    inside = [(e.file, e.where, e.verdict, e.line) for e in audit_bundle(packed).entries]
    assert inside == [(f"bundle/{e.file}", e.where, e.verdict, e.line) for e in audit_bundle(folder).entries]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../evil.py", "leads out"), ("/etc/cron.d/x", "leads out"), ("a/../../b", "leads out"), ("~/x", "leads out"),
        ("C:/x", "leads out"), ("a\\..\\b", "leads out"),
    ],
)  # fmt: skip
def test_names_that_lead_out_of_a_zip_are_found(bundle, tmp_path, name, words):
    audit = audit_bundle(pack(bundle(), tmp_path / "b.zip", [(name, b"x")]))
    assert [words in entry.reason for entry in audit.findings] == [True]
    assert audit.exit_code == 1


def test_bombs_links_and_repetitions_in_a_zip_are_found(bundle, tmp_path):
    link = zipfile.ZipInfo("bundle/link")
    link.external_attr = 0o120777 << 16
    more = [("bundle/big.json", bytes(30_000_000)), (link, "/etc/passwd"), ("bundle/CONFIGS/train.json", b"{}")]
    found = {entry.file: entry.reason for entry in audit_bundle(pack(bundle(), tmp_path / "b.zip", more)).findings}
    assert "a bomb" in found["bundle/big.json"]
    assert "symbolic link" in found["bundle/link"]
    assert "twice" in found["bundle/CONFIGS/train.json"]


PLANTED = """
import sys
open("imported-proof", "w")
"""


def test_nothing_of_the_bundle_is_imported_or_run(bundle, tmp_path):
    """Also when its folder comes first among those from which Python imports."""
    folder = bundle(**{f"x{number}": entry for number, (entry, _) in enumerate(CONFIGS.values())})
    for name in ("torch", "monai", "yaml", "glob", "scripts", "evil"):
        (folder / f"{name}.py").write_text(PLANTED)
    code = textwrap.dedent(
        """
        import json, sys
        from medmd.audit import audit_bundle
        import yaml
        sys.path.insert(0, sys.argv[1])
        audit = audit_bundle(sys.argv[1])
        heavy = {"torch", "monai", "numpy"} & set(sys.modules)
        print(json.dumps([audit.exit_code, sorted(heavy)]))
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert json.loads(done.stdout) == [1, []], done.stderr
    assert not list(tmp_path.rglob("*proof*"))


@pytest.mark.parametrize(
    "name", ["target", "overlay key", "open", "text that becomes code", "target by expression", "reader"]
)
def test_the_samples_are_live(tmp_path, monkeypatch, name):
    """What is found above does run in MONAI."""
    from monai.bundle import ConfigParser

    monkeypatch.chdir(tmp_path)
    entries = {
        "target": {"x": {"_target_": "os.system", "command": "touch proof"}},
        "overlay key": {"x": {"_target_": "UNet", "command": "touch proof"}, "x#_target_": "os.system"},
        "open": {"x": "$open('proof', 'w').close()"},
        "text that becomes code": {"f": 1, "x": '$\'@f{open("proof", "w").close()}\''},
        "target by expression": {"x": {"_target_": "$'os' + '.system'", "command": "touch proof"}},
        "reader": {"x": {"_target_": "LoadImaged", "keys": "a", "reader": "os.mkdir", "path": "proof"}},
    }[name]
    (tmp_path / "x.json").write_text(json.dumps(entries))
    assert audit_bundle(tmp_path).exit_code == 1
    assert not (tmp_path / "proof").exists()
    parser = ConfigParser(ConfigParser.load_config_files([str(tmp_path / "x.json")]))
    try:
        parser.get_parsed_content("x")
    except RuntimeError:
        assert name == "reader"  # It was called, and gave no reader.
    assert (tmp_path / "proof").exists()
