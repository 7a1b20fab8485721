"""torchvision's models with random weights that keep them busy, and the same weights for ours."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import KeypointRCNN, MaskRCNN, maskrcnn_resnet50_fpn_v2
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from ..weights.own import Weights
from ..weights.reading import understand
from .scenes import make_image
from .works import Work

CLASSES = 90
# Wanted deviations of the random network's outputs: proposals and detections are then many and differ from one another.
DEVIATIONS = {
    "rpn.head.cls_logits": 1.5,
    "rpn.head.bbox_pred": 0.2,
    "roi_heads.box_predictor.cls_score": 2.0,
    "roi_heads.box_predictor.bbox_pred": 0.5,
    "roi_heads.mask_predictor.mask_fcn_logits": 2.0,
    "roi_heads.keypoint_predictor.kps_score_lowres": 2.0,
}
TAMED_AT = (256, 384)
"""Size of the image on which the outputs get these deviations; on others they have nearly the same."""
EPSILON = 1e-5
"""Of torchvision's norms where its weights are not downloaded ones."""


def _mask_rcnn(backbone: str) -> Callable[..., nn.Module]:
    """With frozen norms, and stem and first stage frozen, as with published weights; by `weights=None` nothing is."""
    return lambda **how: MaskRCNN(_backbone(backbone), CLASSES + 1, **how)


def _backbone(backbone: str) -> nn.Module:
    return resnet_fpn_backbone(backbone_name=backbone, weights=None, trainable_layers=3)


def _second_version(**how: Any) -> nn.Module:
    return maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=CLASSES + 1, **how)


BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "R18-FPN": _mask_rcnn("resnet18"),
    "R50-FPN": _mask_rcnn("resnet50"),
    "R101-FPN": _mask_rcnn("resnet101"),
    "R50-FPN-v2": _second_version,
    "Keypoint-R50-FPN": lambda **how: KeypointRCNN(_backbone("resnet50"), 2, **how),
}


def build_peer(work: Work, state: Mapping[str, Tensor]) -> nn.Module:
    """The model of torchvision for a work, ready to predict."""
    most = {} if work.most is None else {"box_detections_per_img": work.most}
    peer = _random_peer(work.model, work.size, **most)
    peer.load_state_dict(state)
    return peer


def _random_peer(model: str, size: tuple[int, int], **how: Any) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about trainable layers, which are as they have to be
        return BUILDERS[model](min_size=min(size), max_size=max(size), **how).eval()


def make_weights(model: str) -> dict[str, Tensor]:
    """Random weights under torchvision's names, with which a model finds as much as it may.

    Args:
        model: A name of `BUILDERS`.
    """
    torch.manual_seed(0)
    peer = _random_peer(model, TAMED_AT)
    layers = dict(peer.named_modules())
    hooks = [
        layers[name].register_forward_hook(_taming(deviation))
        for name, deviation in DEVIATIONS.items()
        if name in layers
    ]
    with torch.no_grad():
        peer([make_image(TAMED_AT) / 255])
    for hook in hooks:
        hook.remove()
    return peer.state_dict()


def _taming(deviation: float) -> Callable[[Any, tuple, Tensor], Tensor]:
    """Scale a last layer, when it first runs, to outputs of mean 0 in each channel and the wanted deviation."""
    done: list[Tensor] = []

    def tame(layer: Any, inputs: tuple, output: Tensor) -> Tensor:
        if not done:
            factor = deviation / output.std()
            mean = output.transpose(0, 1).flatten(1).mean(dim=1)
            layer.weight.mul_(factor)
            layer.bias.copy_((layer.bias - mean) * factor)
            done.append(factor)
        return layer.forward(*inputs)

    return tame


def our_weights(work: Work, state: Mapping[str, Tensor]) -> Weights:
    """The same weights for our model, with settings that make it do the same work."""
    weights = understand(state, "torchvision")
    settings = weights.settings
    settings.backbone.norm_epsilon = EPSILON
    settings.input.min_size, settings.input.max_size = min(work.size), max(work.size)
    if work.most is not None:
        settings.box_head.detections_per_image = work.most
    return weights
