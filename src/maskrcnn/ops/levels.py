"""Which level of the pyramid a box is read from."""

import torch
from torch import Tensor


def assign_levels(
    boxes: Tensor, finest: int = 2, coarsest: int = 5, slack: tuple[float, float] = (0.0, 1e-6)
) -> Tensor:
    """Give each box the pyramid level whose stride suits its size.

    A 224 px square goes to level 4; each halving of its side goes one level finer
    (Lin et al. 2017, "Feature Pyramid Networks", equation 1).

    Args:
        boxes: [N, 4] x1, y1, x2, y2 in input pixels.
        finest, coarsest: Levels that exist; level l has a stride of 2**l pixels.
        slack: Rounding guards (a, b) of floor(4 + log2(side / 224 + a) + b), where side is the root of the area.

    Returns:
        [N] int64 levels in finest..coarsest. An empty box gets the finest.
    """
    if finest == coarsest:
        return torch.full((len(boxes),), finest, device=boxes.device)
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)
    root = sides.prod(dim=1).sqrt()
    return torch.floor(4 + torch.log2(root / 224 + slack[0]) + slack[1]).clamp(finest, coarsest).long()
