"""A batch of pictures, padded to one size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .instances import Instances


@dataclass
class Batch:
    """Network input of B pictures.

    Args:
        images: [B, 3, H, W] normalised, channels_last, padded with 0 at the right and the bottom.
        sizes: B true (height, width) inside the padding.
        picture_sizes: B (height, width) of the caller's pictures, to which predictions are scaled back.
        targets: Annotated objects of each picture in network coordinates, or None.
        paths: Where the pictures came from, for messages.
        image_ids: The data set's ids of the pictures.
    """

    images: Tensor
    sizes: list[tuple[int, int]]
    picture_sizes: list[tuple[int, int]]
    targets: list[Instances] | None = None
    paths: tuple[str, ...] = ()
    image_ids: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch with its tensors on `device`."""
        targets = None if self.targets is None else [target.to(device) for target in self.targets]
        return replace(self, images=self.images.to(device, non_blocking=True), targets=targets)
