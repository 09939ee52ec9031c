"""PAPILA: fundus photographs of both eyes of 244 patients, with the MD of those that had a visual field, as released.

Kovalyk et al., "PAPILA: Dataset with fundus images and clinical data of both eyes of the same patient for glaucoma
assessment", Scientific Data 9:291, 2022. `python -m data_prep.papila --help` is the way to use it.

Importing this folder is light; images and tables are opened by the functions that need them.
"""

from data_prep.papila._convert import Options, convert

__all__ = ["Options", "convert"]
