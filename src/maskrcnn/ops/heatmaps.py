"""Points to cells of a heat map, and the peak of a heat map that is enlarged to its box.

Bicubic enlarging is separable: a few weights per row and per column. Its columns are made first, and of its rows only
those that can hold the peak.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# Keys 1981, "Cubic convolution interpolation"; the parameter of F.interpolate, OpenCV, torchvision and detectron2.
A = -0.75
# Weights of the four nearest values, as polynomials of the place between the middle two: a row per power, from 0.
BICUBIC = ((0, 1, 0, 0), (A, 0, -A, 0), (-2 * A, -A - 3, 2 * A + 3, A), (A, A + 2, -A - 2, -A))
# A sum of four values with these weights is at most the largest of them plus this part of its difference to the
# smallest: the negative weights add up to A / 4 at most, halfway between two values.
OVERSHOOT = -A / 4


def cells_of_points(points: Tensor, boxes: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The cell of a size x size grid over the box in which each point lies.

    A point exactly on the right or bottom side is in the last cell. A cell d covers d..d + 1 (Heckbert 1990, "What
    are the coordinates of a pixel?").

    Args:
        points: [P, Kp, 2] x, y.
        boxes: [P, 4].
        size: Cells per side, m.

    Returns:
        [P, Kp] int64 row * m + column, 0 for points outside; and [P, Kp] bool, whether the point is in its box.
    """
    corner, opposite = boxes[:, None, :2], boxes[:, None, 2:]
    cells = ((points - corner) * (size / (opposite - corner))).floor().long()
    cells = torch.where(points == opposite, size - 1, cells)
    inside = ((cells >= 0) & (cells < size)).all(dim=-1)
    return (cells[..., 1] * size + cells[..., 0]) * inside, inside


def bicubic_taps(length: int, grid: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Which grid values an enlarged row takes, as F.interpolate(mode="bicubic", align_corners=False).

    Args:
        length: Pixels of the enlarged row.
        grid: Values of the row before; those beyond its ends are as the last ones.
        like: Gives dtype and device.

    Returns:
        [length, 4] weights and [length, 4] int64 places in the grid.
    """
    points = (torch.arange(length, dtype=like.dtype, device=like.device) + 0.5) * (grid / length) - 0.5
    below = points.floor()
    powers = (points - below)[:, None] ** torch.arange(4, device=like.device)
    places = below.long()[:, None] + torch.arange(-1, 3, device=like.device)
    return powers @ like.new_tensor(BICUBIC), places.clamp_(0, grid - 1)


def find_peaks(maps: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Where each of a box's maps is largest after it was enlarged to [height, width] pixels.

    Args:
        maps: [Kp, m, m].
        height, width: Whole pixels, at least 1.

    Returns:
        [Kp] int64 columns, [Kp] int64 rows and [Kp] values of the peaks; of equal ones the first in reading order.
    """
    count, grid, _ = maps.shape
    weights, places = bicubic_taps(width, grid, maps)
    columns = maps.new_zeros(width, grid).scatter_add_(1, places, weights)
    table = (maps @ columns.T).flatten(0, 1)
    weights, places = bicubic_taps(height, grid, maps)
    each = torch.arange(count, device=maps.device)

    def enlarged_rows(which: Tensor, rows: Tensor) -> Tensor:
        return F.embedding_bag(
            which[:, None] * grid + places[rows], table, mode="sum", per_sample_weights=weights[rows]
        )

    highest = table.amax(dim=1).view(count, grid)[:, places].amax(dim=2)
    lowest = table.amin(dim=1).view(count, grid)[:, places].amin(dim=2)
    bounds = highest + OVERSHOOT * (highest - lowest)
    promising = bounds.argmax(dim=1)
    reached = enlarged_rows(each, promising).amax(dim=1)
    which, rows = (bounds >= reached[:, None]).nonzero(as_tuple=True)
    best = torch.full_like(bounds, -torch.inf)
    best[each, promising] = reached
    best[which, rows] = enlarged_rows(which, rows).amax(dim=1)
    values, rows = best.max(dim=1)
    return enlarged_rows(each, rows).argmax(dim=1), rows, values
