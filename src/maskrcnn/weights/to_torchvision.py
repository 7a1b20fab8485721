"""Tensors of a model under torchvision's names."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor

from ..errors import WeightsError
from .files import Weights
from .layout import DELTAS, LOGITS, MASK_LOGITS, TRACKED, channels_first
from .renames import Rename, rename
from .structure import neck_channels

_BLOCKS = {"lateral": "inner", "output": "layer"}
_PLAIN = r"(?=(?:weight|bias)$)"
TABLE: list[Rename] = [
    (r"backbone\.stem\.convolution\.", "backbone.body.conv1."),
    (r"backbone\.stem\.norm\.", "backbone.body.bn1."),
    (
        r"backbone\.stages\.(\d)\.(\d+)\.step(\d)\.(convolution|norm)\.",
        lambda m: f"backbone.body.layer{int(m[1]) + 1}.{m[2]}.{'conv' if m[4] == 'convolution' else 'bn'}{m[3]}.",
    ),
    (
        r"backbone\.stages\.(\d)\.(\d+)\.shortcut\.(convolution|norm)\.",
        lambda m: f"backbone.body.layer{int(m[1]) + 1}.{m[2]}.downsample.{int(m[3] == 'norm')}.",
    ),
    (r"backbone\.features\.", "backbone.body."),
    (
        r"neck\.(lateral|output)\.(\d)\.(convolution\.|norm\.)?",
        lambda m: f"backbone.fpn.{_BLOCKS[m[1]]}_blocks.{m[2]}.{int(m[3] == 'norm.')}.",
    ),
    (r"rpn\.convolutions\.(\d)\.", r"rpn.head.conv.\1.0."),
    (r"rpn\.logits\.", "rpn.head.cls_logits."),
    (r"rpn\.deltas\.", "rpn.head.bbox_pred."),
    (
        r"box_head\.0\.convolutions\.(\d)\.(convolution|norm)\.",
        lambda m: f"roi_heads.box_head.{m[1]}.{int(m[2] == 'norm')}.",
    ),
    (r"box_head\.0\.hidden\.(\d)\.", lambda m: f"roi_heads.box_head.fc{int(m[1]) + 6}."),
    (r"box_head\.0\.logits\.", "roi_heads.box_predictor.cls_score."),
    (r"box_head\.0\.deltas\.", "roi_heads.box_predictor.bbox_pred."),
    (
        r"mask_head\.convolutions\.(\d)\.(convolution\.|norm\.)?",
        lambda m: f"roi_heads.mask_head.{m[1]}.{int(m[2] == 'norm.')}.",
    ),
    (r"mask_head\.upsamples\.0\.", "roi_heads.mask_predictor.conv5_mask."),
    (r"mask_head\.logits\.", "roi_heads.mask_predictor.mask_fcn_logits."),
    (r"keypoint_head\.convolutions\.(\d+)\.", lambda m: f"roi_heads.keypoint_head.{2 * int(m[1])}."),
    (r"keypoint_head\.upsample\.", "roi_heads.keypoint_predictor.kps_score_lowres."),
]
OLD: list[Rename] = [
    (rf"(backbone\.fpn\.\w+_blocks\.\d)\.0\.{_PLAIN}", r"\1."),
    (r"rpn\.head\.conv\.0\.0\.", "rpn.head.conv."),
    (rf"roi_heads\.mask_head\.(\d)\.0\.{_PLAIN}", lambda m: f"roi_heads.mask_head.mask_fcn{int(m[1]) + 1}."),
]
"""From today's names to those before torchvision 0.13."""

ORDER = [
    *("backbone", "rpn", "roi_heads", "body", "fpn", "conv1", "bn1", "conv2", "bn2", "conv3", "bn3", "layer1"),
    *("layer2", "layer3", "layer4", "downsample", "inner_blocks", "layer_blocks", "head", "conv", "cls_logits"),
    *("box_head", "fc6", "fc7", "box_predictor", "cls_score", "bbox_pred", "mask_head", "mask_fcn1", "mask_fcn2"),
    *("mask_fcn3", "mask_fcn4", "mask_predictor", "conv5_mask", "mask_fcn_logits", "keypoint_head"),
    *("keypoint_predictor", "kps_score_lowres", "block", "fc1", "fc2", "weight", "bias", "running_mean"),
    *("running_var", "num_batches_tracked"),
]
"""Parts of torchvision's names in the order of its modules; between them stand numbers."""

