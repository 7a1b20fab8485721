"""Checkpoints of Detectron (Caffe2) and of maskrcnn-benchmark, which follows it, as name tables.

Both count pixels: a box from 3 to 5 is 3 pixels wide there and ends at 6 here. Anchors, deltas, levels and suppression
are the same under that shift, and are set. What is left are roundings: the features of a box are pooled from an area
that is one pixel of the picture wider and higher here, masks are pasted into it, and pictures are resized on their
8-bit values (Detectron resizes floating point values; maskrcnn-benchmark rounds sizes down).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ..config import ModelSettings
from .categories import classes_of
from .files import Weights
from .imagenet import CAFFE2
from .layout import background_last, bins_first
from .renames import Rename, check_all_placed, translate
from .structure import Tree, find_structure, merge, neck_channels
from .torchvision import BODY

_PART = {"w": "convolution.weight", "b": "convolution.bias", "gn_s": "norm.weight", "gn_b": "norm.bias"}
_LEAF = r"(?P<leaf>w|b|gn_s|gn_b)$"
_PLAIN = {"w": "weight", "b": "bias"}
# A convolution is renamed as if it had a norm.
DETECTRON: list[Rename] = [
    *CAFFE2,
    (rf"fpn_inner_res(\d)_\d+_sum_(?:lateral_)?{_LEAF}", lambda m: f"neck.lateral.{int(m[1]) - 2}.{_PART[m['leaf']]}"),
    (rf"fpn_res(\d)_\d+_sum_{_LEAF}", lambda m: f"neck.output.{int(m[1]) - 2}.{_PART[m['leaf']]}"),
    (r"conv_rpn(?:_fpn2)?_([wb])$", lambda m: f"rpn.convolutions.0.{_PLAIN[m[1]]}"),
    (r"rpn_cls_logits(?:_fpn2)?_([wb])$", lambda m: f"rpn.logits.{_PLAIN[m[1]]}"),
    (r"rpn_bbox_pred(?:_fpn2)?_([wb])$", lambda m: f"rpn.deltas.{_PLAIN[m[1]]}"),
    (r"fc([67])_([wb])$", lambda m: f"box_head.0.hidden.{int(m[1]) - 6}.{_PLAIN[m[2]]}"),
    (rf"head_conv(\d)_{_LEAF}", lambda m: f"box_head.0.convolutions.{int(m[1]) - 1}.{_PART[m['leaf']]}"),
    (r"cls_score_([wb])$", lambda m: f"box_head.0.logits.{_PLAIN[m[1]]}"),
    (r"bbox_pred_([wb])$", lambda m: f"box_head.0.deltas.{_PLAIN[m[1]]}"),
    (rf"_\[mask\]_fcn(\d)_{_LEAF}", lambda m: f"mask_head.convolutions.{int(m[1]) - 1}.{_PART[m['leaf']]}"),
    (r"conv5_mask_([wb])$", lambda m: f"mask_head.upsamples.0.{_PLAIN[m[1]]}"),
    (r"mask_fcn_logits_([wb])$", lambda m: f"mask_head.logits.{_PLAIN[m[1]]}"),
    (r"conv_fcn(\d)_([wb])$", lambda m: f"keypoint_head.convolutions.{int(m[1]) - 1}.{_PLAIN[m[2]]}"),
    (r"kps_score_lowres_([wb])$", lambda m: f"keypoint_head.upsample.{_PLAIN[m[1]]}"),
]
# What training left behind, the constant kernel that doubles keypoint maps, and what told ImageNet's classes apart.
DETECTRON_UNUSED = re.compile(r".*_momentum|lr|kps_score_[wb]|conv1_b|(fc1000|pred)_[wb]")

_SEQUENCE = r"(?:(?P<place>[01])\.)?(?=\w+$)"


def _in_sequence(layer: str, match: re.Match[str]) -> str:
    """A convolution, or the first and second of a convolution and its norm in a row."""
    return f"{layer}.{'norm' if match['place'] == '1' else 'convolution'}."


BENCHMARK: list[Rename] = [
    (r"backbone\.body\.stem\.conv1\.", "backbone.stem.convolution."),
    (r"backbone\.body\.stem\.bn1\.", "backbone.stem.norm."),
    *((rf"backbone\.body\.(?=layer){pattern}", ours) for pattern, ours in BODY),
    *(
        (
            rf"roi_heads\.box\.feature_extractor\.head\.(?=layer4){pattern}",
            lambda m, ours=ours: _shared(ours(m) if callable(ours) else ours),
        )
        for pattern, ours in BODY
    ),
    (
        rf"backbone\.fpn\.fpn_(?P<kind>inner|layer)(?P<level>\d)\.{_SEQUENCE}",
        lambda m: _in_sequence(f"neck.{'lateral' if m['kind'] == 'inner' else 'output'}.{int(m['level']) - 1}", m),
    ),
    (r"rpn\.head\.conv\.", "rpn.convolutions.0."),
    (r"rpn\.head\.cls_logits\.", "rpn.logits."),
    (r"rpn\.head\.bbox_pred\.", "rpn.deltas."),
    (r"roi_heads\.box\.feature_extractor\.fc([67])\.(?=\w+$)", lambda m: f"box_head.0.hidden.{int(m[1]) - 6}."),
    (r"roi_heads\.box\.predictor\.cls_score\.", "box_head.0.logits."),
    (r"roi_heads\.box\.predictor\.bbox_pred\.", "box_head.0.deltas."),
    (
        rf"roi_heads\.mask\.feature_extractor\.mask_fcn(?P<number>\d)\.{_SEQUENCE}",
        lambda m: _in_sequence(f"mask_head.convolutions.{int(m['number']) - 1}", m),
    ),
    (r"roi_heads\.mask\.predictor\.conv5_mask\.", "mask_head.upsamples.0."),
    (r"roi_heads\.mask\.predictor\.mask_fcn_logits\.", "mask_head.logits."),
    (
        r"roi_heads\.keypoint\.feature_extractor\.conv_fcn(\d)\.",
        lambda m: f"keypoint_head.convolutions.{int(m[1]) - 1}.",
    ),
    (r"roi_heads\.keypoint\.predictor\.kps_score_lowres\.", "keypoint_head.upsample."),
]
# Anchors that follow from the settings, and the stage that boxes and masks share, which stands there twice.
BENCHMARK_UNUSED = re.compile(r"rpn\.anchor_generator\..*|roi_heads\.mask\.feature_extractor\.head\..*")
WRAPPER = "module."

COMMON: Tree = {
    "input": {
        "resize": "opencv",
        "colours": "bgr",
        "mean": (122.7717 / 255, 115.9465 / 255, 102.9801 / 255),
        "deviation": (1 / 255,) * 3,
    },
    "backbone": {"stride_in_1x1": True, "norm_epsilon": 0},
    "anchors": {"order": "ratios_outer", "rounded": False, "stride": "nominal", "offset": 0.5},
    "rpn": {"normaliser": "samples", "smallest_side": 0},
    "roi": {"samples_per_side": 2, "half_pixel": False, "level_slack": (1e-6, 0)},
    "box_head": {"smooth_l1_beta": 1, "smallest_side": None},
    "mask_head": {"targets": "polygons", "paste": "grown"},
}
SIZES, RATIOS = (32, 64, 128, 256, 512), (0.5, 1, 2)
ONE_MAP: Tree = {
    "input": {"pad_to": 1},
    "rpn": {"candidates_training": 12000, "candidates": 6000},
    "roi": {"samples_per_side": 0},
}
LIKE_BENCHMARK: Tree = {"input": {"resize": "pillow"}, "rpn": {"normaliser": "chosen"}}


def is_detectron(state: Mapping[str, Tensor]) -> bool:
    """Whether the names are those of a Detectron detector."""
    return "bbox_pred_w" in state


def is_benchmark(state: Mapping[str, Tensor]) -> bool:
    """Whether the names are those of a maskrcnn-benchmark detector."""
    return any(name.removeprefix(WRAPPER) == "roi_heads.box.predictor.bbox_pred.weight" for name in state)


def read_detectron(state: Mapping[str, Tensor], source: str) -> Weights:
    """Translate the blobs of a Detectron file and find the settings they belong to.

    Raises:
        WeightsError: Some tensors have no place here (another kind of model); they are named.
    """
    origins, left = translate(state, DETECTRON)
    left = [name for name in left if not DETECTRON_UNUSED.fullmatch(name)]
    check_all_placed(left, source, "Detectron's Faster, Mask and Keypoint R-CNN with a residual network")
    ours = {_shared_if_c4(name, origins): state[origin] for name, origin in origins.items()}
    if "conv1_gn_s" not in state:
        ours = _with_statistics(ours)
    return _finish(ours, source, "Detectron", {})


def read_benchmark(state: Mapping[str, Tensor], source: str) -> Weights:
    """Translate a state dict of maskrcnn-benchmark and find the settings it belongs to.

    Raises:
        WeightsError: Some tensors have no place here (another kind of model); they are named.
    """
    names = {name.removeprefix(WRAPPER): name for name in state}
    grouped = "roi_heads.box.feature_extractor.xconvs.1.weight" in names
    origins, left = translate(names, [_convolutions_in_a_row(grouped), *BENCHMARK])
    left = [names[name] for name in left if not BENCHMARK_UNUSED.fullmatch(name)]
    check_all_placed(left, source, "maskrcnn-benchmark's Faster, Mask and Keypoint R-CNN with a residual network")
    ours = {name: state[names[origin]] for name, origin in origins.items()}
    return _finish(ours, source, "maskrcnn-benchmark", LIKE_BENCHMARK)


def cell_shapes(sizes: tuple[float, ...], stride: int) -> list[tuple[float, float]]:
    """Width and height of Detectron's anchors on a map: rounded in a square of one stride, then enlarged."""
    shapes = []
    for ratio in RATIOS:
        width = round(stride / ratio**0.5)
        height = round(width * ratio)
        shapes += [(width * size / stride, height * size / stride) for size in sizes]
    return shapes


