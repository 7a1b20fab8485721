"""Checkpoints of mmdetection 2.x and 3.x and of MMOCR's Mask R-CNN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from ...config import ModelSettings
from ...errors import WeightsError
from ...structures.classes import Classes
from ..own import Weights
from .classes import classes_of
from .layout import bins_first, split_counters
from .mmengine import find_unknown, read_config
from .names import Table, check_all_placed, normed, translate
from .structure import Tree, anchors_per_place, find_structure, merge, neck_channels
from .torchvision import block_table, resnet_table


def _layers(theirs: str, ours: str) -> Table:
    """Mmcv's modules of a convolution and a batch or group norm."""
    return [
        *normed(theirs, ours, convolution="conv.", norms="bn."),
        (f"{theirs}gn.", f"{ours}norm."),
    ]


def _heads(stage: str) -> Table:
    """Heads of boxes and masks, or those of a stage of a cascade."""
    ours = stage or "0."
    box, mask = f"roi_head.bbox_head.{stage}", f"roi_head.mask_head.{stage}"
    return [
        *_layers(f"{box}shared_convs.{{i}}.", f"box_head.{ours}convolutions.{{i}}."),
        (f"{box}shared_fcs.{{i}}.", f"box_head.{ours}hidden.{{i}}."),
        (f"{box}fc_cls.", f"box_head.{ours}logits."),
        (f"{box}fc_reg.", f"box_head.{ours}deltas."),
        *_layers(f"{mask}convs.{{i}}.", f"mask_head.{stage}convolutions.{{i}}."),
        (f"{mask}upsample.", f"mask_head.{stage}upsamples.0."),
        (f"{mask}conv_logits.", f"mask_head.{stage}logits."),
    ]


TABLE: Table = [
    *resnet_table("backbone."),
    *resnet_table("backbone.", norms="gn"),
    *block_table("roi_head.shared_head.layer4.{block}.", "shared_head.{block}."),
    *block_table("roi_head.shared_head.layer4.{block}.", "shared_head.{block}.", norms="gn"),
    *_layers("neck.lateral_convs.{i}.", "neck.lateral.{i}."),
    *_layers("neck.fpn_convs.{i}.", "neck.output.{i}."),
    ("rpn_head.rpn_conv.", "rpn.convolutions.0."),
    ("rpn_head.rpn_conv.{i}.conv.", "rpn.convolutions.{i}."),
    ("rpn_head.rpn_cls.", "rpn.logits."),
    ("rpn_head.rpn_reg.", "rpn.deltas."),
    *_heads(""),
    *_heads("{stage}."),
    *_layers("semantic_head.conv_upsample_layers.{level}.conv.{i}.", "semantic_head.levels.{level}.{i}."),
    ("semantic_head.conv_logits.", "semantic_head.logits."),
]
# MMOCR's oCLIP models: a stem of three convolutions in a row, and shortcuts that begin with a pooling.
CLIP: Table = [
    *normed("backbone.stem.", "backbone.stem.step{i+1}.", convolution="{i*3}.", norms="{i*3+1}."),
    *normed(
        "backbone.layer{stage+1}.{block}.downsample.",
        "backbone.stages.{stage}.{block}.shortcut.",
        convolution="1.",
        norms="2.",
    ),
]
WRAPPER = "wrapped_model."
READABLE = "mmdetection's (2.0 and later) Faster, Mask and Cascade R-CNN and Panoptic FPN with a residual network"

EPSILON = torch.finfo(torch.float32).eps
LIKE_ITS_BOXES: Tree = {"clamp_both_sides": True, "loss_epsilon": EPSILON}
COMMON: Tree = {
    "input": {"resize": "opencv"},
    "anchors": {"rounded": False, "stride": "nominal"},
    "rpn": {
        "rescue_iou": 0.3,
        "smooth_l1_beta": 0,
        "min_box_size": 0,
        "post_nms_top_n_training": 1000,
        **LIKE_ITS_BOXES,
    },
    "roi": {"sampling_ratio": 0, "half_pixel": True, "level_slack": (2.5e-7, 0)},
    "box_head": {"smooth_l1_beta": 0, "min_box_size": None, **LIKE_ITS_BOXES},
    "mask_head": {"targets": "thresholded", "paste": "sampled"},
    "semantic_head": {"things": "last", "loss_at": "map", "loss_over": "all"},
}
MEAN, DEVIATION = (123.675 / 255, 116.28 / 255, 103.53 / 255), (58.395 / 255, 57.12 / 255, 57.375 / 255)
# Backbones that come from Detectron see blue first: Microsoft's ResNets, and Facebook's with group norms, raw pixels
# less
# the mean, Facebook's ResNeXt-101 of 32 groups of 8 divided ones.
RAW: Tree = {"input": {"channel_order": "bgr", "mean": MEAN, "std": (1 / 255,) * 3}}
CAFFE: Tree = {**RAW, "backbone": {"stride_in_1x1": True}}
DIVIDED: Tree = {"input": {"channel_order": "bgr", "mean": MEAN, "std": DEVIATION}}
CASCADE: Tree = {
    "rpn": {"smooth_l1_beta": 1 / 9, "post_nms_top_n_training": 2000},
    "box_head": {"smooth_l1_beta": 1},
    "cascade": {
        "average": "logits",
        "resample": True,
        "stages": [
            {"positive_iou": 0.5, "delta_weights": (1 / 0.1, 1 / 0.1, 1 / 0.2, 1 / 0.2), "loss_weight": 1},
            {"positive_iou": 0.6, "delta_weights": (1 / 0.05, 1 / 0.05, 1 / 0.1, 1 / 0.1), "loss_weight": 0.5},
            {"positive_iou": 0.7, "delta_weights": (1 / 0.033, 1 / 0.033, 1 / 0.067, 1 / 0.067), "loss_weight": 0.25},
        ],
    },
}
ONE_MAP: Tree = {
    "anchors": {"sizes": ((32, 64, 128, 256, 512),)},
    "rpn": {"pre_nms_top_n_training": 12000, "post_nms_top_n_training": 2000, "pre_nms_top_n": 6000},
}
PANOPTIC: Tree = {
    "box_head": {"score_threshold": 0.6, "class_agnostic_nms": True},
    "panoptic": {"score_threshold": 0},
}
# MMOCR looks for words: five shapes from a sixth of the height to seven times it, in sizes from 16 to 256 px.
TEXT: Tree = {"anchors": {"sizes": (16, 32, 64, 128, 256), "ratios": (0.17, 0.44, 1.13, 2.9, 7.46)}}


