"""Writing the images of all pairs, those aside that an earlier run left whole."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from data_prep._output import OutputFolder
from data_prep._parallel import map_in_order
from data_prep.hospital._facts import Examination
from data_prep.hospital._pairing import Pairing
from data_prep.hospital._pseudonyms import Pseudonyms
from data_prep.hospital._write import FOLDERS, Output, WriteTask, image_name, lost, made_from, write_images
from medmd.utils import Pool, cores, progress

_IMAGE = re.compile(r"[0-9a-f]{16}\.(nii\.gz|png)")


class Images:
    """The images in the output.

    Args:
        output: the folder.
        places: pointer -> file that is read.
        pseudonyms: makers of names.
    """

    def __init__(self, output: OutputFolder, places: Mapping[str, Path], pseudonyms: Pseudonyms) -> None:
        self._output, self._places, self._pseudonyms = output, places, pseudonyms
        self._written: dict[str, str] = {}

    def write(self, pairing: Pairing, pool: Pool) -> dict[str, str]:
        """Write every image of the pairs that is not there.

        Returns:
            Name of an examination whose image cannot be made -> why.
        """
        wanted = {self.name(each): each for each in used_images(pairing)}
        missing = self._missing({name: each for name, each in wanted.items() if name not in self._written})
        tasks = self._tasks(missing)
        faults = {}
        results = pool.map(write_images, tasks, lost=lost)
        for several in progress(results, total=len(tasks), description="Writing", unit="file"):
            for written in several:
                examination = missing[written.name]
                if written.reason is not None:
                    faults[examination.name] = written.reason
                else:
                    self._note(written.name, examination, written.sha256)
        return faults

    def name(self, examination: Examination) -> str:
        """Name of the file."""
        return image_name(examination, self._pseudonyms.image(examination.patient, examination.content))

    def entry(self, examination: Examination) -> tuple[str, str]:
        """Name and SHA-256 of a file that was written."""
        name = self.name(examination)
        return name, self._written[name]

    def keep_only(self, pairing: Pairing) -> None:
        """Remove images of our naming that no pair uses: of patients, say, who are no longer in the export."""
        names = {self.name(each) for each in used_images(pairing)}
        self._output.discard(set(self._written) - names)
        for folder in FOLDERS.values():
            for path in sorted((self._output.path / folder).glob("*")):
                if _IMAGE.fullmatch(path.name) and f"{folder}/{path.name}" not in names:
                    path.unlink()
            for path in sorted((self._output.path / folder).glob(".tmp-*")):
                path.unlink()  # Of a lost worker.

    def _missing(self, wanted: Mapping[str, Examination]) -> dict[str, Examination]:
        def found(name: str) -> str | None:
            return self._output.reusable(name, made_from=made_from(wanted[name]))

        for name, sha256 in zip(wanted, map_in_order(found, list(wanted), workers=cores()), strict=True):
            if sha256 is not None:
                self._note(name, wanted[name], sha256)
        return {name: each for name, each in wanted.items() if name not in self._written}

    def _tasks(self, missing: Mapping[str, Examination]) -> list[WriteTask]:
        by_file: dict[Path, list[Output]] = defaultdict(list)
        for name, each in missing.items():
            output = Output(
                name=name,
                target=self._output.path.resolve() / name,
                number=int(each.key or 0),
                content=each.content,
                spacing=each.spacing,
            )
            by_file[self._places[each.pointer]].append(output)
        return [WriteTask(path=path, outputs=tuple(outputs)) for path, outputs in by_file.items()]

    def _note(self, name: str, examination: Examination, sha256: str) -> None:
        self._written[name] = sha256
        self._output.record(name, made_from=made_from(examination), sha256=sha256)


def used_images(pairing: Pairing) -> list[Examination]:
    """The images of all pairs, in order, each once."""
    images = [each for found in pairing.pairs for each in (found.oct, found.fundus) if each is not None]
    return list({each.name: each for each in images}.values())
