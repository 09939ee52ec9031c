"""Damaged and hostile files over every reader: what comes back is a record or a refusal, soon, and little else.

    python tests/fuzz/fuzz_readers.py --files 20000 --out docs/results

Each file is read in a child process with bounded memory. Counted as faults: an exception other than `RefusedError`, a
text of the file in the exception's own, a file read for longer than the limit, a child that dies, and anything written
beside the file. Files are made from whole ones by `fuzz_mutations`, so that a number names a file for ever: a fault is
seen again with `--first NUMBER --files 1`.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import platform
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from fuzz_mutations import mutate
from fuzz_seeds import Seed, seeds

LIMIT_SECONDS = 20.0
# Above what the process holds before it reads: a volume of the largest size accepted, a copy of it, and room.
LIMIT_BYTES = 5 * 2**29
CANARIES = (b"Doe", b"Canary", b"MRN", b"Vogel")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Read the damaged files, tell, and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--out", type=Path, help="folder of fuzz.json and fuzz.md")
    options = parser.parse_args(arguments)
    found = fuzz(options.files, first=options.first)
    page = _page(found)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "fuzz.json").write_text(json.dumps(found, indent=2) + "\n")
        (options.out / "fuzz.md").write_text(page)
    sys.stdout.write(page)
    return found


def fuzz(files: int, *, first: int = 0) -> dict[str, Any]:
    """Read `files` damaged files from number `first` on."""
    whole = seeds()
    context = multiprocessing.get_context("spawn")
    outcomes: Counter[str] = Counter()
    faults: list[dict[str, Any]] = []
    slowest, peak, number, end = 0.0, 0, first, first + files
    started = time.monotonic()
    while number < end:
        ours, theirs = context.Pipe()
        child = context.Process(target=_read_files, args=(theirs, whole, number, end), daemon=True)
        child.start()
        theirs.close()
        while number < end:
            # The first answer waits for the imports too.
            if not ours.poll(LIMIT_SECONDS + (60 if number == first else 20)):
                faults.append({"number": number, "seed": whole[number % len(whole)].name, "fault": "hang"})
                break
            try:
                answer = ours.recv()
            except EOFError:
                child.join()
                fault = f"the process died with {child.exitcode}"
                faults.append({"number": number, "seed": whole[number % len(whole)].name, "fault": fault})
                break
            outcomes[answer["outcome"]] += 1
            slowest, peak = max(slowest, answer["seconds"]), max(peak, answer["peak"])
            if answer["fault"]:
                faults.append({"number": number, "seed": answer["seed"], "fault": answer["fault"]})
            number += 1
        else:
            child.join()
            break
        child.kill()
        child.join()
        number += 1
    return {
        "files": files,
        "first": first,
        "seeds": len(whole),
        "outcomes": dict(sorted(outcomes.items(), key=lambda item: -item[1])),
        "faults": faults,
        "slowest_seconds": round(slowest, 2),
        "peak_mib_above_start": peak // 2**20,
        "limit_seconds": LIMIT_SECONDS,
        "limit_mib_above_start": LIMIT_BYTES // 2**20,
        "minutes": round((time.monotonic() - started) / 60, 1),
        "python": platform.python_version(),
    }


def _read_files(pipe: Connection, whole: list[Seed], number: int, end: int) -> None:
    """In the child: read one after the other and tell after each."""
    import medmd.io

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    contents = [seed.content for seed in whole]
    for seed in whole:
        _attempt(medmd.io, seed.content)
    start = _resident()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE") + LIMIT_BYTES,) * 2)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for each in range(number, end):
            seed = whole[each % len(whole)]
            data = mutate(seed.content, each, contents)
            pipe.send({"seed": seed.name, **_judge(medmd.io, seed, data, Path(folder)), "peak": _resident() - start})
    pipe.close()


def _judge(io: Any, seed: Seed, data: bytes, folder: Path) -> dict[str, Any]:
    """Read one file from its place or from memory; what came of it."""
    files = {seed.name: data, **seed.beside}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    source = folder / seed.name if seed.beside or len(data) % 2 else data
    start = time.monotonic()
    outcome, fault = _attempt(io, source)
    seconds = time.monotonic() - start
    strays = {path.name for path in folder.rglob("*")} - set(files)
    if seconds > LIMIT_SECONDS:
        fault = f"{seconds:.0f} s"
    if strays:
        fault = f"{len(strays)} files were written"
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()
    return {"outcome": outcome, "fault": fault, "seconds": seconds}


def _attempt(io: Any, source: Any) -> tuple[str, str]:
    """Outcome, and the fault if it is one."""
    try:
        records = io.read_all(source)
    except io.RefusedError as error:
        told = f"{error}{error.__cause__}{'' if error.__suppress_context__ else error.__context__}".encode()
        leaked = [canary.decode() for canary in CANARIES if canary in told]
        return f"refused: {error.reason}", f"{leaked} in the text" if leaked else ""
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is a finding
        return f"raised {type(error).__name__}", f"raised {type(error).__name__}"
    return f"read as {type(records[0]).__name__}" if records else "read, nothing in it", ""


def _resident() -> int:
    """Greatest resident memory so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _page(found: dict[str, Any]) -> str:
    rows = "\n".join(f"| {name} | {count} |" for name, count in found["outcomes"].items())
    faults = "\n".join(f"- file {each['number']} ({each['seed']}): {each['fault']}" for each in found["faults"])
    return (
        f"""\
# Damaged and hostile files

Written by `python tests/fuzz/fuzz_readers.py --files {found["files"]} --first {found["first"]} --out docs/results`:
files made from {found["seeds"]} whole ones of every format, each read in a process whose memory is bounded to
{found["limit_mib_above_start"]} MiB above its start.

- {found["files"]} files in {found["minutes"]} minutes, Python {found["python"]}
- {len(found["faults"])} faults: another exception than a refusal, a text of the file in it, a dead process, more than
  {found["limit_seconds"]:.0f} s for a file, or something written
- slowest file {found["slowest_seconds"]} s, greatest memory {found["peak_mib_above_start"]} MiB above the start

| outcome | files |
|---|---|
{rows}

{faults}
""".rstrip()
        + "\n"
    )


if __name__ == "__main__":
    sys.exit(1 if main()["faults"] else 0)
