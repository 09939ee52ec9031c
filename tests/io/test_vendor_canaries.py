"""What identifies a patient stays in `Subject`: nothing of it is shown, said, logged or warned of, whatever happens."""

import logging
import traceback
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path

import clinical_images as images
import clinical_vendor as vendor
import pytest

from medmd.io import RefusedError, read_all

_CANARY = vendor.Person(
    identifier="KANARIE-4711",
    family="Zwitscherling",
    given="Tirilina",
    birth=date(1931, 7, 19),
    sex="F",
    acquired=date(2013, 9, 28),
    comment="singt gern laut",
)
_WORDS = ("KANARIE", "4711", "Zwitscher", "Tirili", "singt", "1931", "19.07", "2013-09-28", "2013, 9, 28")

_FILES: dict[str, Callable[[vendor.Person], bytes]] = {
    "vol": lambda person: vendor.vol(person=person),
    "e2e": lambda person: vendor.e2e(person=person),
    "fda": lambda person: vendor.fda(person=person, photo=vendor.photograph()),
    "fds": lambda person: vendor.fds(person=person, photo=vendor.photograph()),
    "hfa": lambda person: vendor.hfa_xml(person),
    "jpeg": lambda person: images.picture(person=person),
    "png": lambda person: images.picture(person=person, format="PNG"),
    "tiff": lambda person: images.picture(person=person, format="TIFF"),
    "tiff-gray": lambda person: images.picture(person=person, format="TIFF", mode="L"),
    "tiff-pages": lambda person: images.tiff_pages(person=person),
    "mha": lambda person: images.mha(person=person),
    "nrrd": lambda person: images.nrrd(person=person),
    "nifti": lambda person: images.nifti(person=person),
    "nifti-gz": lambda person: images.nifti(person=person, compressed=True),
}


def _said(source: bytes | Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> str:
    """Everything that reading a file lets out, at the most talkative level."""
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            records = read_all(source)
            said = [repr(record) + str(record) + repr(record.subject) for record in records]
        except RefusedError as error:
            said = [*traceback.format_exception(error), repr(error), error.reason, error.detail, error.fix]
    printed = capfd.readouterr()
    logged = [record.getMessage() for record in caplog.records] + [caplog.text]
    return "\n".join([*said, *logged, *(str(one.message) for one in caught), printed.out, printed.err])


def _assert_silent(said: str) -> None:
    assert [word for word in _WORDS if word.lower() in said.lower()] == []


@pytest.mark.parametrize("name", list(_FILES))
def test_the_canary_is_in_the_file(name: str) -> None:
    """Otherwise the tests below would show nothing."""
    data = _FILES[name](_CANARY)
    if name == "nifti-gz":
        assert data != _FILES[name](vendor.SOMEBODY)
    else:
        assert any(word.encode() in data for word in _WORDS)


@pytest.mark.parametrize("name", list(_FILES))
def test_nothing_is_said_of_a_whole_file(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    data = _FILES[name](_CANARY)
    path = tmp_path / f"{_CANARY.family} {_CANARY.identifier}.dat"
    path.write_bytes(data)
    for source in (data, path):
        _assert_silent(_said(source, caplog, capfd))


@pytest.mark.parametrize("name", list(_FILES))
def test_nothing_is_said_of_a_damaged_file(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    data = _FILES[name](_CANARY)
    path = tmp_path / f"{_CANARY.family} {_CANARY.identifier}.dat"
    for place in range(20, len(data), max(len(data) // 25, 1)):
        broken = data[: place // 2] + bytes([data[place // 2] ^ 0xFF]) + data[place // 2 + 1 : place]
        path.write_bytes(broken)
        _assert_silent(_said(path, caplog, capfd))


@pytest.mark.parametrize("change", [{"side": "Zwitscherling"}, {"md": "Tirilina"}, {"test_date": "19.07.1931"}])
def test_values_in_the_wrong_fields_are_not_repeated(
    change: dict[str, str], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    _assert_silent(_said(vendor.hfa_xml(_CANARY, **change), caplog, capfd))


@pytest.mark.parametrize("damage", [None, "file", "xml", "entity", "encoding"])
def test_nothing_is_said_of_an_xml_export(
    damage: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    path = vendor.heyex_xml(tmp_path / _CANARY.family, person=_CANARY)
    text = path.read_text("utf-8")
    assert all(word in text for word in _WORDS[:5])
    if damage == "file":
        (path.parent / "B1.tif").write_bytes(b"II*\0" + _CANARY.family.encode())
    elif damage == "xml":
        path.write_text(text[: len(text) // 2], "utf-8")
    elif damage == "entity":
        path.write_text(text.replace("?><", f'?><!DOCTYPE a [<!ENTITY b "{_CANARY.family}">]><'), "utf-8")
    elif damage == "encoding":
        path.write_text(text.replace("UTF-8", _CANARY.family), "utf-8")
    _assert_silent(_said(path, caplog, capfd))


def test_nothing_is_said_of_a_raw_cube(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    path = vendor.zeiss_img(tmp_path, vendor.gray_volume(20, 1024, 30), _CANARY)
    _assert_silent(_said(path, caplog, capfd))
    path.write_bytes(b"short")
    _assert_silent(_said(path, caplog, capfd))


def test_levels_of_loggers_are_given_back() -> None:
    logger = logging.getLogger("PIL")
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        read_all(images.picture(format="PNG"))
        assert logger.level == logging.INFO
    finally:
        logger.setLevel(before)
