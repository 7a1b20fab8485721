"""Checkpoints of torchvision's Faster, Mask and Keypoint R-CNN, names old and new: read and written."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...config import ModelSettings
from ...errors import WeightsError
from ..own import Weights
from .names import Table, classes_of, find_origins, normed, rename_back
from .structure import (
    DELTAS,
    LOGITS,
    MASK_LOGITS,
    TRACKED,
    Tree,
    background_last,
    bins_first,
    channels_first,
    counts_batches,
    find_structure,
    merge,
    split_counters,
)


def block_table(theirs: str, ours: str, norms: str = "bn") -> Table:
    """The convolutions and norms of residual blocks, by torchvision's names."""
    return [
        *normed(theirs, f"{ours}step{{step}}.", convolution="conv{step}.", norms=f"{norms}{{step}}."),
        *normed(theirs, f"{ours}shortcut.", convolution="downsample.0.", norms="downsample.1."),
    ]


def resnet_table(theirs: str = "", norms: str = "bn") -> Table:
    """A plain residual network, by torchvision's names behind a start of their own."""
    return [
        *normed(theirs, "backbone.stem.", convolution="conv1.", norms=f"{norms}1."),
        *(
            pair
            for i in range(4)
            for pair in block_table(f"{theirs}layer{i + 1}.{{block}}.", f"backbone.stages.{i}.{{block}}.", norms)
        ),
    ]


def _fpn(convolution: str) -> Table:
    return [
        *normed("backbone.fpn.inner_blocks.{i}.", "neck.lateral.{i}.", convolution=convolution, norms="1."),
        *normed("backbone.fpn.layer_blocks.{i}.", "neck.output.{i}.", convolution=convolution, norms="1."),
    ]


# torchvision 0.13 put layers into wrappers, so that their names got a `.0`.
NEW: Table = [
    *_fpn("0."),
    ("rpn.head.conv.{i}.0.", "rpn.convolutions.{i}."),
    *normed("roi_heads.mask_head.{i}.", "mask_head.convolutions.{i}.", convolution="0.", norms="1."),
]
OLD: Table = [
    *_fpn(""),
    ("rpn.head.conv.", "rpn.convolutions.0."),
    ("roi_heads.mask_head.mask_fcn{i+1}.", "mask_head.convolutions.{i}.convolution."),
]
TABLE: Table = [
    *resnet_table("backbone.body."),
    ("backbone.body.{i}.*", "backbone.features.{i}.*"),  # a MobileNet
    ("rpn.head.cls_logits.", "rpn.logits."),
    ("rpn.head.bbox_pred.", "rpn.deltas."),
    *normed("roi_heads.box_head.{i}.", "box_head.0.convolutions.{i}.", convolution="0.", norms="1."),
    ("roi_heads.box_predictor.cls_score.", "box_head.0.logits."),
    ("roi_heads.box_predictor.bbox_pred.", "box_head.0.deltas."),
    ("roi_heads.mask_predictor.conv5_mask.", "mask_head.upsamples.0."),
    ("roi_heads.mask_predictor.mask_fcn_logits.", "mask_head.logits."),
    ("roi_heads.keypoint_head.{i*2}.", "keypoint_head.convolutions.{i}."),
    ("roi_heads.keypoint_predictor.kps_score_lowres.", "keypoint_head.upsample."),
]
# Behind the convolutions of a box head comes the flattening, then the linear layer.
BOX_HEADS: dict[tuple[int, int], Table] = {
    (0, 2): [("roi_heads.box_head.fc{i+6}.", "box_head.0.hidden.{i}.")],
    (4, 1): [("roi_heads.box_head.5.", "box_head.0.hidden.0.")],
}
"""By the numbers of convolutions and linear layers of the box heads that torchvision has."""

READABLE = "torchvision's fasterrcnn_*, maskrcnn_* and keypointrcnn_*, also with other ResNets"

# fasterrcnn_mobilenet_v3_large_fpn: five sizes on each of its three levels, and a limit on the score of proposals.
MOBILENET: Tree = {"anchors": {"sizes": ((32, 64, 128, 256, 512),) * 3}, "rpn": {"score_threshold": 0.05}}


def is_torchvision(state: Mapping[str, Tensor]) -> bool:
    """Whether the names are those of a torchvision detector."""
    return "roi_heads.box_predictor.cls_score.weight" in state and "rpn.head.cls_logits.weight" in state


def read_torchvision(state: Mapping[str, Tensor], source: str) -> Weights:
    """Translate a state dict and find the settings it belongs to.

    Args:
        state: Tensors under torchvision's names.
        source: Name of the file, for messages.

    Returns:
        The weights; `extra` has the rows of the background that nothing reads, and counters of frozen norms.

    Raises:
        WeightsError: Some tensors have no place here (another kind of model); they are named.
    """
    table = [*NEW, *OLD, *TABLE, *(pair for heads in BOX_HEADS.values() for pair in heads)]
    origins = find_origins(state, table, source, READABLE)
    ours, background = background_last({name: state[origin] for name, origin in origins.items()})
    settings = ModelSettings.model_validate(_find_settings(ours, source))
    ours, counters = split_counters(bins_first(ours), settings.backbone)
    extra = {origins[name]: tensor for name, tensor in (background | counters).items()}
    return Weights(
        ours,
        settings,
        classes_of(ours),
        {"format": "torchvision", "names": "old" if "rpn.head.conv.weight" in state else "new"},
        source=source,
        extra=extra,
    )


def _find_settings(state: Mapping[str, Tensor], source: str) -> Tree:
    tree = find_structure(state, source)
    if tree["backbone"]["name"] == "mobilenet_v3_large":
        tree = merge(tree, MOBILENET)
    elif not counts_batches(state):
        # Of the first generation. Norms that have counted batches were trained with the usual epsilon.
        tree["backbone"]["norm_epsilon"] = 0.0
    if counts_batches(state):
        tree["backbone"]["norm"] = "batch"
        if tree["backbone"]["name"] == "mobilenet_v3_large":  # never published with such norms, so trained as a whole
            tree["backbone"]["frozen_stages"] = 0
    return tree


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
    "input.channel_order": ("rgb",),
    "input.size_divisible": (32,),
    "input.stretch": (None,),
    "input.scale_factor": (None,),
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
    "rpn.min_box_size": (1e-3,),
    "rpn.clamp_both_sides": (False,),
    "roi.method": ("align",),
    "roi.reduce": ("average",),
    "roi.half_pixel": (False,),
    "roi.level_slack": ((0.0, 1e-6),),
    "box_head.norm": ("none", "batch", "sync_batch"),
    "box_head.class_agnostic": (False,),
    "box_head.min_box_size": (1e-2,),
    "box_head.class_agnostic_nms": (False,),
    "box_head.clamp_both_sides": (False,),
    "cascade": (None,),
    "mask_head.kind": ("convolutions",),
    "mask_head.norm": ("none", "batch", "sync_batch"),
    "mask_head.upsamples": (1,),
    "mask_head.class_agnostic": (False,),
    "mask_head.activation": ("sigmoid",),
    "mask_head.paste": ("grown",),
    "keypoint_head.score": ("logit",),
    "semantic_head": (None,),
}
"""Settings, and their values for which torchvision has a form."""


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
    wrapped = OLD if weights.notes.get("names") == "old" else NEW
    table = [*wrapped, *TABLE, *BOX_HEADS[head.convolutions, head.linear_layers]]
    theirs = {}
    for name, tensor in channels_first(weights.state).items():
        new = str(rename_back(name, table))
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
