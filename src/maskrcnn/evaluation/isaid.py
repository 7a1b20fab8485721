"""Average precision on iSAID, aerial pictures with hundreds of small objects each (Waqas Zamir et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .annotations import Annotations
from .coco import KINDS, coco_sections
from .results import Kind
from .sections import Say, Section, say_nothing

AREAS = {"": (0.0, 1e10), "s": (10.0**2, 144.0**2), "m": (144.0**2, 512.0**2), "l": (512.0**2, 1e10)}
"""Ranges of object areas in square pixels, both ends included; objects below 10 x 10 count among all only."""
DETECTIONS = 1000
"""Detections that count per picture and class."""


def isaid_sections(
    truth: Annotations, results: Sequence[dict], *, kinds: Sequence[Kind] = KINDS, say: Say = say_nothing
) -> list[Section]:
    """Score predictions as iSAID's development kit does (https://github.com/CAPTAIN-WHU/iSAID_Devkit, evaluate.py).

    That is COCO's evaluation with 1,000 detections and its own ranges of areas. The first annotation of iSAID's file
    has the id 0, which COCO's evaluator takes for "not matched"; here it can be found like all others.

    Args:
        truth: The annotated patches.
        results: COCO records; may be empty.
        kinds: "bbox" boxes, "segm" masks.
        say: Called with what is being scored.

    Raises:
        DataError: A record cannot be used.
    """
    sections = coco_sections(truth, results, kinds=kinds, max_detections=DETECTIONS, areas=AREAS, say=say)
    sizes = "small 10^2 to 144^2, medium to 512^2, large above, in square pixels"
    return [replace(section, protocol=f"{section.protocol} (iSAID: {sizes})") for section in sections]
