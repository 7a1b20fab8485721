"""Checkpoints of torchvision's Faster and Mask R-CNN with a ResNet and FPN, old and new names, as a name table."""

from __future__ import annotations

import re
from collections.abc import Callable

from torch import Tensor

from ..config import BackboneSettings, BoxHeadSettings, FPNSettings, MaskHeadSettings, ModelSettings
from ..errors import WeightsError

# What each name of torchvision becomes here. Names written before torchvision 0.13 lack the `.0` of wrapped layers.
RENAMES: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r"backbone\.body\.conv1\.", "body.stem.convolution."),
    (r"backbone\.body\.bn1\.", "body.stem.norm."),
    (
        r"backbone\.body\.layer(\d)\.(\d+)\.conv(\d)\.",
        lambda m: f"body.stages.{int(m[1]) - 1}.{m[2]}.step{m[3]}.convolution.",
    ),
    (r"backbone\.body\.layer(\d)\.(\d+)\.bn(\d)\.", lambda m: f"body.stages.{int(m[1]) - 1}.{m[2]}.step{m[3]}.norm."),
    (
        r"backbone\.body\.layer(\d)\.(\d+)\.downsample\.0\.",
        lambda m: f"body.stages.{int(m[1]) - 1}.{m[2]}.shortcut.convolution.",
    ),
    (
        r"backbone\.body\.layer(\d)\.(\d+)\.downsample\.1\.",
        lambda m: f"body.stages.{int(m[1]) - 1}.{m[2]}.shortcut.norm.",
    ),
    (r"backbone\.fpn\.inner_blocks\.(\d)\.(?:0\.)?", r"fpn.lateral.\1."),
    (r"backbone\.fpn\.layer_blocks\.(\d)\.(?:0\.)?", r"fpn.output.\1."),
    (r"rpn\.head\.conv\.(?:0\.0\.)?", "rpn.convolution."),
    (r"rpn\.head\.cls_logits\.", "rpn.logits."),
    (r"rpn\.head\.bbox_pred\.", "rpn.deltas."),
    (r"roi_heads\.box_head\.fc6\.", "box_head.hidden1."),
    (r"roi_heads\.box_head\.fc7\.", "box_head.hidden2."),
    (r"roi_heads\.box_predictor\.cls_score\.", "box_head.logits."),
    (r"roi_heads\.box_predictor\.bbox_pred\.", "box_head.deltas."),
    (r"roi_heads\.mask_head\.mask_fcn(\d)\.", lambda m: f"mask_head.convolutions.{int(m[1]) - 1}."),
    (r"roi_heads\.mask_head\.(\d)\.0\.", r"mask_head.convolutions.\1."),
    (r"roi_heads\.mask_predictor\.conv5_mask\.", "mask_head.upsample."),
    (r"roi_heads\.mask_predictor\.mask_fcn_logits\.", "mask_head.logits."),
]
WIDTH = 64
DEPTHS = {(1, 2): "resnet18", (1, 6): "resnet34", (4, 6): "resnet50", (4, 23): "resnet101", (4, 36): "resnet152"}


def is_torchvision(state: dict[str, Tensor]) -> bool:
    """Whether the names are those of a torchvision detector."""
    return "backbone.body.conv1.weight" in state and "roi_heads.box_predictor.cls_score.weight" in state


def read_torchvision(state: dict[str, Tensor], source: str) -> tuple[dict[str, Tensor], ModelSettings, int]:
    """Translate a state dict and find the settings it belongs to.

    Args:
        state: Tensors under torchvision's names.
        source: Name of the file, for messages.

    Returns:
        Tensors under our names, the settings, and the number of classes without background.

    Raises:
        WeightsError: Some tensors have no place here (another kind of model); they are named.
    """
    classes = len(state["roi_heads.box_predictor.cls_score.weight"]) - 1
    settings = _read_settings(state, source)
    translated, unplaced = {}, []
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        ours = rename(name)
        if ours is None:
            unplaced.append(name)
        else:
            translated[ours] = _relayout(ours, tensor, settings)
    if unplaced:
        raise WeightsError(
            f"{source}: {len(unplaced)} tensors have no place in Mask R-CNN with FPN, the first of them "
            f"{', '.join(unplaced[:5])}. Readable are torchvision's fasterrcnn_resnet50_fpn and maskrcnn_resnet50_fpn "
            "and the same with another ResNet."
        )
    return translated, settings, classes


def rename(name: str) -> str | None:
    """Our name of a tensor of torchvision's detectors; None if there is no such tensor here."""
    for pattern, replacement in RENAMES:
        renamed, count = re.subn(rf"^{pattern}(?=\w+$)", replacement, name)
        if count:
            return renamed
    return None


def _relayout(name: str, tensor: Tensor, settings: ModelSettings) -> Tensor:
    """Background goes from the first row to the last of the classes and leaves the rest; bins go before channels."""
    if name.startswith("box_head.logits."):
        return tensor.roll(-1, dims=0)
    if name.startswith("box_head.deltas."):
        return tensor[4:]
    if name.startswith("mask_head.logits."):
        return tensor[1:]
    if name == "box_head.hidden1.weight":
        size = settings.box_head.pool_size
        return tensor.view(len(tensor), -1, size, size).permute(0, 2, 3, 1).flatten(1)
    return tensor


def _read_settings(state: dict[str, Tensor], source: str) -> ModelSettings:
    depth = find_depth(state, source)
    hidden = state["roi_heads.box_predictor.cls_score.weight"].shape[1]
    channels = state["rpn.head.cls_logits.weight"].shape[1]
    return ModelSettings(
        backbone=BackboneSettings(name=depth, norm_epsilon=_norm_epsilon(state)),
        fpn=FPNSettings(channels=channels),
        box_head=BoxHeadSettings(channels=hidden),
        mask_head=_read_mask_head(state),
    )


def find_depth(state: dict[str, Tensor], source: str) -> str:
    """Which ResNet the body is, from the kind, width and number of its blocks.

    Raises:
        WeightsError: None that is known here.
    """
    prefix = "backbone.body."
    blocks = len({name.split(".")[3] for name in state if name.startswith(f"{prefix}layer3.")})
    bottleneck = f"{prefix}layer1.0.conv3.weight" in state
    depth = DEPTHS.get((4 if bottleneck else 1, blocks))
    width = len(state.get(f"{prefix}layer1.0.conv1.weight", ()))
    if depth is None or width != WIDTH:
        raise WeightsError(
            f"{source}: its layer1 is {width} channels wide and its layer3 has {blocks} blocks, which is no ResNet-18, "
            "-34, -50, -101 or -152."
        )
    return depth


def _norm_epsilon(state: dict[str, Tensor]) -> float:
    """0 for frozen norms, as torchvision sets it for its published weights; norms that counted batches use 1e-5."""
    return 1e-5 if any(name.endswith("num_batches_tracked") for name in state) else 0.0


def _read_mask_head(state: dict[str, Tensor]) -> MaskHeadSettings | None:
    weight = state.get("roi_heads.mask_predictor.conv5_mask.weight")
    if weight is None:
        return None
    names = {rename(name) for name in state if name.startswith("roi_heads.mask_head.")}
    count = sum(name is not None and name.endswith(".weight") for name in names)
    return MaskHeadSettings(channels=weight.shape[0], convolutions=count)
