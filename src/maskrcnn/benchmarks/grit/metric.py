"""GRIT's scores of one answer: boxes or masks of all objects that a query names.

Gupta et al. 2022, GRIT; https://github.com/allenai/grit_official, metrics/localization.py and segmentation.py. Objects
are paired so that their IoU is largest in sum; what stays alone on either side counts against the answer, so that the
score threshold of the predictions matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from faster_coco_eval.core import mask as coco_mask
from scipy.optimize import linear_sum_assignment

STUFF = "(Stuff)"
"""In a query: its masks count together, not as objects."""
MARGIN = 1e-6


class GritSample(NamedTuple):
    """A question and what is known of it.

    Args:
        example_id: Its name; that of a distorted image ends in `_dist`.
        query: The name of what is to be found.
        objects: Boxes x1, y1, x2, y2 or RLE of what is there; None: not public.
        groups: Concept groups that the query belongs to.
        new_source: It comes from a dataset that is not the task's usual one.
        new_concept: The usual one does not have the class.
        distorted: The image is.
    """

    example_id: str
    query: str
    objects: Sequence[Any] | None
    groups: frozenset[str] = frozenset()
    new_source: bool = False
    new_concept: bool = False
    distorted: bool = False


class GritAnswer(NamedTuple):
    """An answer: how sure the model is of all of it, 0 to 1, and boxes x1, y1, x2, y2 or RLE."""

    confidence: float
    objects: Sequence[Any]


def sample_score(task: str, sample: GritSample, answer: GritAnswer) -> float:
    """Accuracy of an answer in 0..1.

    Args:
        task: "localization" or "segmentation".
        sample: With its objects.
        answer: The answer to it.
    """
    truth = sample.objects or ()
    if task == "localization":
        return box_score(answer.objects, truth)
    found, masks = ([coco_mask.decode(each) for each in objects] for objects in (answer.objects, truth))
    return mask_score(found, masks, stuff=STUFF in sample.query)


def box_score(found: Sequence[Sequence[float]], truth: Sequence[Sequence[float]]) -> float:
    """Sum of the pairs' IoU by the number of pairs and objects that stay alone.

    Args:
        found: P boxes x1, y1, x2, y2; those without width or height have the area 0.
        truth: G boxes.

    Returns:
        1 if there are neither, 0 if only one side has any.
    """
    ours, theirs = (np.array(boxes, dtype=np.float64).reshape(-1, 4) for boxes in (found, truth))
    corners = np.concatenate(
        [np.maximum(ours[:, None, :2], theirs[None, :, :2]), np.minimum(ours[:, None, 2:], theirs[None, :, 2:])], axis=2
    )
    shared = _areas(corners)
    ious = shared / (_areas(ours)[:, None] + _areas(theirs)[None] - shared + MARGIN)
    return _score(ious, 1 - ious)


def mask_score(found: Sequence[np.ndarray], truth: Sequence[np.ndarray], *, stuff: bool) -> float:
    """The same of masks.

    Args:
        found: P bitmaps uint8; those of another size than the truth's are scaled to it.
        truth: G bitmaps uint8.
        stuff: All masks of each side count as one; without any annotated the score is 0, whatever is found.
    """
    if stuff and not truth:
        return 0.0
    if stuff and found:
        size = truth[0].shape
        found = [np.logical_or.reduce([_scaled(mask, size) for mask in found]).astype(np.uint8)]
        truth = [np.logical_or.reduce([_scaled(mask, size) for mask in truth]).astype(np.uint8)]
    ious = np.array([[_mask_iou(ours, theirs) for theirs in truth] for ours in found]).reshape(len(found), len(truth))
    return _score(ious, -ious)


def _areas(boxes: np.ndarray) -> np.ndarray:
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return np.where((width > 0) & (height > 0), width * height, 0.0)


def _mask_iou(found: np.ndarray, truth: np.ndarray) -> float:
    ours, theirs = _scaled(found, truth.shape) > 0, truth > 0
    return float((ours & theirs).sum() / ((ours | theirs).sum() + MARGIN))


def _scaled(mask: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    return mask if mask.shape == size else cv2.resize(mask, size[::-1])


def _score(ious: np.ndarray, costs: np.ndarray) -> float:
    """Of [P, G] overlaps."""
    found, truth = ious.shape
    if not found or not truth:
        return float(found == truth)
    overlaps = ious[linear_sum_assignment(costs)]
    pairs = np.count_nonzero(overlaps > 0)
    return float(overlaps.sum() / (found + truth - pairs))
