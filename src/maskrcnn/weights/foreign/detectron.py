"""Checkpoints of Detectron (Caffe2) and of maskrcnn-benchmark.

Detectron counts pixels: a box from 3 to 5 is 3 pixels wide there and ends at 6 here. Anchors, deltas, levels and
suppression are the same under that shift, and are set. What is left are roundings: the features of a box are pooled
from an area that is one pixel of the image wider and higher here, masks are pasted into it, and images are resized
on their 8-bit values (Detectron resizes floating point values). maskrcnn-benchmark follows it in all this
but for the sizes of images, which it rounds down.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ...config import ModelSettings
from ..own import Weights
from .names import Table, classes_of, find_origins, normed
from .structure import Tree, background_last, bins_first, find_structure, merge
from .torchvision import block_table, resnet_table

_LEAVES = {
    "w": "convolution.weight",
    "b": "convolution.bias",
    **dict.fromkeys(("bn_s", "gn_s", "bn_gamma"), "norm.weight"),
    **dict.fromkeys(("bn_b", "gn_b", "bn_beta"), "norm.bias"),
    **dict.fromkeys(("bn_rm", "bn_running_mean"), "norm.running_mean"),
    **dict.fromkeys(("bn_riv", "bn_running_var"), "norm.running_var"),
}
_LEAF = re.compile(rf"_({'|'.join(_LEAVES)})$")
_BLOCK, _OURS = "res{stage+2}_{block}_", "backbone.stages.{stage}.{block}."
BACKBONE: Table = [
    ("conv1.*", "backbone.stem.*"),
    ("res_conv1.*", "backbone.stem.*"),
    (f"{_BLOCK}branch1.*", f"{_OURS}shortcut.*"),
    *((f"{_BLOCK}branch2{letter}.*", f"{_OURS}step{step}.*") for step, letter in enumerate("abc", start=1)),
]
"""Names of Detectron, and of the files that detectron2 starts from, with dots as by `with_dots`."""
TABLE: Table = [
    *BACKBONE,
    ("fpn_inner_res{i+2}_{block}_sum.*", "neck.lateral.{i}.*"),
    ("fpn_inner_res{i+2}_{block}_sum_lateral.*", "neck.lateral.{i}.*"),
    ("fpn_res{i+2}_{block}_sum.*", "neck.output.{i}.*"),
    *((f"conv_rpn{level}.*", "rpn.convolutions.0.*") for level in ("", "_fpn2")),
    *((f"rpn_cls_logits{level}.*", "rpn.logits.*") for level in ("", "_fpn2")),
    *((f"rpn_bbox_pred{level}.*", "rpn.deltas.*") for level in ("", "_fpn2")),
    ("fc{i+6}.*", "box_head.0.hidden.{i}.*"),
    ("head_conv{i+1}.*", "box_head.0.convolutions.{i}.*"),
    ("cls_score.*", "box_head.0.logits.*"),
    ("bbox_pred.*", "box_head.0.deltas.*"),
    ("_[mask]_fcn{i+1}.*", "mask_head.convolutions.{i}.*"),
    ("conv5_mask.*", "mask_head.upsamples.0.*"),
    ("mask_fcn_logits.*", "mask_head.logits.*"),
    ("conv_fcn{i+1}.*", "keypoint_head.convolutions.{i}.*"),
    ("kps_score_lowres.*", "keypoint_head.upsample.*"),
]
UNUSED = re.compile(r".*_momentum|lr|kps_score_[wb]|conv1_b|(fc1000|pred|fc)_[wb]")
"""What training left behind, the constant kernel that doubles keypoint maps, and ImageNet's classifier."""
READABLE = "Faster, Mask and Keypoint R-CNN with a residual network"

COMMON: Tree = {
    "input": {
        "resize": "opencv",
        "channel_order": "bgr",
        "mean": (122.7717 / 255, 115.9465 / 255, 102.9801 / 255),
        "std": (1 / 255,) * 3,
    },
    "backbone": {"stride_in_1x1": True, "norm_epsilon": 0},
    "anchors": {"order": "ratios_outer", "rounded": False, "stride": "nominal", "offset": 0.5},
    "rpn": {"loss_normalizer": "batch_size_per_image", "min_box_size": 0},
    "roi": {"sampling_ratio": 2, "half_pixel": False, "level_slack": (1e-6, 0)},
    "box_head": {"smooth_l1_beta": 1, "min_box_size": None},
    "mask_head": {"targets": "polygons", "paste": "grown"},
}
SIZES, RATIOS = (32, 64, 128, 256, 512), (0.5, 1, 2)
ONE_MAP: Tree = {
    "input": {"size_divisible": 1},
    "rpn": {"pre_nms_top_n_training": 12000, "pre_nms_top_n": 6000},
    "roi": {"sampling_ratio": 0},
}


def is_detectron(state: Mapping[str, Tensor]) -> bool:
    """Whether the names are those of a Detectron detector."""
    return "bbox_pred_w" in state


