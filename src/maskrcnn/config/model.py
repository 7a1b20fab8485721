"""The network."""

from typing import Annotated, Literal

from pydantic import Field

from .base import AT_PREDICTION, NotNegative, Settings
from .features import AnchorSettings, BackboneSettings, FPNSettings, InputSettings, RoISettings, RPNSettings
from .heads import (
    BoxHeadSettings,
    CascadeSettings,
    KeypointHeadSettings,
    MaskHeadSettings,
    PanopticSettings,
    SemanticHeadSettings,
)


class ModelSettings(Settings):
    """Mask R-CNN and its relatives; `mask_head: null` gives Faster R-CNN."""

    input: Annotated[InputSettings, AT_PREDICTION] = Field(
        InputSettings(), description="How a picture becomes the network's input."
    )
    backbone: BackboneSettings = Field(BackboneSettings(), description="From pixels to features.")
    neck: Literal["fpn", "c4", "c5"] = Field(
        "fpn",
        description="fpn: a pyramid of all levels; c4: the map of stage 4, with stage 5 as the head of every proposal; "
        "c5: the map of stage 5.",
    )
    fpn: FPNSettings = Field(FPNSettings(), description="Feature pyramid.")
    anchors: Annotated[AnchorSettings, AT_PREDICTION] = Field(AnchorSettings(), description="Where proposals start.")
    rpn: Annotated[RPNSettings, AT_PREDICTION] = Field(RPNSettings(), description="Region proposal network.")
    roi: Annotated[RoISettings, AT_PREDICTION] = Field(RoISettings(), description="Pooling of the features of a box.")
    box_head: BoxHeadSettings = Field(BoxHeadSettings(), description="Classes and boxes.")
    cascade: CascadeSettings | None = Field(None, description="Several box heads in a row; null: one.")
    mask_head: MaskHeadSettings | None = Field(MaskHeadSettings(), description="Masks; null: boxes only, Faster R-CNN.")
    keypoint_head: KeypointHeadSettings | None = Field(None, description="Keypoints; null: none.")
    semantic_head: SemanticHeadSettings | None = Field(None, description="Classes of pixels; null: none.")
    panoptic: Annotated[PanopticSettings, AT_PREDICTION] = Field(
        PanopticSettings(), description="Joining of detections and classes of pixels."
    )
    clamp_both_sides: Annotated[bool, AT_PREDICTION] = Field(
        False, description="Refined boxes may also not shrink below 16/1000 of a side (mmdetection)."
    )
    loss_epsilon: NotNegative = Field(
        0.0, description="Added to the number of boxes by which losses are divided (mmdetection: 1.1920929e-07)."
    )
