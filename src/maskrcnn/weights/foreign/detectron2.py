"""Checkpoints of detectron2's R-CNNs (FPN, C4, DC5, Cascade, keypoints, Panoptic FPN): read and written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from ...config import ModelSettings
from ..own import Weights
from .names import Table, classes_of, find_origins, normed, rename_back
from .structure import (
    Tree,
    bins_first,
    channels_first,
    counts_batches,
    find_structure,
    merge,
    split_counters,
)


def _block(theirs: str, ours: str) -> Table:
    return [
        *normed(f"{theirs}conv{{step}}.", f"{ours}step{{step}}."),
        *normed(f"{theirs}shortcut.", f"{ours}shortcut."),
    ]


def _box_head(theirs: str, ours: str) -> Table:
    """The one box head, or the head of a stage of a cascade, whose number stands behind the names of the parts."""
    return [
        *normed(f"roi_heads.box_head.{theirs}conv{{i+1}}.", f"box_head.{ours}convolutions.{{i}}."),
        (f"roi_heads.box_head.{theirs}fc{{i+1}}.", f"box_head.{ours}hidden.{{i}}."),
        (f"roi_heads.box_predictor.{theirs}cls_score.", f"box_head.{ours}logits."),
        (f"roi_heads.box_predictor.{theirs}bbox_pred.", f"box_head.{ours}deltas."),
    ]


BACKBONE: Table = [
    *normed("backbone.stem.conv1.", "backbone.stem."),
    *(pair for i in range(4) for pair in _block(f"backbone.res{i + 2}.{{block}}.", f"backbone.stages.{i}.{{block}}.")),
]
ONE_HEAD, CASCADE = _box_head("", "0."), _box_head("{stage}.", "{stage}.")
ONE_CONVOLUTION: Table = [("proposal_generator.rpn_head.conv.", "rpn.convolutions.0.")]
CONVOLUTIONS: Table = [("proposal_generator.rpn_head.conv.conv{i}.", "rpn.convolutions.{i}.")]
TABLE: Table = [
    *BACKBONE,
    *_block("roi_heads.res5.{block}.", "shared_head.{block}."),
    *normed("backbone.fpn_lateral{i+2}.", "neck.lateral.{i}."),
    *normed("backbone.fpn_output{i+2}.", "neck.output.{i}."),
    ("proposal_generator.rpn_head.objectness_logits.", "rpn.logits."),
    ("proposal_generator.rpn_head.anchor_deltas.", "rpn.deltas."),
    *normed("roi_heads.mask_head.mask_fcn{i+1}.", "mask_head.convolutions.{i}."),
    ("roi_heads.mask_head.deconv.", "mask_head.upsamples.0."),
    ("roi_heads.mask_head.predictor.", "mask_head.logits."),
    ("roi_heads.keypoint_head.conv_fcn{i+1}.", "keypoint_head.convolutions.{i}."),
    ("roi_heads.keypoint_head.score_lowres.", "keypoint_head.upsample."),
    *normed("sem_seg_head.p{level+2}.{i*2}.", "semantic_head.levels.{level}.{i}."),
    ("sem_seg_head.predictor.", "semantic_head.logits."),
]
BOTTOM_UP = re.compile(r"backbone\.bottom_up\.")
"""Start of a backbone's names where a pyramid stands on it."""

# Files of 2019 and 2020 also hold what the library computes from its settings.
IGNORED = re.compile(r"(proposal_generator|anchor_generator)\..*cell_anchors\.\d|anchor_generator\.cell_anchors\.\d")
PIXELS = ("pixel_mean", "pixel_std")
READABLE = "detectron2's Faster, Mask, Keypoint and Cascade R-CNN and Panoptic FPN with a residual network"

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COMMON: Tree = {
    "input": {"resize": "pillow", "channel_order": "bgr", "mean": MEAN, "std": (1 / 255,) * 3},
    "backbone": {"stride_in_1x1": True},
    "anchors": {"order": "sizes_outer", "rounded": False, "stride": "nominal"},
    "rpn": {
        "loss_normalizer": "batch_size_per_image",
        "smooth_l1_beta": 0,
        "rank_by": "logit",
        "min_box_size": 0,
        "post_nms_top_n_training": 1000,
    },
    "roi": {"sampling_ratio": 0, "half_pixel": True, "level_slack": (1e-8, 0)},
    "box_head": {"smooth_l1_beta": 0, "min_box_size": None},
    "mask_head": {"targets": "polygons", "paste": "sampled"},
    "keypoint_head": {"score": "share"},
}
# Without a pyramid there is one map with all sizes, and nothing is padded.
ONE_MAP: Tree = {
    "input": {"size_divisible": 1},
    "anchors": {"sizes": ((32, 64, 128, 256, 512),)},
    "rpn": {
        "pre_nms_top_n_training": 12000,
        "pre_nms_top_n": 6000,
        "post_nms_top_n_training": 2000,
        "post_nms_top_n": 1000,
    },
}
STRIDE_IN_3X3: Tree = {"backbone": {"stride_in_1x1": False}}


def is_detectron2(state: Mapping[str, Tensor]) -> bool:
    """Whether the names are those of a detectron2 detector."""
    return any(name.startswith("proposal_generator.rpn_head.") for name in state)


