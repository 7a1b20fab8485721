"""Every setting of the library with its only default.

Defaults of the model are those of torchvision's `maskrcnn_resnet50_fpn`, so that its checkpoints keep their numbers.
Boxes and lengths are in pixels of the network's input; fractions and thresholds lie in 0..1.
"""

from .base import SCORE_THRESHOLD, Settings
from .features import AnchorSettings, BackboneSettings, InputSettings, NeckSettings, RoISettings, RPNSettings
from .heads import (
    BoxHeadSettings,
    CascadeSettings,
    CascadeStage,
    KeypointHeadSettings,
    MaskHeadSettings,
    SemanticHeadSettings,
)
from .model import ModelSettings, PanopticSettings, TTASettings
from .training import AugmentSettings, DataSettings, RunSettings, TrainSettings

__all__ = [
    "SCORE_THRESHOLD",
    "AnchorSettings",
    "AugmentSettings",
    "BackboneSettings",
    "BoxHeadSettings",
    "CascadeSettings",
    "CascadeStage",
    "DataSettings",
    "InputSettings",
    "KeypointHeadSettings",
    "MaskHeadSettings",
    "ModelSettings",
    "NeckSettings",
    "PanopticSettings",
    "RPNSettings",
    "RoISettings",
    "RunSettings",
    "SemanticHeadSettings",
    "Settings",
    "TTASettings",
    "TrainSettings",
]
