"""The assembled model on one screen."""

import torch

from ..config import ModelSettings
from .anchors import Anchors
from .box_head import BoxHead
from .fpn import FPN
from .mask_head import MaskHead
from .mask_rcnn import MaskRCNN
from .resnet import ResNet
from .rpn import RPN


def build_model(settings: ModelSettings, classes: int) -> MaskRCNN:
    """Mask R-CNN with random weights.

    Args:
        settings: What it is made of.
        classes: Number of classes K, without background.
    """
    body = ResNet(settings.backbone)
    channels = settings.fpn.channels
    anchors = Anchors(settings.anchors)
    model = MaskRCNN(
        body=body,
        fpn=FPN(body.channels, channels),
        anchors=anchors,
        rpn=RPN(channels, anchors.per_pixel),
        box_head=BoxHead(channels, classes, settings.box_head),
        mask_head=MaskHead(channels, classes, settings.mask_head) if settings.mask_head else None,
        classes=classes,
        settings=settings,
    )
    return model.to(memory_format=torch.channels_last)
