"""Hostile weights and model folders, through every command that takes a model or a run."""

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from medmd.cli import main
from medmd.networks import load_weights
from medmd.utils import MedmdError, read_json, read_safetensors_header, sha256_file, write_json
from medmd.workflows import load_model_folder

PROOF = "proof-that-code-ran"


def header(entries, content=b"", *, length=None, padding=0):
    text = json.dumps(entries).encode() if isinstance(entries, dict) else entries
    return struct.pack("<Q", len(text) if length is None else length) + text + content + bytes(padding)


def one(kind="F32", shape=(2,), offsets=(0, 8)):
    return {"weight": {"dtype": kind, "shape": list(shape), "data_offsets": list(offsets)}}


class Bomb:
    def __reduce__(self):
        return (os.system, (f"touch {PROOF}",))


HOSTILE = {
    "pickle": pickle.dumps(Bomb()),
    "empty": b"",
    "short": b"\x02\x00",
    "length of exabytes": header({}, length=1 << 62),
    "length beyond the file": header({}, length=100),
    "length of the file": header({}, length=9),
    "long header": header(b'{"a": "' + b"x" * (9 << 20) + b'"}'),
    "no JSON": header(b"{]"),
    "not UTF-8": header(b'"\xff\xfe\xff"'),
    "list": header(b"[]  "),
    "deep": header(b"[" * 100_000),
    "number of a million digits": header(b'{"a": ' + b"1" * 1_000_000 + b"}"),
    "no entry": header({"weight": 1}),
    "entry lacks": header({"weight": {"dtype": "F32", "shape": [2]}}),
    "entry has more": header({"weight": {**one()["weight"], "x": 1}}, bytes(8)),
    "unknown kind": header(one("OBJ"), bytes(8)),
    "kind no text": header({"weight": {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]}}, bytes(8)),
    "terabytes": header(one(shape=(1 << 40,), offsets=(0, 1 << 42))),
    "huge shape": header(one(shape=(1 << 40, 1 << 40), offsets=(0, 8)), bytes(8)),
    "overflowing shape": header(one(shape=(1 << 33, 1 << 31, 2), offsets=(0, 0))),
    "many axes": header(one(shape=(2,) * 1000, offsets=(0, 8)), bytes(8)),
    "negative shape": header(one(shape=(-2,), offsets=(0, 8)), bytes(8)),
    "fraction": header(one(shape=(2.0,), offsets=(0, 8)), bytes(8)),
    "truth as length": header(one(shape=(True,), offsets=(0, 4)), bytes(4)),
    "negative place": header(one(offsets=(-8, 0)), bytes(8)),
    "overlap": header({**one(), "bias": one(offsets=(4, 12))["weight"]}, bytes(12)),
    "same place": header({**one(), "bias": one()["weight"]}, bytes(8)),
    "gap": header({**one(), "bias": one(shape=(1,), offsets=(12, 16))["weight"]}, bytes(16)),
    "more behind": header(one(), bytes(8), padding=100),
    "cut short": header(one(), bytes(4)),
}  # fmt: skip


@pytest.fixture
def model(untrained_run, tmp_path):
    return shutil.copytree(untrained_run / "model", tmp_path / "run" / "model")


