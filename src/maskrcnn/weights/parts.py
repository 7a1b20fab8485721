"""The parts of a model that a file of weights has whole or not at all, by the names of their tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from ..config import ModelSettings
from ..structures.classes import Classes

STAGES = ("stem", "stage 2 (layer1)", "stage 3 (layer2)", "stage 4 (layer3)", "stage 5 (layer4)")
BOX_CLASSES = "class layers of the box head"
MASK_CLASSES = "class layer of the mask head"
KEYPOINTS = "last layer of the keypoint head"
STUFF = "class layer of the semantic head"

# The first that fits counts.
_PARTS = (
    (r"backbone\.stem\.", STAGES[0]),
    *((rf"backbone\.stages\.{stage}\.", name) for stage, name in enumerate(STAGES[1:])),
    (r"shared_head\.", STAGES[4]),
    (r"backbone\.", "backbone"),
    (r"neck\.", "FPN"),
    (r"rpn\.", "RPN"),
    (r"box_head\.\d+\.logits\.", BOX_CLASSES),
    (r"box_head\.\d+\.deltas\.", BOX_CLASSES),
    (r"box_head\.", "box head"),
    (r"mask_head\.(?:\d+\.)?logits\.", MASK_CLASSES),
    (r"mask_head\.", "mask head"),
    (r"keypoint_head\.upsample\.", KEYPOINTS),
    (r"keypoint_head\.", "keypoint head"),
    (r"semantic_head\.logits\.", STUFF),
    (r"semantic_head\.", "semantic head"),
)
_DELTAS = re.compile(r"box_head\.\d+\.deltas\.")
LAST_NORM = re.compile(r"(?:backbone\.stages\.\d|shared_head)\.(\d+)\.step(\d)\.norm\.weight")


def names_by_part(names: Iterable[str], settings: ModelSettings) -> dict[str, list[str]]:
    """Names of tensors by the part they belong to, the parts from the image to the masks.

    Args:
        names: Of tensors.
        settings: Of the model; layers that do not depend on the classes are no class layers.
    """
    parts: dict[str, list[str]] = {part: [] for _, part in _PARTS}
    for name in names:
        parts.setdefault(_part_of(name, settings), []).append(name)
    return {part: names for part, names in parts.items() if names}


def parts_of_classes(there: Classes, here: Classes) -> set[str]:
    """The parts that are of no use here because they know other classes, keypoints or kinds of pixels."""
    others = set()
    if there.names != here.names:
        others |= {BOX_CLASSES, MASK_CLASSES}
    if (there.keypoint_schema and there.keypoint_schema.names) != (here.keypoint_schema and here.keypoint_schema.names):
        others.add(KEYPOINTS)
    if there.stuff != here.stuff:
        others.add(STUFF)
    return others


def has_statistics(names: Iterable[str]) -> bool:
    """Whether the backbone's norms have a mean and a variance."""
    return any(name.startswith("backbone.") and name.endswith(".running_mean") for name in names)


def calm(names: list[str], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The last norm weights of the blocks of a stage with frozen norms, divided by the number of blocks."""
    norms = [match for match in map(LAST_NORM.fullmatch, names) if match]
    frozen = any(name.endswith(".running_mean") for name in names) and not any(
        name.endswith("tracked") for name in names
    )
    if not norms or not frozen:
        return {}
    last = max(match[2] for match in norms)
    blocks = len({match[1] for match in norms})
    return {match[0]: own[match[0]] / blocks for match in norms if match[2] == last}


def _part_of(name: str, settings: ModelSettings) -> str:
    if settings.box_head.class_agnostic and _DELTAS.match(name):
        return "box head"
    part = next((part for pattern, part in _PARTS if re.match(pattern, name)), name)
    head = settings.mask_head
    return "mask head" if part == MASK_CLASSES and head is not None and head.class_agnostic else part