def read_detectron2(state: Mapping[str, Tensor], source: str) -> Weights:
    """Translate a state dict and find the settings it belongs to.

    Args:
        state: Tensors under detectron2's names.
        source: Name of the file, for messages.

    Returns:
        The weights; `extra` has cell anchors, pixel means and counters of frozen norms.

    Raises:
        WeightsError: Some tensors have no place here (another kind of model); they are named.
    """
    kept = [name for name in state if name in PIXELS or IGNORED.fullmatch(name)]
    table = [*ONE_CONVOLUTION, *CONVOLUTIONS, *ONE_HEAD, *CASCADE, *TABLE]
    names = [name for name in state if name not in kept]
    origins = find_origins(names, table, source, READABLE, spell=partial(BOTTOM_UP.sub, "backbone."))
    ours = {name: state[origin] for name, origin in origins.items()}
    tree = merge(_find_settings(ours, source), _find_pixels(state))
    settings = ModelSettings.model_validate(tree)
    ours, counters = split_counters(bins_first(ours), settings.backbone)
    extra = {origins[name]: tensor for name, tensor in counters.items()} | {name: state[name] for name in kept}
    return Weights(ours, settings, classes_of(ours), {"format": "detectron2"}, source=source, extra=extra)


def _find_settings(state: Mapping[str, Tensor], source: str) -> Tree:
    """What follows from the tensors, and what their published configurations say beside it."""
    found = find_structure(state, source)
    tree = merge(found, COMMON, {} if found["neck"]["name"] == "fpn" else ONE_MAP)
    if found["neck"]["name"] == "c5":
        tree["backbone"]["dilate_stage5"] = True
    if found["keypoint_head"] is not None:
        tree = merge(tree, {"box_head": {"smooth_l1_beta": 0.5}, "rpn": {"post_nms_top_n_training": 1500}})
    if found["cascade"] is not None:
        tree = merge(tree, {"rpn": {"post_nms_top_n_training": 2000}})
    # Frozen norms count no batches: those that do in the stem were trained from random weights.
    from_scratch = "backbone.stem.norm.num_batches_tracked" in state
    if counts_batches(state):
        tree["backbone"] |= {"norm": "batch", "frozen_stages": 0 if from_scratch else 2}
    # The place of the stride has no trace in the tensors: it is Microsoft's, also in the "new baselines" with their two
    # convolutions in the RPN, but not in networks of Facebook's own and the one that was trained from random weights.
    alone = from_scratch and found["rpn"]["convolutions"] == 1
    name = found["backbone"]["name"]
    if alone or name.startswith("resnext") or found["backbone"]["norm"] == "group":
        tree = merge(tree, STRIDE_IN_3X3)
    if alone or name == "resnext101_32x8d":
        tree = merge(tree, {"input": {"std": DEVIATION}})
    return tree


def _find_pixels(state: Mapping[str, Tensor]) -> Tree:
    """Mean and deviation of files that hold them, in the order of the network's channels."""
    if not all(name in state for name in PIXELS):
        return {}
    mean, deviation = (state[name].flatten().double().tolist() for name in PIXELS)
    # ImageNet's images have more red than blue, so that a mean that rises begins with blue.
    reverse = len(mean) == 3 and mean[0] < mean[2]
    if reverse:
        mean, deviation = mean[::-1], deviation[::-1]
    if max(mean) > 1:
        mean, deviation = [one / 255 for one in mean], [one / 255 for one in deviation]
    colors = {"channel_order": "bgr" if reverse else "rgb"} if len(mean) == 3 else {}
    return {"input": {"mean": tuple(mean), "std": tuple(deviation), **colors}}


DETECTRON2_NEEDS: dict[str, tuple[Any, ...]] = {
    "input.resize": ("pillow",),
    "input.stretch": (None,),
    "input.scale_factor": (None,),
    "backbone.name": (
        *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "wide_resnet101_2"),
        *("resnext50_32x4d", "resnext101_32x4d", "resnext101_64x4d", "resnext101_32x8d", "resnext152_32x8d"),
    ),
    "backbone.norm_epsilon": (1e-5,),
    "anchors.order": ("sizes_outer",),
    "anchors.rounded": (False,),
    "anchors.stride": ("nominal",),
    "anchors.shapes": (None,),
    "rpn.rank_by": ("logit",),
    "rpn.score_threshold": (0.0,),
    "rpn.clamp_both_sides": (False,),
    "roi.method": ("align",),
    "roi.reduce": ("average",),
    "roi.level_slack": ((1e-8, 0.0),),
    "box_head.min_box_size": (None,),
    "box_head.class_agnostic_nms": (False,),
    "box_head.clamp_both_sides": (False,),
    "cascade.average": ("scores",),
    "cascade.mask_head_per_stage": (False,),
    "mask_head.kind": ("convolutions",),
    "mask_head.upsamples": (1,),
    "mask_head.activation": ("sigmoid",),
    "mask_head.paste": ("sampled",),
    "keypoint_head.score": ("share",),
    "semantic_head.things": ("first",),
}
"""Settings, and their values for which detectron2 has a form."""


def to_detectron2(weights: Weights) -> dict[str, Tensor]:
    """The `model` of a checkpoint for detectron2's model of the same kind, with what `extra` kept of one.

    Args:
        weights: Of a model that fulfils `DETECTRON2_NEEDS`.
    """
    settings = weights.settings
    table = [
        *(ONE_CONVOLUTION if settings.rpn.convolutions == 1 else CONVOLUTIONS),
        *(ONE_HEAD if settings.cascade is None else CASCADE),
        *TABLE,
    ]
    theirs = {}
    for name, tensor in channels_first(weights.state).items():
        new = str(rename_back(name, table))
        if settings.neck.name == "fpn":
            new = re.sub(r"^backbone\.(?=stem|res)", "backbone.bottom_up.", new)
        theirs[new] = tensor.contiguous()
    return theirs | (weights.extra if weights.notes.get("format") == "detectron2" else {})
