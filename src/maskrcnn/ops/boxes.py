"""Plain geometry of boxes [N, 4] x1, y1, x2, y2 in continuous pixels."""

import torch
from torch import Tensor


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Move the corners of boxes [..., 4] into a picture of `size` (height, width)."""
    height, width = size
    limits = boxes.new_tensor([width, height, width, height])
    return torch.minimum(boxes.clamp(min=0), limits)


def scale_boxes(boxes: Tensor, size: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """Carry boxes [N, 4] from a picture of `size` to the same picture resized to `target` (height, width)."""
    vertical, horizontal = target[0] / size[0], target[1] / size[1]
    return boxes * boxes.new_tensor([horizontal, vertical, horizontal, vertical])


def scale_points(points: Tensor, size: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """Carry points [..., 2] x, y from a picture of `size` to the same picture resized to `target` (height, width)."""
    return points * points.new_tensor([target[1] / size[1], target[0] / size[0]])


def sides_above(boxes: Tensor, length: float) -> Tensor:
    """[N] bool: both sides of the box are at least `length` px."""
    return (boxes[:, 2:] - boxes[:, :2] >= length).all(dim=1)
