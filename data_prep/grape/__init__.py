"""GRAPE: fundus photographs, RNFL numbers and Octopus G1 visual fields of 144 glaucoma patients, as released.

Huang et al., "GRAPE: A multi-modal dataset of longitudinal follow-up visual field and fundus images for glaucoma
management", Scientific Data 2023. `python -m data_prep.grape --help` is the way to use it.

Importing this folder is light; images and tables are opened by the functions that need them.
"""

from data_prep.grape._convert import Options, convert
from data_prep.grape._field import BLIND_SPOT, POINTS, mean_sensitivity
from data_prep.grape._visits import Visit, Visits, read_visits

__all__ = ["BLIND_SPOT", "POINTS", "Options", "Visit", "Visits", "convert", "mean_sensitivity", "read_visits"]
