"""Every setting of the library with its only default.

Defaults of the model are those of torchvision's `maskrcnn_resnet50_fpn`, so that its checkpoints keep their numbers.
Boxes and lengths are in pixels of the network's input; fractions and thresholds lie in 0..1.
"""

from .base import Settings
from .features import AnchorSettings, BackboneSettings, FPNSettings, InputSettings, RoISettings, RPNSettings
from .heads import (
    BoxHeadSettings,
    CascadeSettings,
    CascadeStage,
    KeypointHeadSettings,
    MaskHeadSettings,
    PanopticSettings,
    SemanticHeadSettings,
)
from .model import ModelSettings
from .training import AugmentSettings, DataSettings, RunSettings, TrainSettings
from .tta import TTASettings

__all__ = [
    "AnchorSettings",
    "AugmentSettings",
    "BackboneSettings",
    "BoxHeadSettings",
    "CascadeSettings",
    "CascadeStage",
    "DataSettings",
    "FPNSettings",
    "InputSettings",
    "KeypointHeadSettings",
    "MaskHeadSettings",
    "ModelSettings",
    "PanopticSettings",
    "RPNSettings",
    "RoISettings",
    "RunSettings",
    "SemanticHeadSettings",
    "Settings",
    "TTASettings",
    "TrainSettings",
]
