"""Files that a fuzzer grows towards code not yet reached, over every reader: a record or a refusal, nothing else.

    pip install atheris
    python tests/fuzz/guided_readers.py CORPUS -max_total_time=600

What follows the corpus (a folder, filled with the whole files of every format when it is new) are libFuzzer's own
options. A fault ends the run with a traceback and leaves the file that shows it. Memory and time a file are bounded as
in `fuzz_readers.py`, which needs no fuzzer.
"""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import atheris
import fuzz_readers

with atheris.instrument_imports(include=["medmd.io", "pydicom", "PIL", "nibabel"]):
    import medmd.io


def read(data: bytes) -> None:
    """One file; an exception out of here is a finding."""
    outcome, fault = fuzz_readers._attempt(medmd.io, data)
    if fault:
        # Once more, for the traceback.
        medmd.io.read_all(data)
        raise AssertionError(f"{outcome}: {fault}")


def fill(corpus: Path) -> None:
    """The whole files of every format as a start."""
    corpus.mkdir(parents=True)
    for seed in fuzz_readers.seeds():
        (corpus / seed.name).write_bytes(seed.content)


def main(arguments: list[str]) -> None:
    """Grow files until libFuzzer's options say stop."""
    if not arguments or arguments[0].startswith("-"):
        sys.exit(__doc__)
    if not Path(arguments[0]).exists():
        fill(Path(arguments[0]))
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    bounds = [f"-timeout={fuzz_readers.LIMIT_SECONDS:.0f}", f"-rss_limit_mb={fuzz_readers.LIMIT_BYTES >> 20}"]
    # A later option wins, so that the caller's do.
    atheris.Setup([sys.argv[0], *bounds, "-max_len=1000000", *arguments], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