def read_detectron(state: Mapping[str, Tensor], source: str) -> Weights:
    """Translate the blobs of a Detectron file and find the settings they belong to.

    Raises:
        WeightsError: Some tensors have no place here (another kind of model); they are named.
    """
    names = [name for name in state if not UNUSED.fullmatch(name)]
    origins = find_origins(names, TABLE, source, f"Detectron's {READABLE}", spell=with_dots)
    ours = {_shared_if_c4(name, origins): state[origin] for name, origin in origins.items()}
    if "conv1_gn_s" not in state:
        ours = with_statistics(ours)
    return finish(ours, source, "Detectron", {})


def with_dots(name: str) -> str:
    """`fc6_w` as `fc6.convolution.weight`, and `conv1_gn_s` as `conv1.norm.weight`."""
    return _LEAF.sub(lambda match: f".{_LEAVES[match[1]]}", name)


def finish(state: dict[str, Tensor], source: str, library: str, changes: Tree) -> Weights:
    """The weights of a detector by our names, but with the rows and columns of Detectron and its settings."""
    ours, _ = background_last(state)
    found = find_structure(ours, source)
    ours = bins_first(ours)
    pyramid = found["neck"]["name"] == "fpn"
    shapes = [cell_shapes((32 * 2**i,), 4 * 2**i) for i in range(5)] if pyramid else [cell_shapes(SIZES, 16)]
    sizes = SIZES if pyramid else (SIZES,)
    tree = merge(found, COMMON, changes, {} if pyramid else ONE_MAP, {"anchors": {"shapes": shapes, "sizes": sizes}})
    # Models of Facebook's own stride in their 3x3 convolutions, Microsoft's in the first 1x1.
    if found["backbone"]["name"].startswith("resnext") or found["backbone"]["norm"] == "group":
        tree["backbone"]["stride_in_1x1"] = False
    if found["backbone"]["norm"] == "group":
        tree["backbone"]["norm_epsilon"] = 1e-5
    settings = ModelSettings.model_validate(tree)
    return Weights(ours, settings, classes_of(ours), {"format": library}, source=source)


def cell_shapes(sizes: tuple[float, ...], stride: int) -> list[tuple[float, float]]:
    """Width and height of Detectron's anchors on a map: rounded in a square of one stride, then enlarged."""
    shapes = []
    for ratio in RATIOS:
        width = round(stride / ratio**0.5)
        height = round(width * ratio)
        shapes += [(width * size / stride, height * size / stride) for size in sizes]
    return shapes


def with_statistics(state: dict[str, Tensor], variance: float = 1) -> dict[str, Tensor]:
    """Frozen norms of Detectron are a scale and a shift: the mean is 0, the variance (with epsilon) 1."""
    complete = dict(state)
    for name, tensor in state.items():
        if name.startswith(("backbone.", "shared_head.")) and name.endswith(".norm.weight"):
            layer = name.removesuffix("weight")
            complete.setdefault(f"{layer}running_mean", torch.zeros_like(tensor))
            complete.setdefault(f"{layer}running_var", torch.full_like(tensor, variance))
    return complete


def _shared_if_c4(name: str, origins: Mapping[str, str]) -> str:
    """Stage 5 of a network without pyramid and linear layers is the head of the boxes."""
    if "neck.lateral.0.convolution.weight" in origins or "neck.lateral.0.weight" in origins:
        return name
    return name if "box_head.0.hidden.0.weight" in origins else name.replace("backbone.stages.3.", "shared_head.", 1)


def _maybe_normed(theirs: str, ours: str) -> Table:
    """A convolution, or in a row a convolution and its norm."""
    return [(theirs, f"{ours}convolution."), *normed(theirs, ours, convolution="0.", norms="1.")]


_BOX, _MASK, _KEYPOINT = (f"roi_heads.{head}.feature_extractor." for head in ("box", "mask", "keypoint"))
BENCHMARK_TABLE: Table = [
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
BENCHMARK_UNUSED = re.compile(r"rpn\.anchor_generator\..*|roi_heads\.mask\.feature_extractor\.head\..*")
"""Anchors that follow from the settings, and the stage that boxes and masks share, which stands there twice."""
BENCHMARK_CHANGES: Tree = {"input": {"resize": "pillow"}, "rpn": {"loss_normalizer": "chosen"}}
"""Settings that are not Detectron's."""


def is_maskrcnn_benchmark(state: Mapping[str, Tensor]) -> bool:
    """Whether the names are those of a maskrcnn-benchmark detector."""
    return any(_unwrapped(name) == "roi_heads.box.predictor.bbox_pred.weight" for name in state)


def read_maskrcnn_benchmark(state: Mapping[str, Tensor], source: str) -> Weights:
    """Translate a state dict of maskrcnn-benchmark and find the settings it belongs to.

    Raises:
        WeightsError: Some tensors have no place here (another kind of model); they are named.
    """
    names = [name for name in state if not BENCHMARK_UNUSED.fullmatch(_unwrapped(name))]
    row = NORMED_ROW if f"{_BOX}xconvs.1.weight" in map(_unwrapped, names) else PLAIN_ROW
    table = [*row, *BENCHMARK_TABLE]
    origins = find_origins(names, table, source, f"maskrcnn-benchmark's {READABLE}", spell=_unwrapped)
    ours = {name: state[origin] for name, origin in origins.items()}
    return finish(ours, source, "maskrcnn-benchmark", BENCHMARK_CHANGES)


def _unwrapped(name: str) -> str:
    return name.removeprefix("module.")
