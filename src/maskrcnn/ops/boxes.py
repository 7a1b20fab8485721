"""Boxes [N, 4] x1, y1, x2, y2 in continuous pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Move the corners of boxes [..., 4] into an image of `size` (height, width)."""
    height, width = size
    return torch.stack([boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)], dim=-1).flatten(-2)


def scale_boxes(boxes: Tensor, size: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """Carry boxes [N, 4] from an image of `size` to the same image resized to `target` (height, width)."""
    vertical, horizontal = target[0] / size[0], target[1] / size[1]
    return boxes * boxes.new_tensor([horizontal, vertical, horizontal, vertical])


def scale_points(points: Tensor, size: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """Carry points [..., 2] x, y from an image of `size` to the same image resized to `target` (height, width)."""
    return points * points.new_tensor([target[1] / size[1], target[0] / size[0]])


def sides_above(boxes: Tensor, length: float) -> Tensor:
    """[N] bool: both sides of the box are at least `length` px."""
    return (boxes[:, 2:] - boxes[:, :2] >= length).all(dim=1)


def pad_boxes(boxes: Sequence[Tensor]) -> Tensor:
    """[B, M, 4] of B groups of boxes [M_i, 4], M being at least 1; boxes that are not there are NaN."""
    padded = pad_sequence(list(boxes), batch_first=True, padding_value=torch.nan)
    return padded if padded.shape[1] else F.pad(padded, (0, 0, 0, 1), value=torch.nan)


def box_overlaps(boxes: Tensor, others: Tensor) -> Tensor:
    """[B, N, M] intersections over unions of boxes [B, N, 4] with others [B, M, 4]; NaN where one is NaN."""
    # Coordinates apart: a CPU multiplies what lies side by side.
    x1, y1, x2, y2 = boxes.movedim(2, 0).contiguous()[..., None]
    others_x1, others_y1, others_x2, others_y2 = others.movedim(2, 0).contiguous()[:, :, None]
    widths = torch.minimum(x2, others_x2).sub_(torch.maximum(x1, others_x1)).clamp_(min=0)
    heights = torch.minimum(y2, others_y2).sub_(torch.maximum(y1, others_y1)).clamp_(min=0)
    shared = widths.mul_(heights)
    areas = (x2 - x1) * (y2 - y1) + (others_x2 - others_x1) * (others_y2 - others_y1)
    return shared.div_(areas.sub_(shared))


# exp() of a larger value would enlarge a 16 px box beyond 1000 px.
