"""How well a network's anchors fit objects: the best overlap each object can have with any of them."""

from dataclasses import dataclass

import numpy as np
import torch

from ...config import AnchorSettings, ModelSettings
from ...model.anchors import Anchors, check_levels
from ...model.build import make_backbone, make_neck

PROBE = 1024
"""Side of an input from which the network's strides are read."""


@dataclass(frozen=True, eq=False)
class Objects:
    """N boxes as the network sees them.

    Args:
        boxes: [N, 4] x1, y1, x2, y2 in pixels of the network's input.
        inputs: [N, 2] height and width of the padded input each is in.
    """

    boxes: np.ndarray
    inputs: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def sides(self) -> np.ndarray:
        """[N, 2] width and height."""
        return self.boxes[:, 2:] - self.boxes[:, :2]

    def sample(self, most: int) -> "Objects":
        """At most so many of them, evenly chosen."""
        chosen = np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).round().astype(int))
        return Objects(self.boxes[chosen], self.inputs[chosen])


def level_strides(settings: ModelSettings) -> dict[int, float]:
    """Input pixels per pixel of the map of each level that the network proposes on; nothing is computed.

    Raises:
        SettingError: Parts of the network do not fit together.
    """
    with torch.device("meta"):
        backbone = make_backbone(settings)
        neck = make_neck(settings, backbone)
        maps = neck(backbone(torch.zeros(1, settings.input.channels, PROBE, PROBE)))
    check_levels(settings.anchors, maps)
    return {level: PROBE / map.shape[-1] for level, map in maps.items()}


def best_overlaps(objects: Objects, settings: AnchorSettings, strides: dict[int, float]) -> np.ndarray:
    """[N] largest IoU of each object with all anchors of its picture.

    Anchors of one shape lie on a grid, and the overlap of two boxes falls with the distance of their centres along
    either axis, so that for each shape only the grid's point next to the object has to be looked at.

    Args:
        objects: In input pixels.
        settings: Sizes, ratios and place of the anchors.
        strides: Of `level_strides`.
    """
    best = np.zeros(len(objects))
    centres = (objects.boxes[:, :2] + objects.boxes[:, 2:]) / 2
    for cells, (level, stride) in zip(Anchors(settings).cells, strides.items(), strict=True):
        counts = np.ceil(objects.inputs[:, ::-1] / stride)
        step = np.full_like(counts, 2.0**level)
        if settings.stride == "measured":
            step = objects.inputs[:, ::-1] // counts
        nearest = np.round(centres / step - settings.offset).clip(0, counts - 1)
        apart = np.abs(centres - (nearest + settings.offset) * step)
        for x1, y1, x2, y2 in cells:
            best = np.maximum(best, _overlaps(objects.sides, np.array([x2 - x1, y2 - y1]), apart))
    return best


def _overlaps(sides: np.ndarray, cell: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """[N] IoU of boxes with sides [N, 2] and a box with sides [2] whose centres are [N, 2] apart."""
    shared = np.minimum(np.minimum(sides, cell), ((sides + cell) / 2 - apart).clip(min=0)).prod(axis=1)
    return shared / (sides.prod(axis=1) + cell.prod() - shared).clip(min=1e-9)
