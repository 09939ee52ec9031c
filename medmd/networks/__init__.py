"""Encoders of one modality, the multimodal regressor, and how they are described and stored."""

from medmd.networks._bundle_network import BundleNetwork
from medmd.networks._heads import Projector, RegressionHead
from medmd.networks._predictions import Predictions
from medmd.networks._regressor import MultimodalRegressor
from medmd.networks._resnet import ResNetEncoder, SliceChannelEncoder

__all__ = [
    "BundleNetwork",
    "MultimodalRegressor",
    "Predictions",
    "Projector",
    "RegressionHead",
    "ResNetEncoder",
    "SliceChannelEncoder",
]
