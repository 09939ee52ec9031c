import pytest

from medmd.data import target_range
from medmd.utils import MedmdError


def test_the_range_of_the_header(make_datalist):
    path = make_datalist()
    assert target_range(path) == {"low": -40.0, "high": 6.0}


def test_a_class_has_no_range(make_datalist, monkeypatch):
    import dataclasses

    from medmd.data import _target_range as module

    read = module.load_datalist

    def as_class(path):
        found = read(path)
        target = dataclasses.replace(found.header.target, kind="class")
        return dataclasses.replace(found, header=dataclasses.replace(found.header, target=target))

    monkeypatch.setattr(module, "load_datalist", as_class)
    with pytest.raises(MedmdError, match="kind number, got class"):
        target_range(make_datalist())
