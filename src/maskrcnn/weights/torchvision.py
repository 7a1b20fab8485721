"""Checkpoints of torchvision's Faster, Mask and Keypoint R-CNN, names old and new, as a name table."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..config import ModelSettings
from .categories import classes_of
from .files import Weights
from .layout import background_last, bins_first, split_counters
from .renames import Rename, check_all_placed, translate
from .structure import Tree, counts_batches, find_structure, merge, neck_channels

_LEAF = r"(?=\w+$)"
_BLOCKS = {"inner": "lateral", "layer": "output"}
BODY: list[Rename] = [
    (rf"conv1\.{_LEAF}", "backbone.stem.convolution."),
    (rf"bn1\.{_LEAF}", "backbone.stem.norm."),
    (
        rf"layer([1-4])\.(\d+)\.conv(\d)\.{_LEAF}",
        lambda m: f"backbone.stages.{int(m[1]) - 1}.{m[2]}.step{m[3]}.convolution.",
    ),
    (rf"layer([1-4])\.(\d+)\.bn(\d)\.{_LEAF}", lambda m: f"backbone.stages.{int(m[1]) - 1}.{m[2]}.step{m[3]}.norm."),
    (
        rf"layer([1-4])\.(\d+)\.downsample\.([01])\.{_LEAF}",
        lambda m: f"backbone.stages.{int(m[1]) - 1}.{m[2]}.shortcut.{('convolution', 'norm')[int(m[3])]}.",
    ),
]
"""Plain residual networks."""

# Names written before torchvision 0.13 lack the `.0` of wrapped layers. A convolution is renamed as if it had a norm.
TABLE: list[Rename] = [
    *((rf"backbone\.body\.{pattern}", ours) for pattern, ours in BODY),
    (r"backbone\.body\.(?=\d+\.)", "backbone.features."),
    (
        rf"backbone\.fpn\.(inner|layer)_blocks\.(\d)\.(?:0\.)?{_LEAF}",
        lambda m: f"neck.{_BLOCKS[m[1]]}.{m[2]}.convolution.",
    ),
    (rf"backbone\.fpn\.(inner|layer)_blocks\.(\d)\.1\.{_LEAF}", lambda m: f"neck.{_BLOCKS[m[1]]}.{m[2]}.norm."),
    (rf"rpn\.head\.conv\.{_LEAF}", "rpn.convolutions.0."),
    (rf"rpn\.head\.conv\.(\d)\.0\.{_LEAF}", r"rpn.convolutions.\1."),
    (rf"rpn\.head\.cls_logits\.{_LEAF}", "rpn.logits."),
    (rf"rpn\.head\.bbox_pred\.{_LEAF}", "rpn.deltas."),
    (rf"roi_heads\.box_head\.fc([67])\.{_LEAF}", lambda m: f"box_head.0.hidden.{int(m[1]) - 6}."),
    (rf"roi_heads\.box_head\.(\d+)\.0\.{_LEAF}", r"box_head.0.convolutions.\1.convolution."),
    (rf"roi_heads\.box_head\.(\d+)\.1\.{_LEAF}", r"box_head.0.convolutions.\1.norm."),
    (rf"roi_heads\.box_head\.5\.{_LEAF}", "box_head.0.hidden.0."),
    (rf"roi_heads\.box_predictor\.cls_score\.{_LEAF}", "box_head.0.logits."),
    (rf"roi_heads\.box_predictor\.bbox_pred\.{_LEAF}", "box_head.0.deltas."),
    (rf"roi_heads\.mask_head\.mask_fcn(\d)\.{_LEAF}", lambda m: f"mask_head.convolutions.{int(m[1]) - 1}."),
    (rf"roi_heads\.mask_head\.(\d)\.0\.{_LEAF}", r"mask_head.convolutions.\1.convolution."),
    (rf"roi_heads\.mask_head\.(\d)\.1\.{_LEAF}", r"mask_head.convolutions.\1.norm."),
    (rf"roi_heads\.mask_predictor\.conv5_mask\.{_LEAF}", "mask_head.upsamples.0."),
    (rf"roi_heads\.mask_predictor\.mask_fcn_logits\.{_LEAF}", "mask_head.logits."),
    (rf"roi_heads\.keypoint_head\.(\d+)\.{_LEAF}", lambda m: f"keypoint_head.convolutions.{int(m[1]) // 2}."),
    (rf"roi_heads\.keypoint_predictor\.kps_score_lowres\.{_LEAF}", "keypoint_head.upsample."),
]
# fasterrcnn_mobilenet_v3_large_fpn: five sizes on each of its three levels, and a limit on the score of proposals.
MOBILENET: Tree = {
    "anchors": {"sizes": ((32, 64, 128, 256, 512),) * 3},
    "rpn": {"score_threshold": 0.05},
}


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
    origins, left = translate(state, TABLE)
    check_all_placed(left, source, "torchvision's fasterrcnn_*, maskrcnn_* and keypointrcnn_*, also with other ResNets")
    ours, background = background_last({name: state[origin] for name, origin in origins.items()})
    settings = ModelSettings.model_validate(_find_settings(ours, source))
    ours, counters = split_counters(bins_first(ours, neck_channels(ours)), settings.backbone)
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
        # Of the first generation. Norms that have counted batches were learnt with the usual epsilon.
        tree["backbone"]["norm_epsilon"] = 0.0
    if counts_batches(state):
        tree["backbone"]["norm"] = "batch"
        if tree["backbone"]["name"] == "mobilenet_v3_large":  # never published with such norms, so learnt as a whole
            tree["backbone"]["frozen_stages"] = 0
    return tree
