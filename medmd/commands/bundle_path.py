"""Print the folder of an installed MONAI bundle, in a checkout and in an installed package alike."""

from __future__ import annotations

import argparse
from pathlib import Path

import bundles
from medmd.utils import MedmdError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--name", default="remd", help="which bundle (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Print the folder."""
    print(bundle_folder(args.name))
    return 0


def bundle_folder(name: str = "remd") -> Path:
    """The folder of the bundle called `name`.

    Raises:
        MedmdError: no such bundle is installed; the text lists those that are.
    """
    found = _installed_bundles()
    if name not in found:
        msg = f"--name: no bundle {name!r} is installed. Expected one of: {', '.join(sorted(found)) or 'none found'}."
        raise MedmdError(msg)
    return found[name]


def _installed_bundles() -> dict[str, Path]:
    # `bundles` is a namespace package. An editable installation adds an entry to its path that is no folder, at which
    # importlib.resources.files gives up; and a folder of that name in the working directory may hold something else.
    portions = [Path(entry) for entry in bundles.__path__ if Path(entry).is_dir()]
    files = [file for portion in reversed(portions) for file in sorted(portion.glob("*/metadata.json"))]
    return {file.parent.name: file.parent.resolve() for file in files}
