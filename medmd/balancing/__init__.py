"""What happens to gradients when several objectives share encoders: one method a module, one call for all."""

from medmd.balancing._balancer import BalancedModel, Balancer
from medmd.balancing._losses import Losses
from medmd.balancing._min_norm import min_norm_weight
from medmd.balancing._mmpareto import MMPareto
from medmd.balancing._ogm_ge import OGMGE
from medmd.balancing._plain import JointLoss, UniformSum
from medmd.balancing._probing import ForwardState, probing
from medmd.balancing._sgm import SGM

__all__ = [
    "OGMGE",
    "SGM",
    "BalancedModel",
    "Balancer",
    "ForwardState",
    "JointLoss",
    "Losses",
    "MMPareto",
    "UniformSum",
    "min_norm_weight",
    "probing",
]
