import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import medmd
import medmd.data
from medmd.data import Case, Datalist, Header, InputSpec, TargetSpec, load_datalist, write_datalist
from medmd.utils import MedmdError

SCHEMA = json.loads((Path(medmd.data.__file__).parent / "datalist.schema.json").read_text())

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True)
numbers = st.floats(-40, 6)
texts = st.text(max_size=12).filter(lambda text: text.isprintable())
facts = st.dictionaries(st.sampled_from(["device", "days_oct_vf", "vf_pattern"]), texts | numbers | st.none())
paths = st.from_regex(r"[a-z]{1,4}/[a-z0-9]{1,8}\.nii\.gz", fullmatch=True)
cases = st.builds(
    Case,
    case_id=names,
    patient_id=names,
    inputs=st.fixed_dictionaries(
        {"oct": paths | st.none(), "labs": st.lists(numbers, min_size=1, max_size=4) | st.none()}
    ),
    target=numbers | st.none(),
    laterality=st.sampled_from(["R", "L", None]),
    age=st.floats(0, 100) | st.none(),
    sex=st.sampled_from(["F", "M", "O", None]),
    patient_id_is_surrogate=st.booleans(),
    hashes=st.dictionaries(st.sampled_from(["oct", "labs"]), st.from_regex(r"[0-9a-f]{64}", fullmatch=True)),
    reference=st.dictionaries(st.sampled_from(["label_noise", "information"]), numbers),
    details=facts,
)
splits = st.dictionaries(
    st.sampled_from(["training", "validation", "testing"]), st.lists(cases, max_size=4), min_size=1
)


def _header(**changes) -> Header:
    inputs = {
        "oct": InputSpec(kind="volume", details={"spacing_mm": [0.1, 0.2, 0.3]}),
        "labs": InputSpec(kind="vector"),
    }
    return replace(Header(name="cohort", inputs=inputs, source="s", converter="c"), **changes)


def _case(number: int = 0, **changes) -> Case:
    base = Case(
        case_id=f"c{number}", patient_id=f"p{number}", inputs={"oct": "oct/1.nii.gz", "labs": None}, target=-3.0
    )
    return replace(base, **changes)


def _write(folder: Path, *cases: Case, **header) -> Path:
    path = folder / "datalist.json"
    write_datalist(path, Datalist(header=_header(**header), splits={"training": list(cases)}))
    return path


@given(splits=splits)
def test_what_is_written_is_read_back(tmp_path_factory, splits):
    path = tmp_path_factory.mktemp("d") / "datalist.json"
    write_datalist(path, Datalist(header=_header(), splits=splits))

    loaded = load_datalist(path)

    assert loaded.splits == splits
    assert loaded.header == _header(created_with=f"medmd {medmd.__version__}", counts=loaded.header.counts)
    assert loaded.path == path
    Draft202012Validator(SCHEMA).validate(json.loads(path.read_text()))


@given(splits=splits)
def test_writing_what_was_read_gives_the_same_bytes(tmp_path_factory, splits):
    folder = tmp_path_factory.mktemp("d")
    write_datalist(folder / "a.json", Datalist(header=_header(), splits=splits))
    write_datalist(folder / "b.json", load_datalist(folder / "a.json"))

    assert (folder / "a.json").read_bytes() == (folder / "b.json").read_bytes()


def test_equal_content_in_another_order_gives_equal_bytes(tmp_path):
    one = _case(details={"device": "A", "bscans": {"n": 3, "m": 4}}, reference={"x": 1.0, "y": 2.0}, target=-3)
    two = _case(
        inputs={"labs": None, "oct": "oct/1.nii.gz"},
        details={"bscans": {"m": 4, "n": 3}, "device": "A"},
        reference={"y": 2.0, "x": 1.0},
    )

    first = _write(tmp_path / "a", one, target=TargetSpec(range=(-40, 6)))
    second = _write(tmp_path / "b", two)

    assert first.read_bytes() == second.read_bytes()


def test_counts_are_computed_whatever_is_given(tmp_path):
    twins = [_case(0), _case(1, patient_id="p0", target=None, inputs={"labs": [1.0]})]
    header = _write(tmp_path, *twins, counts={"cases": 99}, created_with="someone").parent / "datalist.json"

    loaded = load_datalist(header).header

    assert loaded.created_with == f"medmd {medmd.__version__}"
    assert loaded.counts == {
        "cases": 2,
        "patients": 1,
        "targets": 1,
        "splits": {"training": 2},
        "inputs": {"oct": 1, "labs": 1},
    }


def test_numpy_values_and_absolute_paths_become_plain(tmp_path):
    case = _case(
        inputs={"oct": str(tmp_path / "oct" / "1.nii.gz"), "labs": np.array([1, 2], dtype=np.float32)},
        target=np.float32(-2.5),
        details={"days_oct_vf": np.int64(3), "raw": PurePosixPath("a/b"), "pair": (1, 2)},
    )

    loaded = load_datalist(_write(tmp_path, case)).splits["training"][0]

    assert loaded.inputs == {"oct": "oct/1.nii.gz", "labs": [1.0, 2.0]}
    assert loaded.target == -2.5
    assert loaded.details == {"days_oct_vf": 3, "pair": [1, 2], "raw": "a/b"}


