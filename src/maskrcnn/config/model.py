"""The whole network, and what it does with what its parts predict."""

from typing import Annotated

from pydantic import Field

from .base import AT_PREDICTION, Fraction, Positive, Settings
from .features import AnchorSettings, BackboneSettings, InputSettings, NeckSettings, RoISettings, RPNSettings
from .heads import (
    BoxHeadSettings,
    CascadeSettings,
    KeypointHeadSettings,
    MaskHeadSettings,
    SemanticHeadSettings,
)


class PanopticSettings(Settings):
    """How detections and semantic classes become one map (Kirillov et al. 2019, Panoptic segmentation, section 7)."""

    overlap_threshold: Fraction = Field(
        0.5, description="Detections are dropped if a larger part of their mask is already covered."
    )
    stuff_area_limit: int = Field(4096, ge=0, description="Smaller regions of stuff are left empty, in pixels.")
    score_threshold: Fraction = Field(0.5, description="Detections with lower scores are left out.")


class ModelSettings(Settings):
    """Mask R-CNN and its relatives; `mask_head: null` gives Faster R-CNN."""

    input: Annotated[InputSettings, AT_PREDICTION] = Field(
        InputSettings(), description="How an image becomes the network's input."
    )
    backbone: BackboneSettings = Field(BackboneSettings(), description="From pixels to features.")
    neck: NeckSettings = Field(NeckSettings(), description="From features to the maps that the heads see.")
    anchors: Annotated[AnchorSettings, AT_PREDICTION] = Field(AnchorSettings(), description="Where proposals start.")
    rpn: Annotated[RPNSettings, AT_PREDICTION] = Field(RPNSettings(), description="Region proposal network.")
    roi: Annotated[RoISettings, AT_PREDICTION] = Field(RoISettings(), description="Pooling of the features of a box.")
    box_head: BoxHeadSettings = Field(BoxHeadSettings(), description="Classes and boxes.")
    cascade: CascadeSettings | None = Field(None, description="Several box heads one after the other; null: one.")
    mask_head: MaskHeadSettings | None = Field(MaskHeadSettings(), description="Masks; null: boxes only, Faster R-CNN.")
    keypoint_head: KeypointHeadSettings | None = Field(None, description="Keypoints; null: none.")
    semantic_head: SemanticHeadSettings | None = Field(None, description="Semantic classes; null: none.")
    panoptic: Annotated[PanopticSettings, AT_PREDICTION] = Field(
        PanopticSettings(), description="Merging of detections and semantic classes."
    )


class TTASettings(Settings):
    """Test-time augmentation: the detections of several versions of an image are merged."""

    flip: bool = Field(False, description="Each scale also with the flipped image.")
    scales: tuple[Annotated[Positive, Field(allow_inf_nan=False)], ...] = Field(
        (),
        description="Lengths of the shorter side instead of `input.min_size`, or factors instead of "
        "`input.scale_factor` if the weights have that; empty: the usual one.",
    )
