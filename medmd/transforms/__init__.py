"""Eye-specific MONAI dictionary transforms: what turns a datalist item into what a network sees.

Every pipeline loads (`LoadVolumed`, `LoadPhotographd`), brings all eyes to one form (`OctToSlicesFirstd`,
`HarmonizeLateralityd`, `CropRetinaBandd`, `FitFundusCircled`), scales intensities (MONAI's `ScaleIntensityRange…d`),
then augments in training, and ends in `PackInputsd`.
"""

from medmd.transforms._augment import RandInPlaneAffined, RandIntensityd, RandNoised, RandShiftAxisd
from medmd.transforms._axes import OctToSlicesFirstd
from medmd.transforms._circle import FundusCircle, circle_mask, fit_fundus_circle
from medmd.transforms._dropout import RandModalityDropoutd
from medmd.transforms._enhance import BenGraham, BenGrahamd, Clahe, Clahed
from medmd.transforms._fundus import FitFundusCircled
from medmd.transforms._laterality import HarmonizeLateralityd
from medmd.transforms._load import LoadPhotograph, LoadPhotographd, LoadVolume, LoadVolumed
from medmd.transforms._pack import PackInputsd
from medmd.transforms._retina_band import CropRetinaBandd, RetinaBand, find_retina_band
from medmd.transforms._vectors import StandardizeVectord

__all__ = [
    "BenGraham",
    "BenGrahamd",
    "Clahe",
    "Clahed",
    "CropRetinaBandd",
    "FitFundusCircled",
    "FundusCircle",
    "HarmonizeLateralityd",
    "LoadPhotograph",
    "LoadPhotographd",
    "LoadVolume",
    "LoadVolumed",
    "OctToSlicesFirstd",
    "PackInputsd",
    "RandInPlaneAffined",
    "RandIntensityd",
    "RandModalityDropoutd",
    "RandNoised",
    "RandShiftAxisd",
    "RetinaBand",
    "StandardizeVectord",
    "circle_mask",
    "find_retina_band",
    "fit_fundus_circle",
]
