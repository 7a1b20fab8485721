"""Checkpoints of maskrcnn-benchmark, which follows Detectron but for the sizes of images, which it rounds down."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from ..own import Weights
from .detectron import finish
from .names import Table, check_all_placed, normed, translate
from .structure import Tree
from .torchvision import block_table, resnet_table


def _maybe_normed(theirs: str, ours: str) -> Table:
    """A convolution, or in a row a convolution and its norm."""
    return [(theirs, f"{ours}convolution."), *normed(theirs, ours, convolution="0.", norms="1.")]


_BOX, _MASK, _KEYPOINT = (f"roi_heads.{head}.feature_extractor." for head in ("box", "mask", "keypoint"))
TABLE: Table = [
    *normed("backbone.body.stem.", "backbone.stem.", convolution="conv1.", norms="bn1."),
    *resnet_table("backbone.body."),
    *block_table(f"{_BOX}head.layer4.{{block}}.", "shared_head.{block}."),
    *_maybe_normed("backbone.fpn.fpn_inner{i+1}.", "neck.lateral.{i}."),
    *_maybe_normed("backbone.fpn.fpn_layer{i+1}.", "neck.output.{i}."),
    ("rpn.head.conv.", "rpn.convolutions.0."),
    ("rpn.head.cls_logits.", "rpn.logits."),
    ("rpn.head.bbox_pred.", "rpn.deltas."),
    (f"{_BOX}fc{{i+6}}.", "box_head.0.hidden.{i}."),
    ("roi_heads.box.predictor.cls_score.", "box_head.0.logits."),
    ("roi_heads.box.predictor.bbox_pred.", "box_head.0.deltas."),
    *_maybe_normed(f"{_MASK}mask_fcn{{i+1}}.", "mask_head.convolutions.{i}."),
    ("roi_heads.mask.predictor.conv5_mask.", "mask_head.upsamples.0."),
    ("roi_heads.mask.predictor.mask_fcn_logits.", "mask_head.logits."),
    (f"{_KEYPOINT}conv_fcn{{i+1}}.", "keypoint_head.convolutions.{i}."),
    ("roi_heads.keypoint.predictor.kps_score_lowres.", "keypoint_head.upsample."),
]
# Convolutions of a box head in a row, each followed by its norm, if any, and a ReLU.
PLAIN_ROW: Table = [(f"{_BOX}xconvs.{{i*2}}.", "box_head.0.convolutions.{i}.convolution.")]
NORMED_ROW = normed(f"{_BOX}xconvs.", "box_head.0.convolutions.{i}.", convolution="{i*3}.", norms="{i*3+1}.")
UNUSED = re.compile(r"rpn\.anchor_generator\..*|roi_heads\.mask\.feature_extractor\.head\..*")
"""Anchors that follow from the settings, and the stage that boxes and masks share, which stands there twice."""
WRAPPER = "module."
CHANGES: Tree = {"input": {"resize": "pillow"}, "rpn": {"loss_normalizer": "chosen"}}
"""Settings that are not Detectron's."""


def is_maskrcnn_benchmark(state: Mapping[str, Tensor]) -> bool:
    """Whether the names are those of a maskrcnn-benchmark detector."""
    return any(name.removeprefix(WRAPPER) == "roi_heads.box.predictor.bbox_pred.weight" for name in state)


def read_maskrcnn_benchmark(state: Mapping[str, Tensor], source: str) -> Weights:
    """Translate a state dict of maskrcnn-benchmark and find the settings it belongs to.

    Raises:
        WeightsError: Some tensors have no place here (another kind of model); they are named.
    """
    names = {name.removeprefix(WRAPPER): name for name in state}
    row = NORMED_ROW if f"{_BOX}xconvs.1.weight" in names else PLAIN_ROW
    origins, left = translate(names, [*row, *TABLE])
    left = [names[name] for name in left if not UNUSED.fullmatch(name)]
    check_all_placed(left, source, "maskrcnn-benchmark's Faster, Mask and Keypoint R-CNN with a residual network")
    ours = {name: state[names[origin]] for name, origin in origins.items()}
    return finish(ours, source, "maskrcnn-benchmark", CHANGES)
