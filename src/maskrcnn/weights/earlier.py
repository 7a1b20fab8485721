"""What earlier versions of our own weights files call tensors and settings; `weights/own.py` reads them by it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .foreign.names import Table

TENSORS: Table = [
    ("body.*", "backbone.*"),
    ("fpn.*", "neck.*"),
    ("rpn.convolution.*", "rpn.convolutions.0.*"),
    ("box_head.hidden{i+1}.*", "box_head.0.hidden.{i}.*"),
    ("box_head.*", "box_head.0.*"),
    ("box_heads.*", "box_head.*"),
    ("mask_head.upsample.*", "mask_head.upsamples.0.*"),
    ("mask_heads.0.*", "mask_head.*"),
]
"""Names of tensors in versions 1 and 2, and today's."""

SETTINGS: dict[str, tuple[str, ...]] = {
    "neck": ("neck.name",),
    "fpn.channels": ("neck.channels",),
    "fpn.norm": ("neck.norm",),
    "fpn": (),
    "clamp_both_sides": ("rpn.clamp_both_sides", "box_head.clamp_both_sides"),
    "loss_epsilon": ("rpn.loss_epsilon", "box_head.loss_epsilon"),
    "input.shorter": ("input.min_size",),
    "input.longer": ("input.max_size",),
    "input.magnify": ("input.scale_factor",),
    "input.pad_to": ("input.size_divisible",),
    "input.colours": ("input.channel_order",),
    "input.deviation": ("input.std",),
    "rpn.samples": ("rpn.batch_size_per_image",),
    "rpn.normaliser": ("rpn.loss_normalizer",),
    "rpn.candidates_training": ("rpn.pre_nms_top_n_training",),
    "rpn.candidates": ("rpn.pre_nms_top_n",),
    "rpn.proposals_training": ("rpn.post_nms_top_n_training",),
    "rpn.proposals": ("rpn.post_nms_top_n",),
    "rpn.smallest_side": ("rpn.min_box_size",),
    "roi.samples_per_side": ("roi.sampling_ratio",),
    "box_head.samples": ("box_head.batch_size_per_image",),
    "box_head.hard_examples": ("box_head.ohem",),
    "box_head.smallest_side": ("box_head.min_box_size",),
    "box_head.nms_across_classes": ("box_head.class_agnostic_nms",),
    "box_head.detections": ("box_head.detections_per_image",),
    "mask_head.competition": ("mask_head.activation",),
    "mask_head.doublings": ("mask_head.upsamples",),
    "panoptic.overlap": ("panoptic.overlap_threshold",),
    "panoptic.stuff_area": ("panoptic.stuff_area_limit",),
}
"""Where settings of the model stood in versions 1 and 2, and all places where their values belong today."""


def todays_settings(earlier: dict[str, Any]) -> dict[str, Any]:
    """Settings of a model as a file of version 1 or 2 has them, in the form that `ModelSettings` validates today."""
    tree: dict[str, Any] = {}
    for path, value in _leaves(earlier):
        for place in SETTINGS.get(path, (path,)):
            *sections, key = place.split(".")
            section = tree
            for name in sections:
                section = section.setdefault(name, {})
            section[key] = value
    return tree


def _leaves(tree: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every `section.name` with its value; of sections without settings their own name."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield above + key, value
