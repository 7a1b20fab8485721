"""Tensors of a model under detectron2's names."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .files import Weights
from .layout import channels_first
from .renames import Rename, rename
from .structure import neck_channels

# A convolution's own part of the name goes at the end.
TABLE: list[Rename] = [
    (r"backbone\.stem\.", "backbone.stem.conv1."),
    (r"backbone\.stages\.(\d)\.(\d+)\.step(\d)\.", lambda m: f"backbone.res{int(m[1]) + 2}.{m[2]}.conv{m[3]}."),
    (r"backbone\.stages\.(\d)\.(\d+)\.shortcut\.", lambda m: f"backbone.res{int(m[1]) + 2}.{m[2]}.shortcut."),
    (r"shared_head\.(\d+)\.step(\d)\.", r"roi_heads.res5.\1.conv\2."),
    (r"shared_head\.(\d+)\.shortcut\.", r"roi_heads.res5.\1.shortcut."),
    (r"neck\.(lateral|output)\.(\d)\.", lambda m: f"backbone.fpn_{m[1]}{int(m[2]) + 2}."),
    (r"rpn\.convolutions\.(\d)\.", r"proposal_generator.rpn_head.conv.conv\1."),
    (r"rpn\.logits\.", "proposal_generator.rpn_head.objectness_logits."),
    (r"rpn\.deltas\.", "proposal_generator.rpn_head.anchor_deltas."),
    (r"box_head\.(\d)\.convolutions\.(\d)\.", lambda m: f"roi_heads.box_head.{m[1]}.conv{int(m[2]) + 1}."),
    (r"box_head\.(\d)\.hidden\.(\d)\.", lambda m: f"roi_heads.box_head.{m[1]}.fc{int(m[2]) + 1}."),
    (r"box_head\.(\d)\.logits\.", r"roi_heads.box_predictor.\1.cls_score."),
    (r"box_head\.(\d)\.deltas\.", r"roi_heads.box_predictor.\1.bbox_pred."),
    (r"mask_head\.convolutions\.(\d)\.", lambda m: f"roi_heads.mask_head.mask_fcn{int(m[1]) + 1}."),
    (r"mask_head\.upsamples\.0\.", "roi_heads.mask_head.deconv."),
    (r"mask_head\.logits\.", "roi_heads.mask_head.predictor."),
    (r"keypoint_head\.convolutions\.(\d)\.", lambda m: f"roi_heads.keypoint_head.conv_fcn{int(m[1]) + 1}."),
    (r"keypoint_head\.upsample\.", "roi_heads.keypoint_head.score_lowres."),
    (r"semantic_head\.levels\.(\d)\.(\d)\.", lambda m: f"sem_seg_head.p{int(m[1]) + 2}.{2 * int(m[2])}."),
    (r"semantic_head\.logits\.", "sem_seg_head.predictor."),
]
ONE_CONVOLUTION: Rename = (r"rpn\.convolutions\.0\.", "proposal_generator.rpn_head.conv.")
ONE_HEAD: list[Rename] = [(r"roi_heads\.(box_head|box_predictor)\.0\.", r"roi_heads.\1.")]
BOTTOM_UP: list[Rename] = [(r"backbone\.(?=stem|res)", "backbone.bottom_up.")]

DETECTRON2_NEEDS: dict[str, tuple[Any, ...]] = {
    "input.resize": ("pillow",),
    "input.stretch": (None,),
    "input.magnify": (None,),
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
    "rpn.clamp_both_sides": (False,),
    "rpn.score_threshold": (0.0,),
    "roi.method": ("align",),
    "roi.reduce": ("average",),
    "roi.level_slack": ((1e-8, 0.0),),
    "box_head.smallest_side": (None,),
    "box_head.nms_across_classes": (False,),
    "box_head.clamp_both_sides": (False,),
    "cascade.average": ("scores",),
    "cascade.mask_head_per_stage": (False,),
    "mask_head.kind": ("convolutions",),
    "mask_head.doublings": (1,),
    "mask_head.competition": ("sigmoid",),
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
    table = [ONE_CONVOLUTION, *TABLE] if settings.rpn.convolutions == 1 else TABLE
    theirs = {}
    for name, tensor in channels_first(weights.state, neck_channels(weights.state)).items():
        new = str(rename(name, table)).replace(".convolution.", ".")
        if settings.cascade is None:
            new = rename(new, ONE_HEAD) or new
        if settings.neck.name == "fpn":
            new = rename(new, BOTTOM_UP) or new
        theirs[new] = tensor.contiguous()
    return theirs | (weights.extra if weights.notes.get("format") == "detectron2" else {})
