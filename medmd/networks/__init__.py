"""Encoders of one modality, the multimodal regressor, and how they are described and stored."""

from medmd.networks._build import build_network
from medmd.networks._bundle_network import BundleNetwork
from medmd.networks._classifier import MultimodalClassifier
from medmd.networks._cross_conv import CrossConvRegressor
from medmd.networks._densenet import DenseNetEncoder
from medmd.networks._efficientnet_lite import EfficientNetLiteEncoder
from medmd.networks._egvfi import Egvfi3dEncoder
from medmd.networks._evidential import EvidentialRegressor, mix_student_t
from medmd.networks._feature_smoothing import FeatureSmoothing
from medmd.networks._heads import ClassificationHead, Projector, RegressionHead
from medmd.networks._multi_expert import MultiExpertRegressor
from medmd.networks._multimodal import MultimodalNetwork
from medmd.networks._multitask import MultitaskNetwork
from medmd.networks._predictions import Predictions
from medmd.networks._regressor import MultimodalRegressor
from medmd.networks._resnet import ResNetEncoder, SliceChannelEncoder
from medmd.networks._small_cnn import SmallCnnEncoder
from medmd.networks._vector import VectorEncoder
from medmd.networks._vit import ViTEncoder
from medmd.networks._weights import load_weights, save_weights

__all__ = [
    "BundleNetwork",
    "ClassificationHead",
    "CrossConvRegressor",
    "DenseNetEncoder",
    "EfficientNetLiteEncoder",
    "Egvfi3dEncoder",
    "EvidentialRegressor",
    "FeatureSmoothing",
    "MultiExpertRegressor",
    "MultimodalClassifier",
    "MultimodalNetwork",
    "MultimodalRegressor",
    "MultitaskNetwork",
    "Predictions",
    "Projector",
    "RegressionHead",
    "ResNetEncoder",
    "SliceChannelEncoder",
    "SmallCnnEncoder",
    "VectorEncoder",
    "ViTEncoder",
    "build_network",
    "load_weights",
    "mix_student_t",
    "save_weights",
]
