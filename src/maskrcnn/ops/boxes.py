"""Boxes [N, 4] x1, y1, x2, y2 in continuous pixels: geometry, deltas and non-maximum suppression."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .devices import carry


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
LARGEST_LOG_SCALE = math.log(1000 / 16)


def encode_boxes(boxes: Tensor, references: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """Offsets that turn each reference into its box.

    Args:
        boxes: [N, 4] wanted boxes.
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
    deltas: Tensor,
    references: Tensor,
    weights: tuple[float, float, float, float],
    clamp_both_sides: bool = False,
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


ROUNDS = 8
"""Rounds between two looks at whether anything still changes, since a look waits for the device."""


def suppress_groups(boxes: list[Tensor], valid: list[Tensor], threshold: float) -> list[Tensor]:
    """Which boxes greedy non-maximum suppression keeps, as `torchvision.ops.nms` does for one group.

    A box stays if no better one that stays overlaps it above the threshold. Starting with all boxes and applying this
    rule to all of them at once settles the best box in the first round, those it decides over in the second, and so
    on; when a round changes nothing, the greedy answer is reached.

    Args:
        boxes: Each [G, N_i, 4] x1, y1, x2, y2; every group has its best box first.
        valid: Each [G, N_i], boxes that are there at all.
        threshold: Intersection over union above which the lesser box goes.

    Returns:
        Each [G, N_i] bool.
    """
    # A product of matrices counts, for every box, the better ones that stay and overlap it: half precision is enough.
    dtype = torch.float16 if boxes[0].is_cuda else torch.float32
    longest = max(there.shape[1] for there in valid)
    suppresses = torch.cat(
        [
            _padded((box_overlaps(group, group) > threshold).triu_(diagonal=1).to(dtype), longest, sides=2)
            for group in boxes
        ]
    )
    present = torch.cat([_padded(there, longest, sides=1) for there in valid])
    kept = present
    with torch.autocast(present.device.type, enabled=False):  # it would convert the matrices in every round
        while True:
            before = kept
            for _ in range(ROUNDS):
                kept = present & (torch.bmm(kept[:, None].to(dtype), suppresses)[:, 0] == 0)
            if torch.equal(before, kept):
                break
    parts = kept.split([len(there) for there in valid])
    return [part[:, : there.shape[1]] for part, there in zip(parts, valid, strict=True)]


def _padded(values: Tensor, length: int, *, sides: int) -> Tensor:
    """The last dimensions, one or two, filled up to a length with 0."""
    return F.pad(values, (0, length - values.shape[-1]) * sides)
