"""The objects of one picture, annotated or predicted."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from .masks import Masks


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
    """

    size: tuple[int, int]
    boxes: Tensor
    labels: Tensor
    scores: Tensor | None = None
    crowd: Tensor | None = None
    masks: Masks | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Tensor | slice) -> Instances:
        """The objects an index tensor, a boolean mask or a slice selects."""
        chosen = {name: None if value is None else value[index] for name, value in self._per_object()}
        return replace(self, **chosen)

    def to(self, device: torch.device | str) -> Instances:
        """The same objects with their tensors on `device`."""
        moved = {name: None if value is None else value.to(device) for name, value in self._per_object()}
        return replace(self, **moved)

    def _per_object(self):
        return [(field.name, getattr(self, field.name)) for field in fields(self) if field.name != "size"]
