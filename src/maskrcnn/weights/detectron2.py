"""Checkpoints of detectron2's R-CNNs (FPN, C4, DC5, Cascade, keypoints, Panoptic FPN) as a name table."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from ..config import ModelSettings
from .categories import classes_of
from .files import Weights
from .layout import bins_first, split_counters
from .renames import Rename, check_all_placed, translate
from .structure import Tree, counts_batches, find_structure, merge, neck_channels


def _stage(match: re.Match[str]) -> str:
    block = f"backbone.stages.{int(match[1]) - 2}.{match[2]}."
    step = "shortcut" if match[3] == "shortcut" else f"step{match[3][-1]}"
    return f"{block}{step}.{match[4] or 'convolution.'}"


# A convolution is renamed as if it had a norm.
TABLE: list[Rename] = [
    (r"backbone\.(?:bottom_up\.)?stem\.conv1\.norm\.", "backbone.stem.norm."),
    (r"backbone\.(?:bottom_up\.)?stem\.conv1\.(?=weight$)", "backbone.stem.convolution."),
    (r"backbone\.(?:bottom_up\.)?res([2-5])\.(\d+)\.(conv\d|shortcut)\.(norm\.)?(?=\w+$)", _stage),
    (
        r"roi_heads\.res5\.(\d+)\.(conv\d|shortcut)\.(norm\.)?(?=\w+$)",
        lambda m: (
            f"shared_head.{m[1]}.{'shortcut' if m[2] == 'shortcut' else 'step' + m[2][-1]}.{m[3] or 'convolution.'}"
        ),
    ),
    (
        r"backbone\.fpn_(lateral|output)([2-5])\.(norm\.)?(?=\w+$)",
        lambda m: f"neck.{m[1]}.{int(m[2]) - 2}.{m[3] or 'convolution.'}",
    ),
    (r"proposal_generator\.rpn_head\.conv\.(?=\w+$)", "rpn.convolutions.0."),
    (r"proposal_generator\.rpn_head\.conv\.conv(\d)\.(?=\w+$)", r"rpn.convolutions.\1."),
    (r"proposal_generator\.rpn_head\.objectness_logits\.", "rpn.logits."),
    (r"proposal_generator\.rpn_head\.anchor_deltas\.", "rpn.deltas."),
    (
        r"roi_heads\.box_head\.(\d\.)?conv(\d)\.(norm\.)?(?=\w+$)",
        lambda m: f"box_head.{m[1] or '0.'}convolutions.{int(m[2]) - 1}.{m[3] or 'convolution.'}",
    ),
    (r"roi_heads\.box_head\.(\d\.)?fc(\d)\.", lambda m: f"box_head.{m[1] or '0.'}hidden.{int(m[2]) - 1}."),
    (r"roi_heads\.box_predictor\.(\d\.)?cls_score\.", lambda m: f"box_head.{m[1] or '0.'}logits."),
    (r"roi_heads\.box_predictor\.(\d\.)?bbox_pred\.", lambda m: f"box_head.{m[1] or '0.'}deltas."),
    (
        r"roi_heads\.mask_head\.mask_fcn(\d)\.(norm\.)?(?=\w+$)",
        lambda m: f"mask_head.convolutions.{int(m[1]) - 1}.{m[2] or 'convolution.'}",
    ),
    (r"roi_heads\.mask_head\.deconv\.(?=\w+$)", "mask_head.upsamples.0."),
    (r"roi_heads\.mask_head\.predictor\.", "mask_head.logits."),
    (r"roi_heads\.keypoint_head\.conv_fcn(\d)\.", lambda m: f"keypoint_head.convolutions.{int(m[1]) - 1}."),
    (r"roi_heads\.keypoint_head\.score_lowres\.", "keypoint_head.upsample."),
    (
        r"sem_seg_head\.p([2-5])\.(\d)\.(norm\.)?(?=\w+$)",
        lambda m: f"semantic_head.levels.{int(m[1]) - 2}.{int(m[2]) // 2}.{m[3] or 'convolution.'}",
    ),
    (r"sem_seg_head\.predictor\.", "semantic_head.logits."),
]
# Files of 2019 and 2020 also hold what the library computes from its settings.
IGNORED = re.compile(r"(proposal_generator|anchor_generator)\..*cell_anchors\.\d|anchor_generator\.cell_anchors\.\d")
PIXELS = ("pixel_mean", "pixel_std")
READABLE = "detectron2's Faster, Mask, Keypoint and Cascade R-CNN and Panoptic FPN with a residual network"

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COMMON: Tree = {
    "input": {
        "resize": "pillow",
        "colours": "bgr",
        "mean": MEAN,
        "deviation": (1 / 255,) * 3,
    },
    "backbone": {"stride_in_1x1": True},
    "anchors": {"order": "sizes_outer", "rounded": False, "stride": "nominal"},
    "rpn": {
        "normaliser": "samples",
        "smooth_l1_beta": 0,
        "rank_by": "logit",
        "smallest_side": 0,
        "proposals_training": 1000,
    },
    "roi": {"samples_per_side": 0, "half_pixel": True, "level_slack": (1e-8, 0)},
    "box_head": {"smooth_l1_beta": 0, "smallest_side": None},
    "mask_head": {"targets": "polygons", "paste": "sampled"},
    "keypoint_head": {"score": "share"},
}
# Without a pyramid there is one map with all sizes, and nothing is padded.
ONE_MAP: Tree = {
    "input": {"pad_to": 1},
    "anchors": {"sizes": ((32, 64, 128, 256, 512),)},
    "rpn": {
        "candidates_training": 12000,
        "candidates": 6000,
        "proposals_training": 2000,
        "proposals": 1000,
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
    origins, left = translate(state, TABLE)
    kept = [name for name in left if name in PIXELS or IGNORED.fullmatch(name)]
    check_all_placed([name for name in left if name not in kept], source, READABLE)
    ours = {name: state[origin] for name, origin in origins.items()}
    tree = merge(_find_settings(ours, source), _find_pixels(state))
    settings = ModelSettings.model_validate(tree)
    ours, counters = split_counters(bins_first(ours, neck_channels(ours)), settings.backbone)
    extra = {origins[name]: tensor for name, tensor in counters.items()} | {name: state[name] for name in kept}
    return Weights(ours, settings, classes_of(ours), {"format": "detectron2"}, source=source, extra=extra)


def _find_settings(state: Mapping[str, Tensor], source: str) -> Tree:
    """What the tensors tell, and what their published configurations say beside it."""
    found = find_structure(state, source)
    tree = merge(found, COMMON, {} if found["neck"]["name"] == "fpn" else ONE_MAP)
    if found["neck"]["name"] == "c5":
        tree["backbone"]["dilate_stage5"] = True
    if found["keypoint_head"] is not None:
        tree = merge(tree, {"box_head": {"smooth_l1_beta": 0.5}, "rpn": {"proposals_training": 1500}})
    if found["cascade"] is not None:
        tree = merge(tree, {"rpn": {"proposals_training": 2000}})
    # Frozen norms count no batches: those that do in the stem were learnt from random weights.
    learnt = counts_batches(state)
    from_scratch = "backbone.stem.norm.num_batches_tracked" in state
    if learnt:
        tree["backbone"] |= {"norm": "batch", "frozen_stages": 0 if from_scratch else 2}
    # The place of the stride has no trace in the tensors: it is Microsoft's, also in the "new baselines" with their two
    # convolutions in the RPN, but not in networks of Facebook's own and the one that was learnt from random weights.
    alone = from_scratch and found["rpn"]["convolutions"] == 1
    name = found["backbone"]["name"]
    if alone or name.startswith("resnext") or found["backbone"]["norm"] == "group":
        tree = merge(tree, STRIDE_IN_3X3)
    if alone or name == "resnext101_32x8d":
        tree = merge(tree, {"input": {"deviation": DEVIATION}})
    return tree


def _find_pixels(state: Mapping[str, Tensor]) -> Tree:
    """Mean and deviation of files that hold them, in the order of the network's channels."""
    if not all(name in state for name in PIXELS):
        return {}
    mean, deviation = (state[name].flatten().double().tolist() for name in PIXELS)
    # ImageNet's pictures have more red than blue, so that a mean that rises begins with blue.
    reverse = len(mean) == 3 and mean[0] < mean[2]
    if reverse:
        mean, deviation = mean[::-1], deviation[::-1]
    if max(mean) > 1:
        mean, deviation = [one / 255 for one in mean], [one / 255 for one in deviation]
    colours = {"colours": "bgr" if reverse else "rgb"} if len(mean) == 3 else {}
    return {"input": {"mean": tuple(mean), "deviation": tuple(deviation), **colours}}
