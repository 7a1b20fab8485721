"""Keypoints of COCO files whose categories do not list them all: each gets a name, so that none is lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from .derived_fields import visible_keypoints

PARTS = {"foot_kpts": "foot", "face_kpts": "face", "lefthand_kpts": "left_hand", "righthand_kpts": "right_hand"}
"""Fields of COCO-WholeBody (Jin et al. 2020) beside `keypoints`, in the order of its 133 points."""


def with_listed_keypoints(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a COCO file holds, with the names of all keypoints that its annotations have.

    Keypoints without a name are numbered. The feet, faces and hands of COCO-WholeBody follow those of the body. An
    object may list fewer keypoints than its category: the others are not annotated. What is no list of numbers, or of
    another length than all others, stays as it is.

    Args:
        content: With `categories` and `annotations`; it is not changed, and returned if nothing is missing.
    """
    categories, annotations = content["categories"], content.get("annotations") or []
    parts = {name: word for name, word in PARTS.items() if any(_points(found, name) for found in annotations)}
    if parts:
        annotations = [_joined(found, parts, annotations) for found in annotations]
    named = _named(categories, annotations, parts, content.get("annotations") or [])
    counts = {
        category["id"]: len(category["keypoints"])
        for category in named
        if isinstance(category.get("keypoints"), list) and isinstance(category.get("id"), int | str)
    }
    short = [found for found in annotations if _lacking(found, counts)]
    if short:
        annotations = [_padded(found, counts) for found in annotations]
    if not parts and not short and all(new is old for new, old in zip(named, categories, strict=True)):
        return content
    return {**content, "categories": named, "annotations": annotations}


def _named(
    categories: Sequence[dict[str, Any]],
    annotations: Sequence[dict[str, Any]],
    parts: Mapping[str, str],
    given: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    """The categories with as many names as their objects have keypoints."""
    lengths: dict[Any, set[int]] = defaultdict(set)
    for found in annotations:
        if (points := _points(found, "keypoints")) and isinstance(found.get("category_id"), int | str):
            lengths[found["category_id"]].add(len(points) // 3)
    beside = [f"{word}_{n}" for name, word in parts.items() for n in range(1, _length(given, name) + 1)]
    made = []
    for category in categories:
        listed, own = category.get("keypoints") or [], category.get("id")
        found_counts = lengths.get(own, set()) if isinstance(own, int | str) else set()
        most = max(found_counts, default=0)
        if isinstance(listed, list) and most > len(listed) and (not listed or len(found_counts) == 1):
            body = most - len(beside)
            names = listed[:body] + [str(n) for n in range(len(listed[:body]) + 1, body + 1)] + beside
            category = {**category, "keypoints": names}
        made.append(category)
    return made


def _joined(found: dict[str, Any], parts: Mapping[str, str], annotations: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """An object of COCO-WholeBody with all its keypoints in one list."""
    fields = ("keypoints", *parts)
    if not any(_points(found, name) for name in fields):
        return found
    joined: list[Any] = []
    for name in fields:
        joined += _points(found, name) or [0] * 3 * _length(annotations, name)
    others = {key: value for key, value in found.items() if key not in parts}
    return {**others, "keypoints": joined, "num_keypoints": visible_keypoints(joined)}


def _length(annotations: Sequence[dict[str, Any]], name: str) -> int:
    return next((len(points) // 3 for found in annotations if (points := _points(found, name))), 0)


def _points(found: Mapping[str, Any], name: str) -> list[Any]:
    """A list of x, y, visibility in turn in which a point is annotated; none otherwise."""
    points = found.get(name)
    if not isinstance(points, list) or len(points) % 3:
        return []
    return points if any(isinstance(seen, int | float) and seen > 0 for seen in points[2::3]) else []


def _lacking(found: Mapping[str, Any], counts: Mapping[Any, int]) -> int:
    """How many keypoints of its category an object does not list; 0 if it lists none at all."""
    points, category = found.get("keypoints"), found.get("category_id")
    if not isinstance(points, list) or not points or len(points) % 3 or not isinstance(category, int | str):
        return 0
    return max(0, counts.get(category, 0) - len(points) // 3)


def _padded(found: dict[str, Any], counts: Mapping[Any, int]) -> dict[str, Any]:
    lacking = _lacking(found, counts)
    return {**found, "keypoints": [*found["keypoints"], *[0] * 3 * lacking]} if lacking else found
