"""`python -m data_prep.rsna_bone_age SRC OUT`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from data_prep._release_command import run
from data_prep.rsna_bone_age import RELEASE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with arguments (those of the process when None) and return the exit code."""
    return run(RELEASE, argv)


if __name__ == "__main__":
    sys.exit(main())
