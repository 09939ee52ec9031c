"""Eye-specific MONAI dictionary transforms: what turns a datalist item into what a network sees."""

from medmd.transforms._axes import OctToSlicesFirstd
from medmd.transforms._laterality import HarmonizeLateralityd
from medmd.transforms._load import LoadPhotograph, LoadPhotographd, LoadVolume, LoadVolumed
from medmd.transforms._pack import PackInputsd

__all__ = [
    "HarmonizeLateralityd",
    "LoadPhotograph",
    "LoadPhotographd",
    "LoadVolume",
    "LoadVolumed",
    "OctToSlicesFirstd",
    "PackInputsd",
]
