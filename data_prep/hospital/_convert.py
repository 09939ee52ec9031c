"""The conversion: an export and a site file in; images, datalist and report out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from data_prep._output import MARKER, OutputFolder, check_apart
from data_prep._parallel import check_workers
from data_prep._split import split_cases
from data_prep.hospital._cases import CONVERTER, make_case, make_header, target_of
from data_prep.hospital._complete import Ledger
from data_prep.hospital._index import INDEX, Index
from data_prep.hospital._pairing import Pairing, pair
from data_prep.hospital._pseudonyms import Pseudonyms
from data_prep.hospital._report import make_flow, make_report
from data_prep.hospital._report_page import write_report
from data_prep.hospital._scan_export import scan_export
from data_prep.hospital._site import SiteConfig, load_site
from data_prep.hospital._take import find_files, take_all
from data_prep.hospital._write_images import Images
from medmd.utils import MedmdError, Pool, cores, open_pool, read_json

if TYPE_CHECKING:
    from data_prep._report import ConversionReport
    from medmd.data import Datalist

DATALIST = "datalist.json"
# What every worker needs.
_PRELOAD = ("data_prep.hospital._scan", "data_prep.hospital._write", "medmd.io")


def convert(
    source: str | Path,
    out: str | Path,
    *,
    config: str | Path,
    key: bytes,
    workers: int | None = None,
    scheduler: str | None = None,
    verify: bool = False,
) -> ConversionReport:
    """Convert a hospital's export.

    `out` receives `datalist.json`, `oct/*.nii.gz`, `fundus/*.png`, `report.json`, `report.html`, the flow figure and
    contact sheets, and an index of what was read; the source is only read. A later call reads what is new or changed;
    the bytes of all but the index do not depend on workers, scheduler or interruptions.

    Args:
        source: folder of the export.
        out: a new or empty folder, or that of an earlier call with the same key.
        config: the site file.
        key: the secret of the pseudonyms, see `read_key`.
        workers: processes; None for one a core.
        scheduler: address of a Dask scheduler to work on instead of own processes.
        verify: read every known file's bytes again instead of trusting its size and time.

    Returns:
        The report. When its `usable` is 0, no datalist is there.

    Raises:
        MedmdError: the call, the site file or its tables are wrong, or `out` is in use.
    """
    root = find_root(Path(source))
    _check_apart(root, Path(out))
    if workers is not None:
        check_workers(workers)
    site = load_site(Path(config), source=root)
    pseudonyms = Pseudonyms(key)
    check_key(Path(out), pseudonyms)
    output = OutputFolder(out, converter=CONVERTER, arguments={"key": pseudonyms.digest})
    index = Index(output.path / INDEX)
    try:
        export = find_files(root, site, pseudonyms)
        with open_pool(workers=workers, scheduler=scheduler, preload=_PRELOAD) as pool:
            octopus = site.visual_field.md_convention == "octopus"
            failed = scan_export(root, export.files, index, pool, pseudonyms, verify=verify, octopus=octopus)
            ledger = take_all(export, index, failed, site, pseudonyms)
            images = Images(output, export.places, pseudonyms)
            pairing = _pair_and_write(ledger, index, site, images, pool)
    finally:
        index.close()
    images.keep_only(pairing)
    datalist = _write_datalist(pairing, images, site, pseudonyms, output)
    flow = make_flow(ledger, pairing)
    report = make_report(ledger, pairing, flow, site)
    report.facts["split_note"] = _split_note(datalist, site)
    write_report(report, datalist, flow, output, workers=workers or cores())
    output.finish()
    return report


def find_root(source: Path) -> Path:
    """The export's folder without links in its path.

    Raises:
        MedmdError: there is no such folder.
    """
    if not source.is_dir():
        msg = f"{source}: expected the folder of an export. Archives must be unpacked first."
        raise MedmdError(msg)
    return source.resolve()


def _check_apart(root: Path, out: Path) -> None:
    check_apart(root, out)
    if root.is_relative_to(out.resolve()):
        msg = f"{out}: the source lies in it. Name a folder that holds nothing else."
        raise MedmdError(msg)


def check_key(out: Path, pseudonyms: Pseudonyms) -> None:
    """Check that an earlier conversion to `out` had the same key.

    Raises:
        MedmdError: it had another: the same patient would have two names.
    """
    marker = out / MARKER
    found = read_json(marker) if marker.is_file() else None
    if not isinstance(found, dict) or found.get("converter") != CONVERTER:
        return
    if found.get("arguments") != {"key": pseudonyms.digest}:
        msg = f"{out}: was made with another key. Give that key, or name another folder."
        raise MedmdError(msg)


def _pair_and_write(ledger: Ledger, index: Index, site: SiteConfig, images: Images, pool: Pool) -> Pairing:
    while True:
        pairing = pair(ledger.examinations, site)
        faults = images.write(pairing, pool)
        if not faults:
            return pairing
        # An image that cannot be read a second time is set aside, and its visual field looks for another.
        for name, reason in faults.items():
            ledger.refuse(name, reason)
        index.forget(ledger.file_of[name] for name in faults)


def _write_datalist(
    pairing: Pairing, images: Images, site: SiteConfig, pseudonyms: Pseudonyms, output: OutputFolder
) -> Datalist | None:
    from medmd.data import Datalist, write_datalist

    cases = [
        make_case(found, pseudonyms.case(found.vf.name), images.entry, site.inputs.wanted) for found in pairing.pairs
    ]
    if not cases:
        return None
    try:
        splits = split_cases(cases, site.split.options(), target_of(site))
    except MedmdError:
        # The options were checked before: there are fewer patients than lists. The images are there all the same.
        splits = {"unsplit": cases}
    datalist = Datalist(header=make_header(site), splits=splits)
    write_datalist(output.path / DATALIST, datalist)
    output.record_written(DATALIST)
    return datalist


def _split_note(datalist: Datalist | None, site: SiteConfig) -> str:
    if datalist is None or site.split.unsplit or "unsplit" not in datalist.splits:
        return ""
    return "split: fewer patients than lists were asked for; all cases are in one list, `unsplit`"
