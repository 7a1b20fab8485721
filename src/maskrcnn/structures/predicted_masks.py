"""Masks as a head predicts them: probabilities on a small grid in each box, pasted when somebody asks for pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..ops.masks import paste_window, sample_mask, sampled_window, spread_mask
from .masks import Crop, Masks


@dataclass
class SoftMasks(Masks):
    """N predicted masks; pixels are computed only when asked for, inside the box only.

    Args:
        probabilities: [N, m, m] in 0..1.
        boxes: [N, 4] x1, y1, x2, y2 in the image.
        size: (height, width) of the image.
        paste: How the grid becomes pixels. grown: spread over the whole pixels of a grown box (torchvision); sampled:
            at the pixels' centers (detectron2, mmdetection).
        threshold: Least probability of the object's pixels; with `grown`, theirs lie above it.
    """

    probabilities: Tensor
    boxes: Tensor
    size: tuple[int, int]
    paste: Literal["grown", "sampled"]
    threshold: float = 0.5

    def __len__(self) -> int:
        return len(self.boxes)

    def _select(self, index: slice | Tensor) -> SoftMasks:
        return replace(self, probabilities=self.probabilities[index], boxes=self.boxes[index])

    def to(self, device: torch.device | str) -> SoftMasks:
        return replace(self, probabilities=self.probabilities.to(device), boxes=self.boxes.to(device))

    def crop(self, i: int) -> Crop:
        x, y, soft = self.soft_crop(i)
        return Crop(x, y, soft > self.threshold if self.paste == "grown" else soft >= self.threshold)

    def soft_crop(self, i: int) -> tuple[int, int, np.ndarray]:
        """Column and row of a window, and its [h, w] float probabilities; outside they are 0, or at most one half."""
        mask, box = self.probabilities[i], self.boxes[i].tolist()
        if self.paste == "sampled":
            window = sampled_window(box, self.size)
            return window[0], window[1], sample_mask(mask, box, window).cpu().numpy()
        x1, y1, x2, y2 = paste_window(box, mask.shape[-1])
        soft = spread_mask(mask, max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1))
        height, width = self.size
        left, top = min(max(x1, 0), width), min(max(y1, 0), height)
        right, bottom = max(min(x2 + 1, width), left), max(min(y2 + 1, height), top)
        return left, top, soft[top - y1 : bottom - y1, left - x1 : right - x1].cpu().numpy()
