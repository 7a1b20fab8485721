"""Fields of COCO's annotations that follow from others: `area` and `num_keypoints`, which files often have wrong."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ..progress import counted


def usable_area(stated: object) -> float | None:
    """The `area` of an annotation as its file has it, if it is one; None: it has to be measured.

    Official evaluators take what a file says, so every finite number above 0 is kept, also where it is that of the box.
    """
    if not isinstance(stated, int | float) or isinstance(stated, bool):
        return None
    return float(stated) if 0 < stated <= sys.float_info.max else None


def visible_keypoints(keypoints: Sequence[Any]) -> int:
    """How many of x, y, visibility in turn are annotated."""
    return sum(isinstance(visibility, int | float) and visibility > 0 for visibility in keypoints[2::3])


def derived_remarks(differing: Mapping[str, Sequence[str]]) -> list[str]:
    """What to say of a file whose derived fields were measured instead.

    Args:
        differing: By the field, for each annotation that has another value, its name and both values.
    """
    return [
        f"`{field}` of {counted(len(cases), 'annotation')} cannot be right, and was computed from the object: "
        f"{cases[0]}"
        for field, cases in differing.items()
        if cases
    ]