def _finish(state: dict[str, Tensor], source: str, library: str, changes: Tree) -> Weights:
    ours, _ = background_last(state)
    ours = bins_first(ours, neck_channels(ours))
    found = find_structure(ours, source)
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


def _shared_if_c4(name: str, origins: Mapping[str, str]) -> str:
    """Stage 5 of a network without pyramid and linear layers is the head of the boxes."""
    if "neck.lateral.0.convolution.weight" in origins or "neck.lateral.0.weight" in origins:
        return name
    return name if "box_head.0.hidden.0.weight" in origins else _shared(name)


def _shared(name: str) -> str:
    return name.replace("backbone.stages.3.", "shared_head.", 1)


def _with_statistics(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Frozen norms of Detectron are a scale and a shift: the mean is 0, the variance 1."""
    complete = dict(state)
    for name, tensor in state.items():
        if name.startswith(("backbone.", "shared_head.")) and name.endswith(".norm.weight"):
            layer = name.removesuffix("weight")
            complete.setdefault(f"{layer}running_mean", torch.zeros_like(tensor))
            complete.setdefault(f"{layer}running_var", torch.ones_like(tensor))
    return complete


def _convolutions_in_a_row(grouped: bool) -> Rename:
    """Convolutions of a box head, each followed by its norm, if any, and a ReLU."""
    step = 3 if grouped else 2
    return (
        r"roi_heads\.box\.feature_extractor\.xconvs\.(\d+)\.",
        lambda m: (
            f"box_head.0.convolutions.{int(m[1]) // step}.{'norm' if grouped and int(m[1]) % 3 else 'convolution'}."
        ),
    )