TORCHVISION_NEEDS: dict[str, tuple[Any, ...]] = {
    "input.resize": ("float",),
    "input.colours": ("rgb",),
    "input.pad_to": (32,),
    "input.stretch": (None,),
    "input.magnify": (None,),
    "backbone.name": (
        *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "wide_resnet101_2"),
        *("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "mobilenet_v3_large"),
    ),
    "backbone.width": (64,),
    "backbone.dilate_stage5": (False,),
    "backbone.stride_in_1x1": (False,),
    "backbone.norm": ("frozen_batch", "batch", "sync_batch"),
    "neck.name": ("fpn",),
    "neck.norm": ("none", "batch", "sync_batch"),
    "anchors.order": ("ratios_outer",),
    "anchors.rounded": (True,),
    "anchors.stride": ("measured",),
    "anchors.offset": (0.0,),
    "anchors.shapes": (None,),
    "rpn.rank_by": ("score",),
    "rpn.smallest_side": (1e-3,),
    "rpn.clamp_both_sides": (False,),
    "roi.method": ("align",),
    "roi.reduce": ("average",),
    "roi.half_pixel": (False,),
    "roi.level_slack": ((0.0, 1e-6),),
    "box_head.norm": ("none", "batch", "sync_batch"),
    "box_head.class_agnostic": (False,),
    "box_head.smallest_side": (1e-2,),
    "box_head.nms_across_classes": (False,),
    "box_head.clamp_both_sides": (False,),
    "cascade": (None,),
    "mask_head.kind": ("convolutions",),
    "mask_head.norm": ("none", "batch", "sync_batch"),
    "mask_head.doublings": (1,),
    "mask_head.class_agnostic": (False,),
    "mask_head.competition": ("sigmoid",),
    "mask_head.paste": ("grown",),
    "keypoint_head.score": ("logit",),
    "semantic_head": (None,),
}
"""Settings, and their values for which torchvision has a form."""
BOX_HEADS = ((0, 2), (4, 1))


def to_torchvision(weights: Weights) -> dict[str, Tensor]:
    """A state dict for torchvision's model of the same kind, in torchvision's order.

    What our model does not have comes from `extra`; if nothing is there, as for models that were not read from
    torchvision, the rows of the background, which torchvision never reads, are 0.

    Args:
        weights: Of a model that fulfils `TORCHVISION_NEEDS`.

    Raises:
        WeightsError: Its box head has another number of layers than torchvision's.
    """
    head = weights.settings.box_head
    if (head.convolutions, head.linear_layers) not in BOX_HEADS:
        raise WeightsError(
            f"{weights.source}: torchvision has no form for a box head of {head.convolutions} convolutions and "
            f"{head.linear_layers} linear layers; it has heads of no and 2, or 4 and 1."
        )
    state = channels_first(weights.state, neck_channels(weights.state))
    convolutions = head.convolutions
    table: list[Rename] = [*TABLE]
    if convolutions:
        # Behind the convolutions comes the flattening, then the linear layer.
        table.insert(0, (r"box_head\.0\.hidden\.0\.", f"roi_heads.box_head.{convolutions + 1}."))
    theirs = {}
    for name, tensor in state.items():
        new = str(rename(name, table))
        if weights.notes.get("names") == "old":
            new = rename(new, OLD) or new
        theirs[new] = _with_background(name, tensor, weights.extra.get(new))
    theirs |= {name: one for name, one in weights.extra.items() if name.endswith(TRACKED)}
    return OrderedDict(sorted(theirs.items(), key=lambda item: _place(item[0])))


def _place(name: str) -> list[int]:
    """Where a name of torchvision's stands in its state dict; layers beyond those of its own models are last."""
    ranks = {part: rank for rank, part in enumerate(ORDER)}
    return [int(part) if part.isdecimal() else ranks.get(part, len(ORDER)) for part in name.split(".")]


def _with_background(name: str, tensor: Tensor, row: Tensor | None) -> Tensor:
    if LOGITS.fullmatch(name):
        return tensor.roll(1, dims=0)
    count = 4 if DELTAS.fullmatch(name) else 1 if MASK_LOGITS.fullmatch(name) else 0
    if count == 0:
        return tensor
    return torch.cat([tensor.new_zeros(count, *tensor.shape[1:]) if row is None else row.to(tensor), tensor])
