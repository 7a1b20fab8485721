"""Checkpoints of mmdetection 2.x and 3.x and of MMOCR's Mask R-CNN as a name table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from ..config import ModelSettings
from ..errors import WeightsError
from ..structures.classes import Classes
from .categories import classes_of
from .files import Weights
from .layout import bins_first, split_counters
from .mmengine import find_unknown, read_config
from .renames import Rename, check_all_placed, translate
from .structure import Tree, anchors_per_place, find_structure, merge, neck_channels
from .torchvision import BODY

_KIND = {"conv": "convolution", "bn": "norm", "gn": "norm"}
_NORM = r"(conv|bn|gn)\."


def _head(match: re.Match[str]) -> str:
    """Of `bbox_head.` or, in a cascade, `bbox_head.1.`, and likewise for masks."""
    return f"box_head.{match['stage'] or '0.'}" if match["head"] == "bbox" else f"mask_head.{match['stage'] or ''}"


def _convolution(match: re.Match[str]) -> str:
    return f"{_head(match)}convolutions.{match['number']}.{_KIND[match['kind']]}."


_HEAD = r"roi_head\.(?P<head>bbox|mask)_head\.(?P<stage>\d\.)?"
# A convolution is renamed as if it had a norm.
TABLE: list[Rename] = [
    *((rf"backbone\.{pattern.replace('bn', '(?:bn|gn)')}", ours) for pattern, ours in BODY),
    (
        r"roi_head\.shared_head\.layer4\.(\d+)\.(conv|bn|gn)(\d)\.",
        lambda m: f"shared_head.{m[1]}.step{m[3]}.{_KIND[m[2]]}.",
    ),
    (
        r"roi_head\.shared_head\.layer4\.(\d+)\.downsample\.([01])\.",
        lambda m: f"shared_head.{m[1]}.shortcut.{('convolution', 'norm')[int(m[2])]}.",
    ),
    (rf"neck\.lateral_convs\.(\d)\.{_NORM}", lambda m: f"neck.lateral.{m[1]}.{_KIND[m[2]]}."),
    (rf"neck\.fpn_convs\.(\d)\.{_NORM}", lambda m: f"neck.output.{m[1]}.{_KIND[m[2]]}."),
    (r"rpn_head\.rpn_conv\.(?=\w+$)", "rpn.convolutions.0."),
    (r"rpn_head\.rpn_conv\.(\d)\.conv\.(?=\w+$)", r"rpn.convolutions.\1."),
    (r"rpn_head\.rpn_cls\.", "rpn.logits."),
    (r"rpn_head\.rpn_reg\.", "rpn.deltas."),
    (rf"{_HEAD}(?:shared_)?convs\.(?P<number>\d)\.(?P<kind>conv|bn|gn)\.", _convolution),
    (rf"{_HEAD}shared_fcs\.(?P<number>\d)\.", lambda m: f"{_head(m)}hidden.{m['number']}."),
    (rf"{_HEAD}fc_cls\.", lambda m: f"{_head(m)}logits."),
    (rf"{_HEAD}fc_reg\.", lambda m: f"{_head(m)}deltas."),
    (rf"{_HEAD}upsample\.", lambda m: f"{_head(m)}upsamples.0."),
    (rf"{_HEAD}conv_logits\.", lambda m: f"{_head(m)}logits."),
    (
        rf"semantic_head\.conv_upsample_layers\.(\d)\.conv\.(\d)\.{_NORM}",
        lambda m: f"semantic_head.levels.{m[1]}.{m[2]}.{_KIND[m[3]]}.",
    ),
    (r"semantic_head\.conv_logits\.", "semantic_head.logits."),
]
# MMOCR's oCLIP models: a stem of three convolutions in a row, and shortcuts that begin with a pooling.
CLIP: list[Rename] = [
    (r"backbone\.stem\.([036])\.", lambda m: f"backbone.stem.step{int(m[1]) // 3 + 1}.convolution."),
    (r"backbone\.stem\.([147])\.", lambda m: f"backbone.stem.step{int(m[1]) // 3 + 1}.norm."),
    (
        r"backbone\.layer(\d)\.(\d+)\.downsample\.([12])\.",
        lambda m: f"backbone.stages.{int(m[1]) - 1}.{m[2]}.shortcut.{('convolution', 'norm')[int(m[3]) - 1]}.",
    ),
]
WRAPPER = "wrapped_model."
READABLE = "mmdetection's (2.0 and later) Faster, Mask and Cascade R-CNN and Panoptic FPN with a residual network"

EPSILON = torch.finfo(torch.float32).eps
LIKE_ITS_BOXES: Tree = {"clamp_both_sides": True, "loss_epsilon": EPSILON}
COMMON: Tree = {
    "input": {"resize": "opencv"},
    "anchors": {"rounded": False, "stride": "nominal"},
    "rpn": {"rescue_iou": 0.3, "smooth_l1_beta": 0, "smallest_side": 0, "proposals_training": 1000, **LIKE_ITS_BOXES},
    "roi": {"samples_per_side": 0, "half_pixel": True, "level_slack": (2.5e-7, 0)},
    "box_head": {"smooth_l1_beta": 0, "smallest_side": None, **LIKE_ITS_BOXES},
    "mask_head": {"targets": "thresholded", "paste": "sampled"},
    "semantic_head": {"things": "last", "loss_at": "map", "loss_over": "all"},
}
MEAN, DEVIATION = (123.675 / 255, 116.28 / 255, 103.53 / 255), (58.395 / 255, 57.12 / 255, 57.375 / 255)
# Bodies that come from Detectron see blue first: Microsoft's ResNets, and Facebook's with group norms, raw pixels less
# the mean, Facebook's ResNeXt-101 of 32 groups of 8 divided ones.
RAW: Tree = {"input": {"colours": "bgr", "mean": MEAN, "deviation": (1 / 255,) * 3}}
CAFFE: Tree = {**RAW, "backbone": {"stride_in_1x1": True}}
DIVIDED: Tree = {"input": {"colours": "bgr", "mean": MEAN, "deviation": DEVIATION}}
CASCADE: Tree = {
    "rpn": {"smooth_l1_beta": 1 / 9, "proposals_training": 2000},
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
    "rpn": {"candidates_training": 12000, "proposals_training": 2000, "candidates": 6000},
}
PANOPTIC: Tree = {
    "box_head": {"score_threshold": 0.6, "nms_across_classes": True},
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
