"""Words planted wherever a name may stand come out nowhere: not in what is tracked, logged, said or handed on."""

import gzip
import io
import json
import logging
import os
import shutil
import socket
import sqlite3
import sys
import zipfile
from pathlib import Path

import pytest
from ignite.engine import Events
from mlflow import MlflowClient
from monai.bundle import ConfigWorkflow

from medmd.data import PhantomCohort
from medmd.registry import register_run
from medmd.workflows import explain_errors

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*noload.*loader strategy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Operation with range is deprecated"),
]
BUNDLE = Path(__file__).parents[2] / "bundles" / "remd"
CANARIES = {
    "data folder": "ahlgrimm",
    "volume file's name": "böhmken",
    "photograph file's name": "czernohaus",
    "vanished file's name": "dudszus",
    "damaged file's name": "eichstätt",
    "output folder": "fröhlingsdorf",
    "results folder": "grzimek",
    "login": "hövelmann",
    "home": "ingwersen",
    "host": "jachmann",
    "temporary folder": "kwiatkowski",
    "description": "lüdenscheid",
    "source": "mommsen",
    "header's extra field": "nüssleinvolhard",
    "case's extra field": "ottersbach",
    "reference": "przywara",
    "user of the address": "quistorp",
    "password of the address": "rzepka",
}
PHOTO, DAMAGED, VANISHED = (CANARIES[f"{kind} file's name"] for kind in ("photograph", "damaged", "vanished"))
LOGIN = ("LOGNAME", "USER", "LNAME", "USERNAME")
# Where a local store says at which place its artifacts are; it cannot without.
PLACES = {"artifact_location", "artifact_uri", "storage_location", "source"}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Everything around a run bears a name."""
    root = tmp_path_factory.mktemp("root")
    for name in ("home", "temporary folder", "results folder"):
        (root / CANARIES[name]).mkdir()
    return root


@pytest.fixture
def world(home, monkeypatch):
    for name in LOGIN:
        monkeypatch.setenv(name, CANARIES["login"])
    monkeypatch.setenv("HOME", str(home / CANARIES["home"]))
    monkeypatch.setenv("HOSTNAME", CANARIES["host"])
    monkeypatch.setattr(socket, "gethostname", lambda: CANARIES["host"])
    monkeypatch.setattr("tempfile.tempdir", str(home / CANARIES["temporary folder"]))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("medmd.workflows._hide._PLACES", {})
    factory, hook = logging.getLogRecordFactory(), sys.excepthook
    yield home
    logging.setLogRecordFactory(factory)
    sys.excepthook = hook


@pytest.fixture(scope="module")
def data(home):
    """A cohort whose folder, files and free fields bear names."""
    folder = home / CANARIES["data folder"] / "eyes"
    PhantomCohort(40, 0, missing={"fundus": 0.2}).write(folder, contact_sheet=False)
    path = folder / "datalist.json"
    content = json.loads(path.read_text())
    content["description"] = f"Eyes of {CANARIES['description']}"
    content["source"] = f"{CANARIES['source']}'s export"
    content["clinic"] = CANARIES["header's extra field"]
    content["reference"] = {"who": CANARIES["reference"]}
    for number, case in enumerate(case for split in ("training", "validation", "testing") for case in content[split]):
        case["operator"] = CANARIES["case's extra field"]
        for name, word in (("oct", "volume file's name"), ("fundus", "photograph file's name")):
            if case["inputs"].get(name):
                old = Path(case["inputs"][name])
                new = old.with_name(f"{CANARIES[word]}-{number}{''.join(old.suffixes)}")
                (folder / old).rename(folder / new)
                case["inputs"][name] = new.as_posix()
    path.write_text(json.dumps(content, ensure_ascii=False))
    return folder


def needles():
    for where, word in CANARIES.items():
        for form in {word, word.upper(), word.capitalize(), json.dumps(word)[1:-1]}:
            for coding in ("utf-8", "utf-16-le", "utf-16-be", "latin-1"):
                yield where, form.encode(coding)


NEEDLES = list(needles())


def found_in(content):
    """Where the words that are in `content`, or in what is packed in it, were planted."""
    found = {where for where, needle in NEEDLES if needle in content}
    if content[:2] == b"\x1f\x8b":
        found |= found_in(gzip.decompress(content))
    if content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for item in archive.infolist():
                found |= found_in(item.filename.encode()) | found_in(archive.read(item))
    return found


def found_below(folder, skip=()):
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith(skip):
            found[name] = found_in(path.read_bytes()) | found_in(name.encode())
    return {name: where for name, where in found.items() if where}


def found_in_database(path, places=()):
    """In every cell of every table, the columns named `places` aside."""
    found = {}
    with sqlite3.connect(path) as store:
        tables = [row[0] for row in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            cursor = store.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - names from the database itself
            columns = [column[0] for column in cursor.description]
            for row in cursor:
                for column, cell in zip(columns, row, strict=True):
                    where = found_in(cell if isinstance(cell, bytes) else str(cell).encode())
                    if where and column not in places:
                        found[f"{table}.{column}: {str(cell)[:80]}"] = where
    store.close()
    return found


def test_the_search_finds_what_is_packed():
    word = CANARIES["source"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner", gzip.compress(b"x" * 99 + word.encode("utf-16-le")))
    assert found_in(gzip.compress(packed.getvalue())) == {"source"}
    assert found_in(CANARIES["login"].encode("latin-1")) == {"login"}
    assert found_in(json.dumps(CANARIES["login"]).encode()) == {"login"}
    assert found_in(b"nothing") == set()
    assert len(CANARIES) >= 15


def bundle(name, **settings):
    workflow = ConfigWorkflow(
        config_file=str(BUNDLE / f"{name}.json"),
        meta_file=str(BUNDLE / "metadata.json"),
        logging_file=False,
        device="cpu",
        **{key: str(value) for key, value in settings.items()},
    )
    workflow.initialize()
    workflow.run()


def fails(call, capfd, caplog):
    """Call what must fail, show its error as the command line does, and return all that was said."""
    explain_errors()
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any error may hold a name
        call()
    sys.excepthook(caught.type, caught.value, caught.value.__traceback__)
    said = "".join(capfd.readouterr()) + caplog.text
    assert "medmd: error" in said or "Traceback" in said
    return said


def test_a_tracked_run_and_what_is_done_with_it(world, data, flow, caplog, capfd):
    caplog.set_level(logging.DEBUG, logger="medmd")
    results = world / CANARIES["results folder"]
    folder = results / CANARIES["output folder"]
    short = {"pretrain_epochs": 1, "train_epochs": 1, "dataset_dir": str(data)}
    workflow = flow(folder, **short)

    def crash(_):
        raise RuntimeError(f"could not read {data / 'oct' / PHOTO}.png")

    trainer = workflow.parser.get_parsed_content("train#trainer")
    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), crash)
    said = fails(workflow.run, capfd, caplog)
    flow(folder, **short).run()
    bundle("evaluate", model_dir=folder / "model", dataset_dir=data, output_dir=results / "evaluation")
    bundle("inference", model_dir=folder / "model", dataset_dir=data, output_file=results / "p.csv")
    registered = register_run(folder, name="remd")
    said += "".join(capfd.readouterr()) + caplog.text

    client = MlflowClient(registered.store)
    (run, *_) = client.search_runs([item.experiment_id for item in client.search_experiments()])
    assert run.info.status == "FINISHED"
    assert "train/loss" in run.data.metrics
    assert found_in_database(folder / "mlruns.db", PLACES) == {}
    assert found_below(folder / "mlruns") == {}
    assert found_below(folder / "model") == {}
    assert found_below(folder / "report") == {}
    assert found_in((folder / "run.json").read_bytes()) == set()
    assert not found_in((results / "p.csv").read_bytes())
    assert found_in(said.encode()) == set(), said
    cases = {case["case_id"] for case in json.loads((data / "datalist.json").read_text())["testing"]}
    tags = repr((run.data.tags, run.data.params, sorted(run.data.metrics)))
    assert not [case for case in cases if case in tags + said]


def test_files_that_vanished_or_are_damaged_are_told_without_their_names(world, data, flow, tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG, logger="medmd")
    broken = world / CANARIES["data folder"] / "broken"
    shutil.copytree(data, broken, dirs_exist_ok=True)
    content = json.loads((broken / "datalist.json").read_text())
    case = next(case for case in content["training"] if case["inputs"].get("fundus"))
    paths = {name: Path(case["inputs"][name]) for name in ("oct", "fundus")}
    folder = world / CANARIES["results folder"] / "failed"

    def start():
        flow(folder, dataset_dir=str(broken), stages=["pretrain"], cache_workers=0, pretrain_epochs=1).run()

    damaged = paths["oct"].with_name(f"{DAMAGED}.nii.gz")
    (broken / damaged).write_bytes(b"\x1f\x8b no volume")
    case["inputs"]["oct"] = damaged.as_posix()
    (broken / "datalist.json").write_text(json.dumps(content, ensure_ascii=False))
    said = fails(start, capfd, caplog)
    case["inputs"]["oct"] = paths["oct"].with_name(f"{VANISHED}.nii.gz").as_posix()
    (broken / "datalist.json").write_text(json.dumps(content, ensure_ascii=False))
    said += fails(start, capfd, caplog)
    assert found_in(said.encode()) == set(), said


def test_a_server_whose_address_holds_a_password(world, data, flow, tmp_path, caplog, capfd, monkeypatch):
    user, password = CANARIES["user of the address"], CANARIES["password of the address"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{user}:{password}@127.0.0.1:9/{user}")
    folder = world / CANARIES["results folder"] / "unreachable"

    def start():
        flow(folder, dataset_dir=str(data), stages=["pretrain"]).run()

    said = fails(start, capfd, caplog)
    assert "cannot be used (connection refused)" in said
    assert found_in(said.encode()) == set(), said
    assert found_below(folder, skip=("config.json",)) == {}


@pytest.mark.slow
def test_a_run_on_a_server(world, data, flow, tracking_server, caplog, capfd, monkeypatch):
    user, password = CANARIES["user of the address"], CANARIES["password of the address"]
    if not tracking_server._answers():
        tracking_server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{user}:{password}@127.0.0.1:{tracking_server.port}")
    folder = world / CANARIES["results folder"] / CANARIES["output folder"] / "served"
    flow(folder, dataset_dir=str(data), pretrain_epochs=1, train_epochs=1, experiment="canaries").run()
    register_run(folder, name="canaries")
    said = "".join(capfd.readouterr()) + caplog.text
    assert found_in(said.encode()) == set(), said
    assert found_in_database(tracking_server.folder / "server.db") == {}
    assert found_below(tracking_server.folder) == {}
    assert os.environ["MLFLOW_TRACKING_URI"].startswith(f"http://{user}")
