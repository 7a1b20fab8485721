"""Few different numbers of boxes for the convolutions of the heads."""

import torch.nn.functional as F
from torch import Tensor

ROUND = 32


def round_up_count(pooled: Tensor) -> Tensor:
    """The pooled features [N, S, S, C] with empty ones added up to the next multiple of `ROUND`.

    The number of boxes differs from batch to batch, and the CPU's and the GPU's convolutions prepare, and keep, a
    kernel for every number they meet: without this, memory grows by gigabytes in a long run.
    """
    return F.pad(pooled, (0, 0) * 3 + (0, -len(pooled) % ROUND))
