"""How a box differs from a reference: dx, dy relative to its size, and logarithms of the sizes' ratios (Girshick et al.
2014, R-CNN, appendix C)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .devices import carry

LARGEST_LOG_SCALE = math.log(1000 / 16)


def encode_boxes(boxes: Tensor, references: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """Offsets that turn each reference into its box.

    Args:
        boxes: [N, 4] target boxes.
        references: [N, 4] anchors or proposals.
        weights: Factors of dx, dy, dw, dh, which bring the targets to a similar variance.

    Returns:
        [N, 4] dx, dy (in sides of the reference), dw, dh (logarithms), each times its weight.
    """
    size, reference_size = boxes[:, 2:] - boxes[:, :2], references[:, 2:] - references[:, :2]
    center, reference_center = boxes[:, :2] + size / 2, references[:, :2] + reference_size / 2
    deltas = torch.cat([(center - reference_center) / reference_size, torch.log(size / reference_size)], dim=1)
    return deltas * carry(torch.tensor(weights, dtype=deltas.dtype), deltas.device)


def decode_boxes(
    deltas: Tensor, references: Tensor, weights: tuple[float, float, float, float], clamp_both_sides: bool = False
) -> Tensor:
    """Inverse of `encode_boxes`: deltas [N, 4] of references [N, 4] to boxes [N, 4].

    No side grows by more than 1000 / 16; with `clamp_both_sides`, none shrinks by more either.
    """
    deltas = deltas / carry(torch.tensor(weights, dtype=deltas.dtype), deltas.device)
    reference_size = references[:, 2:] - references[:, :2]
    center = deltas[:, :2] * reference_size + references[:, :2] + reference_size / 2
    smallest = -LARGEST_LOG_SCALE if clamp_both_sides else None
    half = torch.exp(deltas[:, 2:].clamp(smallest, LARGEST_LOG_SCALE)) * reference_size / 2
    return torch.cat([center - half, center + half], dim=1)