def test_class_targets_stay_integers(tmp_path):
    path = _write(tmp_path, _case(target=2), target=TargetSpec(name="stage", kind="class", unit="", range=(0, 3)))

    assert '"target": 2,' not in path.read_text().split('"training"')[0]
    assert json.loads(path.read_text())["training"][0]["target"] == 2
    assert "2.0" not in path.read_text().split('"training"')[1]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"inputs": {"oct": "../x.nii.gz"}}, "Case c0: an input lies outside"),
        ({"inputs": {"oct": "/elsewhere/x.nii.gz"}}, "Case c0: an input lies outside"),
        ({"inputs": {"mri": "x.nii.gz"}}, "Case c0: inputs mri are not in the header"),
        ({"target": float("nan")}, "case c0, target: expected a finite number, got nan"),
        ({"details": {"speed": float("inf")}}, "case c0, speed: expected a finite number"),
        ({"details": {"thing": object()}}, "case c0, thing: expected a JSON value, got object"),
        ({"details": {"target": 1}}, "case c0: the details target have fields of their own"),
        ({"laterality": "OD"}, r"training\[0\]\.laterality \(case c0\).*'R', 'L'"),
        ({"details": {"birth_date": "x"}}, "a key other than .*birth_date"),
        ({"case_id": "Jane Doe"}, r"training\[0\]\.case_id: expected .*, got a text of 8 characters"),
        ({"sex": "female"}, r"training\[0\]\.sex"),
        ({"patient_id": "Jane Doe"}, r"training\[0\]\.patient_id.*got a text of 8 characters"),
    ],
)
def test_the_writer_refuses_and_leaves_no_file(tmp_path, changes, text):
    with pytest.raises(MedmdError, match=text):
        _write(tmp_path, _case(**changes))

    assert not (tmp_path / "datalist.json").exists()


def test_header_details_do_not_shadow_lists(tmp_path):
    with pytest.raises(MedmdError, match="datalist cohort: the details validation"):
        _write(tmp_path, _case(), details={"validation": []})


@pytest.mark.parametrize("names", [("fold0",), ("unsplit", "training")])
def test_other_lists_are_refused(tmp_path, names):
    with pytest.raises(MedmdError, match="expected the lists training"):
        write_datalist(tmp_path / "d.json", Datalist(header=_header(), splits={name: [_case()] for name in names}))


def test_an_earlier_file_survives_a_refused_write(tmp_path):
    path = _write(tmp_path, _case())
    before = path.read_bytes()
    with pytest.raises(MedmdError):
        _write(tmp_path, _case(laterality="X"))

    assert path.read_bytes() == before


def test_a_broken_document_is_told_with_place_and_case(tmp_path):
    path = _write(tmp_path, _case())
    document = json.loads(path.read_text())
    document["training"][0].update(laterality="OS", age="old")
    del document["training"][0]["target"]
    document["inputs"]["oct"]["kind"] = "film"
    path.write_text(json.dumps(document))

    with pytest.raises(MedmdError) as caught:
        load_datalist(path)

    text = str(caught.value)
    assert "inputs.oct.kind: expected enum ['volume', 'image', 'vector'], got 'film'" in text
    assert "training[0] (case c0): expected the keys case_id, patient_id, inputs, target" in text
    assert "training[0].laterality (case c0)" in text
    assert "medmd check datalist.json" in text


@pytest.mark.parametrize("document", [[], {}, {"name": "x"}, "text", {"training": [3]}, {"training": {"a": 1}}])
def test_what_is_no_datalist_is_refused(tmp_path, document):
    path = tmp_path / "d.json"
    path.write_text(json.dumps(document))

    with pytest.raises(MedmdError, match="not a medmd datalist"):
        load_datalist(path)


def test_a_datalist_lists_cases_with_their_split(tmp_path):
    datalist = Datalist(header=_header(), splits={"training": [_case(0)], "testing": [_case(1)]})

    assert [(split, case.case_id) for split, case in datalist.cases()] == [("training", "c0"), ("testing", "c1")]
    assert datalist.folder is None
    assert replace(datalist, path=tmp_path / "d.json").folder == tmp_path
    assert _case().present == ("oct",)


def test_the_schema_obeys_its_metaschema():
    Draft202012Validator.check_schema(SCHEMA)


def test_importing_the_data_layer_does_not_import_torch():
    code = "import sys, medmd.data; sys.exit('torch' in sys.modules or 'monai' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'Datalists'"):
        medmd.data.Datalists  # noqa: B018


def test_the_header_keeps_its_reference_in_one_order(tmp_path):
    path = _write(tmp_path, _case(), reference={"b": {"y": 1, "x": [2]}, "a": 0.5})

    assert load_datalist(path).header.reference == {"a": 0.5, "b": {"x": [2], "y": 1}}
    assert path.read_text().index('"a": 0.5') < path.read_text().index('"b": {')


def test_a_document_without_lists_or_with_a_strange_input_is_told(tmp_path):
    path = _write(tmp_path, _case())
    document = json.loads(path.read_text())
    document["training"][0]["inputs"]["oct"] = {"file": "x"}
    path.write_text(json.dumps(document))
    with pytest.raises(
        MedmdError, match=r"inputs\.oct \(case c0\): expected one of: string, array, null, got an object"
    ):
        load_datalist(path)

    del document["training"]
    path.write_text(json.dumps(document))
    with pytest.raises(MedmdError, match="the document: expected one of the lists training"):
        load_datalist(path)
