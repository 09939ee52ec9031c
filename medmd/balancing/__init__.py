"""What happens to gradients when several objectives share encoders: one method a module, one call for all."""

from medmd.balancing._balancer import BalancedModel, Balancer
from medmd.balancing._cagrad import CAGrad
from medmd.balancing._imb_sam import SSESAM, ImbSAM
from medmd.balancing._losses import Losses
from medmd.balancing._mgda import MGDA
from medmd.balancing._min_norm import min_norm_weight
from medmd.balancing._mmpareto import MMPareto
from medmd.balancing._nash_mtl import NashMTL
from medmd.balancing._ogm_ge import OGMGE
from medmd.balancing._pcgrad import PCGrad
from medmd.balancing._plain import JointLoss, UniformSum
from medmd.balancing._probing import ForwardState, probing
from medmd.balancing._sam import ASAM, SAM
from medmd.balancing._sgm import SGM

__all__ = [
    "ASAM",
    "MGDA",
    "OGMGE",
    "SAM",
    "SGM",
    "SSESAM",
    "BalancedModel",
    "Balancer",
    "CAGrad",
    "ForwardState",
    "ImbSAM",
    "JointLoss",
    "Losses",
    "MMPareto",
    "NashMTL",
    "PCGrad",
    "UniformSum",
    "min_norm_weight",
    "probing",
]
