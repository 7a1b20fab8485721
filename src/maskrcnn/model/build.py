"""The assembled model on one screen."""

import torch

from ..config import ModelSettings
from ..errors import SettingError
from .anchors import Anchors, check_levels
from .box_head import BoxHead
from .cascade import stage_settings
from .fpn import FPN
from .keypoint_head import KeypointHead
from .mask_head import MaskHead
from .mask_rcnn import MaskRCNN, Parts
from .mobilenet import MobileNet
from .resnet import ResNet, Stage5Head
from .roi_pooling import RoIPooling
from .rpn import RPN
from .semantic_head import LEVELS as SEMANTIC_LEVELS
from .semantic_head import SemanticHead
from .single_level import SingleLevel
from .timm_body import TimmBody

Body = ResNet | MobileNet | TimmBody


def build_model(settings: ModelSettings, classes: int, *, keypoints: int = 0) -> MaskRCNN:
    """The network with random weights.

    Args:
        settings: What it is made of.
        classes: Number of classes K, without background.
        keypoints: Number of keypoints per object, for a keypoint head.

    Raises:
        SettingError: Parts that do not fit together.
    """
    body = make_body(settings)
    neck = make_neck(settings, body)
    anchors = Anchors(settings.anchors)
    check_levels(settings.anchors, neck.levels)
    shared = Stage5Head(settings.backbone) if settings.neck.name == "c4" else None
    width, shrink = (shared.outputs, 2) if shared else (neck.channels, 1)
    parts = Parts(
        body=body,
        neck=neck,
        anchors=anchors,
        rpn=RPN(neck.channels, anchors.per_pixel, settings.rpn),
        pooling=RoIPooling(settings.roi, neck.roi_levels),
        shared_head=shared,
        box_heads=[
            BoxHead(width, classes, stage, pooled=-(-stage.pool_size // shrink))
            for stage, _ in stage_settings(settings)
        ],
        mask_heads=make_mask_heads(settings, width, classes, shrink),
        keypoint_head=make_keypoint_head(settings, width, keypoints),
        semantic_head=make_semantic_head(settings, neck.levels),
    )
    return MaskRCNN(parts, classes=classes, settings=settings).to(memory_format=torch.channels_last)


def make_body(settings: ModelSettings) -> Body:
    """The backbone alone: pictures to {level: map}, with `channels` of each level."""
    name, channels = settings.backbone.name, settings.input.channels
    if name.startswith("timm/"):
        return TimmBody(settings.backbone, channels=channels)
    if name == "mobilenet_v3_large":
        return MobileNet(settings.backbone, channels=channels)
    return ResNet(settings.backbone, channels=channels, stages=3 if settings.neck.name == "c4" else 4)


def make_neck(settings: ModelSettings, body: Body) -> FPN | SingleLevel:
    """What the heads see: the pyramid, or one map, whose level names its stride."""
    if settings.neck.name == "fpn":
        return FPN(body.channels, settings.neck, roi_levels=body.roi_levels)
    if settings.backbone.name.startswith("timm/") or settings.backbone.name == "mobilenet_v3_large":
        raise SettingError(
            f"model.neck.name={settings.neck.name}: needs the stages of a residual network, but model.backbone.name="
            f"{settings.backbone.name}. Set model.neck.name=fpn, or another backbone."
        )
    if settings.neck.name == "c4":
        return SingleLevel(body.channels[4], source=4, level=4)
    return SingleLevel(body.channels[5], source=5, level=4 if settings.backbone.dilate_stage5 else 5)


def make_mask_heads(settings: ModelSettings, width: int, classes: int, shrink: int) -> list[MaskHead]:
    """None, one, or one per stage of the cascade."""
    head = settings.mask_head
    if head is None:
        return []
    per_stage = settings.cascade is not None and settings.cascade.mask_head_per_stage
    count = len(settings.cascade.stages) if settings.cascade and per_stage else 1
    return [MaskHead(width, classes, head, pooled=-(-head.pool_size // shrink)) for _ in range(count)]


def make_keypoint_head(settings: ModelSettings, width: int, keypoints: int) -> KeypointHead | None:
    """A keypoint head for so many keypoints, if the settings have one."""
    if settings.keypoint_head is None:
        return None
    if keypoints == 0:
        raise SettingError(
            "model.keypoint_head: the classes have no keypoints. Use data whose categories list `keypoints`, or set "
            "model.keypoint_head=null."
        )
    return KeypointHead(width, keypoints, settings.keypoint_head)


def make_semantic_head(settings: ModelSettings, levels: tuple[int, ...]) -> SemanticHead | None:
    """A semantic head on the levels of a pyramid, if the settings have one."""
    if settings.semantic_head is None:
        return None
    if settings.neck.name != "fpn":
        raise SettingError(f"model.semantic_head: needs model.neck.name=fpn, not {settings.neck.name}.")
    if not set(SEMANTIC_LEVELS) <= set(levels):
        raise SettingError(
            f"model.semantic_head: needs the levels {SEMANTIC_LEVELS}, but the pyramid on {settings.backbone.name} has "
            f"{levels}. Choose a residual network as model.backbone.name."
        )
    if settings.mask_head is None:
        raise SettingError("model.semantic_head: needs model.mask_head; segments are made of its masks too.")
    return SemanticHead(settings.neck.channels, settings.semantic_head)
