"""STAGE 2023 (OCT), STAGE 2024, called STAGE2 (OCT and fundus), and GAMMA: releases as they are unpacked on disk.

`python -m data_prep.stage2 --help` is the way to use it. Importing this folder is light; images and tables are opened
by the functions that need them.
"""

from data_prep.stage2._convert import Options, convert
from data_prep.stage2._submission import RESULTS, score_submission, write_submission

__all__ = ["RESULTS", "Options", "convert", "score_submission", "write_submission"]