def tamper(folder, name, content):
    """Change a file and its digest with it: the digests find damage, not malice."""
    if isinstance(content, bytes):
        (folder / name).unlink()
        (folder / name).write_bytes(content)
    else:
        write_json(folder / name, content)
    manifest = read_json(folder / "manifest.json")
    manifest["sha256"][name] = sha256_file(folder / name)
    write_json(folder / "manifest.json", manifest)


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_weights_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(HOSTILE[name])
    network = torch.nn.Linear(2, 1)
    before = network.weight.detach().clone()
    with pytest.raises(MedmdError, match=r"model\.safetensors \(weights\) is refused: expected .*, got ") as caught:
        load_weights(network, path)
    assert len(str(caught.value)) < 600
    assert torch.equal(network.weight, before)
    assert not (tmp_path / PROOF).exists()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_ordinary_file_is_refused(tmp_path, kind):
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.ones(2)}, tmp_path / "other")
    {"link": lambda: path.symlink_to("other"), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[kind]()
    with pytest.raises(MedmdError, match="an ordinary file"):
        load_weights(torch.nn.Linear(2, 1), path)


def test_the_header_is_read_as_safetensors_wrote_it(tmp_path):
    kinds = (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool)
    tensors = {str(kind): torch.ones(3, 2, 1).to(kind) for kind in kinds}
    tensors |= {"scalar": torch.tensor(1.0), "empty": torch.zeros(0, 3)}
    save_file(tensors, tmp_path / "x.safetensors", metadata={"format": "pt"})
    found = read_safetensors_header(tmp_path / "x.safetensors", role="weights")
    assert {name: stored.shape for name, stored in found.items()} == {k: tuple(v.shape) for k, v in tensors.items()}


def test_numbers_that_are_not_finite_are_loaded_with_a_warning(tmp_path, caplog):
    save_file(
        {"weight": torch.tensor([[1.0, float("nan")]]), "bias": torch.tensor([float("inf")])},
        tmp_path / "x.safetensors",
    )
    network = torch.nn.Linear(2, 1)
    load_weights(network, tmp_path / "x.safetensors")
    assert torch.isnan(network.weight).any()
    assert "2 of 2 tensors hold numbers that are not finite" in caplog.text


def test_weights_of_another_network_are_not_even_read(tmp_path, monkeypatch):
    save_file({"weight": torch.zeros(1000, 1000), "bias": torch.zeros(1)}, tmp_path / "x.safetensors")
    monkeypatch.setattr("medmd.networks._weights.load_file", lambda *_, **__: pytest.fail("the tensors were read"))
    with pytest.raises(MedmdError, match=r"weight expected float \[1, 2\], got float \[1000, 1000\]"):
        load_weights(torch.nn.Linear(2, 1), tmp_path / "x.safetensors")


def test_a_small_description_of_a_huge_network_is_refused_before_it_is_built(model):
    description = read_json(model / "network.json")
    description["encoders"]["oct"]["planes"] = [4, 8, 4096, 8192]
    tamper(model, "network.json", description)
    with pytest.raises(MedmdError, match=r"network: \d{9,} parameters; expected at most"):
        load_model_folder(model)


# By name of the file: entries that would run code where MONAI evaluated them.
EVIL = [
    {"_target_": "os.system", "command": f"touch {PROOF}"},
    {"_target_": "subprocess.Popen", "args": ["touch", PROOF]},
    {"_target_": "builtins.eval", "source": f"open('{PROOF}', 'w')"},
    f"$open('{PROOF}', 'w')",
    [[{"x": [{"_target_": "os.system", "command": f"touch {PROOF}"}]}]],
    {"_target_": "medmd.networks.ResNetEncoder", "_mode_": "debug"},
    {"_target_": "medmd.networks.ResNetEncoder", "_requires_": f"$open('{PROOF}', 'w')"},
    {"_target_": "medmd.networks.ResNetEncoder", "_disabled_": f"$open('{PROOF}', 'w')"},
    {"_target_": "medmd.networks.ResNetEncoder", "depth": {"_target_": "os.getpid"}},
    {"_target_": "medmd.networks.ResNetEncoder", "norm": "os.system"},
    {"_target_": "medmd.networks._resnet.torch.hub.load"},
    {"_target_": ["os.system"]},
    "%/etc/evil.json",
]


def commands(run, tmp_path):
    """Every command that takes a model or a run's folder."""
    return {
        "predict": ["predict", str(run / "model"), str(tmp_path / "eyes"), str(tmp_path / "out.csv")],
        "register": ["register", str(run)],
    }


@pytest.mark.parametrize("verb", ["predict", "register"])
@pytest.mark.parametrize("entry", EVIL, ids=lambda entry: json.dumps(entry)[:40])
@pytest.mark.parametrize("name", ["network.json", "preprocessing.json"])
def test_no_command_runs_what_a_model_folder_names(model, tmp_path, monkeypatch, capsys, verb, entry, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    content = read_json(model / name)
    if name == "network.json":
        content["encoders"]["oct"] = entry
    else:
        content = [entry, *content]
    tamper(model, name, content)
    assert main(commands(model.parent, tmp_path)[verb]) == 2
    assert capsys.readouterr().err.startswith("medmd: error: ")
    assert not list(tmp_path.rglob(PROOF))
    assert not list(tmp_path.rglob("*.db"))


@pytest.mark.parametrize(
    "manifest",
    [
        [], 1, None, "x", {}, {"format": 1}, {"format": "1", "method": 1},
        {"format": 1, "method": "x", "inputs": [], "target": {"name": "md"}, "sha256": {}},
        {"format": 1, "method": "x", "inputs": {}, "target": "md", "sha256": {}},
        {"format": 1, "method": "x", "inputs": {}, "target": {"name": 1}, "sha256": {}},
        {"format": 1, "method": "x", "inputs": {}, "target": {"name": "md"}, "sha256": {"../../x": "0"}},
        {"format": 99, "method": "x", "inputs": {}, "target": {"name": "md"}, "sha256": {}},
    ],
)  # fmt: skip
def test_odd_manifests_are_refused(model, manifest):
    write_json(model / "manifest.json", manifest)
    with pytest.raises(MedmdError, match=r"manifest\.json"):
        load_model_folder(model)


@pytest.mark.parametrize("name", ["manifest.json", "network.json", "preprocessing.json"])
@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a": ' + b"1" * 5000 + b"}", b"\xff", b"{", bytes(2 << 20)])
def test_odd_json_is_refused(model, name, content):
    tamper(model, name, content) if name != "manifest.json" else (model / name).write_bytes(content)
    with pytest.raises(MedmdError):
        load_model_folder(model)


@pytest.mark.parametrize("name", ["manifest.json", "network.json", "preprocessing.json", "model.safetensors"])
def test_links_in_a_model_folder_are_refused(model, tmp_path, name):
    (model / name).rename(tmp_path / name)
    (model / name).symlink_to(tmp_path / name)
    with pytest.raises(MedmdError, match="an ordinary file"):
        load_model_folder(model)


def test_a_report_evaluates_nothing_of_a_run(tmp_path, monkeypatch, capsys):
    """Whatever a run's files hold: they are texts for the report."""
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    (run / "model").mkdir(parents=True)
    evil = f"$open('{PROOF}', 'w')"
    rows = ["case_id,patient_id,split,laterality,target,fusion"]
    rows += [f"=cmd|'{number},p{number},testing,R,{-number},{-number + 0.5}" for number in range(1, 9)]
    (run / "predictions.csv").write_text("\n".join(rows) + "\n")
    write_json(run / "config.json", {"method": evil, "x": {"_target_": "os.system", "command": f"touch {PROOF}"}})
    write_json(run / "model" / "manifest.json", {"method": "<script>alert(1)</script>", "target": {"name": evil}})
    main(["report", str(run), "--replicates", "20"])
    capsys.readouterr()
    assert not list(tmp_path.rglob(PROOF))
    for page in tmp_path.rglob("*.html"):
        assert "<script>alert(1)" not in page.read_text()


LIMITED = """
import resource, sys
from pathlib import Path
from medmd.utils import MedmdError, read_safetensors_header
used = int(next(l for l in open("/proc/self/status") if l.startswith("VmSize")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + 300 * 2**20,) * 2)
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        read_safetensors_header(path, role="weights")
    except MedmdError:
        print("refused")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit of memory is Linux's")
def test_a_refusal_costs_little_memory(tmp_path):
    for number, content in enumerate(HOSTILE.values()):
        (tmp_path / f"{number}.safetensors").write_bytes(content)
    # As dear as the limit of the header allows.
    text = b"{" + b",".join(b'"%d":[]' % number for number in range(800_000)) + b"}"
    assert len(text) > 7 << 20
    (tmp_path / "x.safetensors").write_bytes(header(text[: 8 << 20]))
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("refused") == len(HOSTILE) + 1