def is_mmdetection(state: Mapping[str, Tensor]) -> bool:
    """Whether the names are those of an mmdetection detector."""
    return any(name.removeprefix(WRAPPER).startswith("rpn_head.rpn_") for name in state)


def read_mmdetection(state: Mapping[str, Tensor], source: str, meta: Mapping[str, Any] | None = None) -> Weights:
    """Translate a state dict and find the settings it belongs to.

    Args:
        state: Tensors under mmdetection's names, also behind MMOCR's `wrapped_model.`.
        source: Name of the file, for messages.
        meta: What the file says beside its tensors: the text of its configuration, and names of classes.

    Returns:
        The weights. Without a configuration the settings are those of the published models; whether the style is
        PyTorch's or Caffe's is then known only by norms without statistics, which Caffe's have.

    Raises:
        WeightsError: Some tensors have no place here (another kind of model); they are named.
    """
    wrapped = {name.removeprefix(WRAPPER): name for name in state}
    clip = any(name.startswith("backbone.stem.") for name in wrapped)
    found, left = translate(wrapped, [*CLIP, *TABLE] if clip else TABLE)
    check_all_placed([wrapped[name] for name in left], source, READABLE)
    origins = {name: wrapped[origin] for name, origin in found.items()}
    ours = {name: state[origin] for name, origin in origins.items()}
    settings = _settings(_find_settings(ours, source), meta or {}, source)
    ours, counters = split_counters(bins_first(ours, neck_channels(ours)), settings.backbone)
    extra = {origins[name]: tensor for name, tensor in counters.items()}
    classes = _find_classes(ours, settings, meta or {})
    return Weights(ours, settings, classes, {"format": "mmdetection"}, source=source, extra=extra)


def _settings(tree: Tree, meta: Mapping[str, Any], source: str) -> ModelSettings:
    if unknown := find_unknown(meta):
        raise WeightsError(
            f"{source}: its configuration has {', '.join(unknown)}, which is not known here, so that the model would "
            "give other results."
        )
    try:
        return ModelSettings.model_validate(merge(tree, read_config(meta)))
    except (ValidationError, TypeError, ValueError, ArithmeticError) as error:
        raise WeightsError(
            f"{source}: the configuration beside its tensors has values that are not read here ({error}). "
            "Save its state_dict alone, and give the settings that differ from the published models' as key=value."
        ) from error


def _find_settings(state: Mapping[str, Tensor], source: str) -> Tree:
    """What the tensors tell, and what the published configurations say beside it."""
    found = find_structure(state, source)
    parts = [found, COMMON]
    if found["backbone"]["name"] == "resnext101_32x8d":
        parts.append(DIVIDED)
    elif found["backbone"]["norm"] == "group":
        parts.append(RAW)
    elif _is_caffe(state):
        parts.append(CAFFE)
    if found["neck"]["name"] != "fpn":
        parts.append(ONE_MAP)
    if found["neck"]["name"] == "c5":
        parts.append({"backbone": {"dilate_stage5": True}})
    if found["cascade"] is not None:
        parts.append(CASCADE)
    if found["semantic_head"] is not None:
        parts.append(PANOPTIC)
    if anchors_per_place(state) == 5 and found["neck"]["name"] == "fpn":
        parts.append(TEXT)
    return merge(*parts)


def _is_caffe(state: Mapping[str, Tensor]) -> bool:
    means = state.get("backbone.stem.norm.running_mean")
    return means is not None and not means.any()


def _find_classes(state: Mapping[str, Tensor], settings: ModelSettings, meta: Mapping[str, Any]) -> Classes:
    """The names that the file holds, with COCO's ids if they are COCO's; else what the number of classes tells."""
    known = classes_of(state)
    if settings.anchors.ratios == TEXT["anchors"]["ratios"] and len(known) == 1:
        known = Classes(("text",), (1,))
    data = meta.get("dataset_meta")
    names = meta.get("CLASSES") or (data.get("classes") or data.get("CLASSES") if isinstance(data, dict) else None)
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, list | tuple) or len(names) < len(known) or tuple(names[: len(known)]) == known.names:
        return known
    return replace(known, names=tuple(map(str, names[: len(known)])), category_ids=tuple(range(1, len(known) + 1)))
