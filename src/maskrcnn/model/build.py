"""The assembled model on one screen."""

import torch
from torch import nn

from ..config import ModelSettings
from ..errors import SettingError
from .anchors import Anchors, check_levels
from .backbones.mobilenet import MobileNet
from .backbones.resnet import ResNet, Stage5Head
from .backbones.timm import TimmBackbone
from .checks import check_part
from .heads.box import BoxHead
from .heads.cascade import Cascade
from .heads.keypoint import KeypointHead
from .heads.mask import MaskHead
from .heads.semantic import LEVELS as SEMANTIC_LEVELS
from .heads.semantic import SemanticHead
from .interfaces import Backbone, BoxHeadLike, KeypointHeadLike, MaskHeadLike, Neck, Proposer, SemanticHeadLike
from .mask_rcnn import MaskRCNN
from .necks import FPN, SingleLevel
from .roi_pooling import RoIPooling
from .rpn import RPN


def build_model(
    settings: ModelSettings,
    classes: int,
    *,
    keypoints: int = 0,
    backbone: Backbone | None = None,
    neck: Neck | None = None,
    rpn: Proposer | None = None,
    box_head: BoxHeadLike | None = None,
    mask_head: MaskHeadLike | nn.ModuleList | None = None,
    keypoint_head: KeypointHeadLike | None = None,
    semantic_head: SemanticHeadLike | None = None,
) -> MaskRCNN:
    """The network with random weights.

    Args:
        settings: What it is made of.
        classes: Number of classes K, without background.
        keypoints: Number of keypoints per object, for a keypoint head.
        backbone, neck, rpn, box_head, mask_head, keypoint_head, semantic_head: Modules of one's own, used in place of
            those that the settings describe; see `model/interfaces.py`.

    Raises:
        SettingError: Parts that do not fit together.
    """
    backbone = make_backbone(settings) if backbone is None else backbone
    neck = make_neck(settings, backbone) if neck is None else neck
    shared = Stage5Head(settings.backbone) if settings.neck.name == "c4" else None
    width, shrink = (shared.outputs, 2) if shared else (neck.channels, 1)
    return MaskRCNN(
        backbone=backbone,
        neck=neck,
        rpn=make_rpn(settings, neck) if rpn is None else rpn,
        pooling=RoIPooling(settings.roi, getattr(neck, "roi_levels", neck.levels)),
        shared_head=shared,
        box_head=make_box_head(settings, width, classes, shrink) if box_head is None else box_head,
        mask_head=make_mask_head(settings, width, classes, shrink) if mask_head is None else mask_head,
        keypoint_head=make_keypoint_head(settings, width, keypoints) if keypoint_head is None else keypoint_head,
        semantic_head=make_semantic_head(settings, neck.levels) if semantic_head is None else semantic_head,
        panoptic=settings.panoptic,
        classes=classes,
        settings=settings,
    ).to(memory_format=torch.channels_last)


def make_backbone(settings: ModelSettings) -> Backbone:
    """Images to {level: map}, with `channels` of each level."""
    name, channels = settings.backbone.name, settings.input.channels
    if name.startswith("timm/"):
        return TimmBackbone(settings.backbone, channels=channels)
    if name == "mobilenet_v3_large":
        return MobileNet(settings.backbone, channels=channels)
    return ResNet(settings.backbone, channels=channels, stages=3 if settings.neck.name == "c4" else 4)


def make_neck(settings: ModelSettings, backbone: Backbone) -> Neck:
    """What the heads see: the pyramid, or one map, whose level names its stride."""
    check_part(backbone, "backbone")
    kind, channels = settings.neck.name, backbone.channels
    if kind == "fpn":
        return FPN(channels, settings.neck, roi_levels=getattr(backbone, "roi_levels", tuple(channels)))
    if not isinstance(backbone, ResNet):
        raise SettingError(
            f"neck.name={kind}: needs the stages of a residual network, but the backbone is a "
            f"{type(backbone).__name__}. Set neck.name=fpn, or choose another backbone."
        )
    if kind == "c4":
        return SingleLevel(channels[4], source=4, level=4)
    return SingleLevel(channels[5], source=5, level=4 if settings.backbone.dilate_stage5 else 5)


def make_rpn(settings: ModelSettings, neck: Neck) -> RPN:
    """Proposals from anchors on every level of the neck."""
    check_levels(settings.anchors, neck.levels)
    return RPN(neck.channels, Anchors(settings.anchors), settings.rpn)


def make_box_head(settings: ModelSettings, width: int, classes: int, shrink: int) -> Cascade:
    """One head, or as many as the cascade has stages; a stage differs in its overlap, its deltas and its weight."""
    head, pooled = settings.box_head, -(-settings.box_head.pool_size // shrink)
    if settings.cascade is None:
        return Cascade([BoxHead(width, classes, head, pooled=pooled)])
    stages = [
        BoxHead(
            width,
            classes,
            head.changed({"positive_iou": stage.positive_iou, "delta_weights": stage.delta_weights}),
            pooled=pooled,
            loss_weight=stage.loss_weight,
        )
        for stage in settings.cascade.stages
    ]
    return Cascade(stages, settings.cascade)


def make_mask_head(settings: ModelSettings, width: int, classes: int, shrink: int) -> MaskHead | nn.ModuleList | None:
    """None, one, or one per stage of the cascade."""
    head, cascade = settings.mask_head, settings.cascade
    if head is None:
        return None
    pooled = -(-head.pool_size // shrink)
    if cascade is None or not cascade.mask_head_per_stage:
        return MaskHead(width, classes, head, pooled=pooled)
    return nn.ModuleList(MaskHead(width, classes, head, pooled=pooled) for _ in cascade.stages)


def make_keypoint_head(settings: ModelSettings, width: int, keypoints: int) -> KeypointHead | None:
    """A keypoint head for so many keypoints, if the settings have one."""
    if settings.keypoint_head is None:
        return None
    if keypoints == 0:
        raise SettingError(
            "keypoint_head: the classes have no keypoints. Use data whose categories list `keypoints`, or set "
            "keypoint_head=null."
        )
    return KeypointHead(width, keypoints, settings.keypoint_head)


def make_semantic_head(settings: ModelSettings, levels: tuple[int, ...]) -> SemanticHead | None:
    """A semantic head on the levels of a pyramid, if the settings have one."""
    if settings.semantic_head is None:
        return None
    if settings.neck.name != "fpn":
        raise SettingError(f"semantic_head: needs neck.name=fpn, not {settings.neck.name}.")
    if not set(SEMANTIC_LEVELS) <= set(levels):
        raise SettingError(
            f"semantic_head: needs the levels {SEMANTIC_LEVELS}, but the pyramid on {settings.backbone.name} has "
            f"{levels}. Choose a residual network as backbone.name."
        )
    if settings.mask_head is None:
        raise SettingError("semantic_head: needs mask_head; segments are made of its masks too.")
    return SemanticHead(settings.neck.channels, settings.semantic_head)
