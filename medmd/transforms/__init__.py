"""Eye-specific MONAI dictionary transforms: what turns a datalist item into what a network sees.

Every pipeline loads (`LoadVolumed`, `LoadPhotographd`), brings all eyes to one form (`OctToSlicesFirstd`,
`HarmonizeLateralityd`, `CropRetinaBandd`, `FitFundusCircled`), scales intensities (MONAI's `ScaleIntensityRange…d`),
then augments in training, and ends in `PackInputsd`.

Names that need torch or MONAI are imported at first use: converters mask photographs with the circle alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from medmd.transforms._circle import FundusCircle, circle_mask, fit_fundus_circle

if TYPE_CHECKING:
    from medmd.transforms._augment import RandInPlaneAffined, RandIntensityd, RandNoised, RandShiftAxisd
    from medmd.transforms._axes import OctToSlicesFirstd
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

_LAZY = {
    "BenGraham": "medmd.transforms._enhance",
    "BenGrahamd": "medmd.transforms._enhance",
    "Clahe": "medmd.transforms._enhance",
    "Clahed": "medmd.transforms._enhance",
    "CropRetinaBandd": "medmd.transforms._retina_band",
    "FitFundusCircled": "medmd.transforms._fundus",
    "HarmonizeLateralityd": "medmd.transforms._laterality",
    "LoadPhotograph": "medmd.transforms._load",
    "LoadPhotographd": "medmd.transforms._load",
    "LoadVolume": "medmd.transforms._load",
    "LoadVolumed": "medmd.transforms._load",
    "OctToSlicesFirstd": "medmd.transforms._axes",
    "PackInputsd": "medmd.transforms._pack",
    "RandInPlaneAffined": "medmd.transforms._augment",
    "RandIntensityd": "medmd.transforms._augment",
    "RandModalityDropoutd": "medmd.transforms._dropout",
    "RandNoised": "medmd.transforms._augment",
    "RandShiftAxisd": "medmd.transforms._augment",
    "RetinaBand": "medmd.transforms._retina_band",
    "StandardizeVectord": "medmd.transforms._vectors",
    "find_retina_band": "medmd.transforms._retina_band",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_LAZY[name]), name)
