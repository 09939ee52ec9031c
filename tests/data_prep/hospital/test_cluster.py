"""The same work on a Dask cluster, one of whose workers is killed half-way."""

import pytest
from clinical_dicom_export import default_eyes, write_pacs_export
from dask_cluster import Cluster

from data_prep.hospital import convert

pytest.importorskip("distributed")
KEY = b"a key of at least 16 bytes"
SITE = "name: clinic\noct: {min_slices: 4}\nquality: {max_saturated_volume: 1.0}\n"


@pytest.fixture
def cluster(tmp_path):
    folder = tmp_path / "cluster"
    folder.mkdir()
    made = Cluster(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_a_cluster_that_loses_a_worker_gives_the_bytes_of_one_process(tmp_path, cluster, snapshot, pool, monkeypatch):
    write_pacs_export(tmp_path / "MUELLER-HANS", eyes=default_eyes(4), shape=(6, 32, 24))
    (tmp_path / "site.yaml").write_text(SITE)
    call = {"config": tmp_path / "site.yaml", "key": KEY}
    convert(tmp_path / "MUELLER-HANS", tmp_path / "alone", **call)
    monkeypatch.undo()  # Back to real pools.

    killed = []
    from data_prep.hospital import _scan_export

    real = _scan_export.Index.put

    def put(self, scanned, *, stamp):
        if len(killed) == 5:
            cluster.kill_worker()
        killed.append(scanned.pointer)
        real(self, scanned, stamp=stamp)

    monkeypatch.setattr(_scan_export.Index, "put", put)
    convert(tmp_path / "MUELLER-HANS", tmp_path / "out", scheduler=cluster.address, **call)

    assert len(killed) == 22
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "alone")
    logs = b"".join(path.read_bytes() for path in cluster.folder.glob("*.log"))
    assert logs
    assert b"MUELLER" not in logs
    assert b"HOSP-0" not in logs
