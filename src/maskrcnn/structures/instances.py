"""The objects of one picture, annotated or predicted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from ..ops.devices import carry
from .masks import Masks
from .panoptic import Panoptic


@dataclass
class Instances:
    """N objects of one picture; N may be 0.

    Args:
        size: (height, width) of the picture whose pixels the coordinates count.
        boxes: [N, 4] float x1, y1, x2, y2; continuous, width = x2 - x1.
        labels: [N] int64 in 0..K-1.
        scores: [N] in 0..1, of predictions.
        crowd: [N] bool, of annotations: the object is a group that was not separated.
        masks: N masks in the same picture.
        keypoints: [N, Kp, 3] x, y in continuous pixels (the middle of the first pixel is 0.5), and of annotations the
            visibility (0: not annotated, 1: hidden, 2: visible), of predictions the score.
        panoptic: What each pixel of the picture belongs to. It is of the whole picture: a selection has none.
    """

    size: tuple[int, int]
    boxes: Tensor
    labels: Tensor
    scores: Tensor | None = None
    crowd: Tensor | None = None
    masks: Masks | None = None
    keypoints: Tensor | None = None
    panoptic: Panoptic | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Tensor | slice) -> Instances:
        """The objects an index tensor, a boolean mask or a slice selects."""
        return replace(self, panoptic=None)._with_each(lambda values: values[index])

    def to(self, device: torch.device | str) -> Instances:
        """The same objects with their tensors on `device`."""
        return self._with_each(
            lambda values: carry(values, device) if isinstance(values, Tensor) else values.to(device)
        )

    def _with_each(self, change: Callable[[Any], Any]) -> Instances:
        given = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "size"}
        return replace(self, **{name: change(values) for name, values in given.items() if values is not None})
