"""`python -m data_prep.hospital SRC OUT --config site.yaml`, `--init SRC` and `--locate POINTER`."""

from __future__ import annotations

import argparse
import logging
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from data_prep._exit import EXIT_CODES, Exit, exit_code
from data_prep.hospital import convert, locate, read_key
from medmd.utils import MedmdError, WriteError

_PROGRAM = "python -m data_prep.hospital"
_EPILOG = f"""\
SRC is the folder of an export: DICOM from a PACS, vendors' exports, images with tables, nested in any way. It is only
read. OUT receives datalist.json, the images, report.html (look at it) and report.json: what became of every file.
Running again reads only what is new or changed, and finishes what was interrupted; with another site file, nothing has
to be read again. A folder that holds anything else is left alone.

No name, number, date or place of the export leaves it. Files are named by pointers, which --locate turns back into
places, with the key, on your screen. The key comes from --key-file, or from the variable MEDMD_PSEUDONYM_KEY; keep it
outside SRC and OUT. With another key the same patient has another pseudonym.

{EXIT_CODES}

example, from an export to a model:
  python -c "import secrets; print(secrets.token_hex(32))" > pseudonym.key && chmod 600 pseudonym.key
  {_PROGRAM} --init export/ > site.yaml       # then look through site.yaml
  {_PROGRAM} export/ eyes/ --config site.yaml --key-file pseudonym.key
  medmd check eyes/datalist.json
  python -m monai.bundle run --dataset_dir eyes/ --output_dir output/eyes \\
    --config_file "['bundles/remd/train.json','bundles/remd/data/hospital.json']"
"""


def build_parser() -> argparse.ArgumentParser:
    """The arguments."""
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Convert a hospital's export to a de-identified medmd datalist.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SRC", nargs="?", help="folder of the export")
    parser.add_argument("out", metavar="OUT", nargs="?", help="folder to write: new, empty, or of an earlier call")
    parser.add_argument("--config", metavar="FILE", help="the site file")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="file with the key of the pseudonyms")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one a core)")
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="work on a Dask cluster instead, such as tcp://host:8786"
    )
    parser.add_argument(
        "--verify", action="store_true", help="compare the bytes of known files, not only their size and time"
    )
    parser.add_argument(
        "--locate",
        nargs="+",
        metavar="POINTER",
        help="print where files lie that a report points to; the answer identifies",
    )
    parser.add_argument("--init", metavar="SRC", help="look at an export and print a site file for it")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments without the program's name; those of the process when None.

    Returns:
        The exit code, see `data_prep._exit.Exit`.
    """
    parser = build_parser()
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return _run(arguments, parser)
    except MedmdError as error:
        print(error, file=sys.stderr)
        return Exit.BAD_CALL
    except WriteError as error:
        print(error, "The same command finishes the work.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. The same command finishes the work.", file=sys.stderr)
        return 130
    except Exception as error:  # noqa: BLE001 - told without its text
        # The text of an error may name a file of the export; where it was raised says enough.
        places = [
            f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
        ]
        print(f"A fault of the program, {type(error).__name__}, at:", *places, sep="\n", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    if arguments.init is not None:
        if arguments.source is not None:
            parser.error("--init SRC stands alone")
        from data_prep.hospital._propose import propose

        print(propose(Path(arguments.init)))
        return Exit.DONE
    if arguments.source is None or arguments.out is None:
        parser.error("expected SRC and OUT, or --init SRC")
    if arguments.locate:
        return _locate(arguments)
    if arguments.config is None:
        parser.error(f"expected --config FILE; `{_PROGRAM} --init SRC > site.yaml` proposes one")
    return _convert(arguments)


def _convert(arguments: argparse.Namespace) -> int:
    report = convert(
        arguments.source,
        arguments.out,
        config=arguments.config,
        key=read_key(arguments.key_file),
        workers=arguments.workers,
        scheduler=arguments.scheduler,
        verify=arguments.verify,
    )
    print(report.text())
    if not report.usable:
        print(f"{arguments.out}: nothing usable, no datalist is written; see report.html", file=sys.stderr)
    else:
        print(f"written to {arguments.out}: look at report.html")
    return exit_code(report)


def _locate(arguments: argparse.Namespace) -> int:
    found = locate(arguments.source, arguments.out, arguments.locate, key=read_key(arguments.key_file))
    for pointer, path in found.items():
        print(f"{pointer}\t{path if path is not None else 'not found'}")
    return Exit.DONE if all(found.values()) else Exit.NOTHING_USABLE


if __name__ == "__main__":
    sys.exit(main())
