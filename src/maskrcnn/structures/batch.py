"""A batch of images, padded to one size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..ops.devices import carry
from .instances import Instances


@dataclass
class Batch:
    """Network input of B images.

    Args:
        images: [B, C, H, W] normalized, channels_last, padded with 0 at the right and the bottom.
        sizes: B true (height, width) inside the padding.
        image_sizes: B (height, width) of the caller's images, to which predictions are scaled back.
        targets: Annotated objects of each image in network coordinates, or None.
        proposals: Boxes [N, 4] of each image in network coordinates that replace the network's own, or None.
        semantic: [B, H, W] uint8 semantic maps (see `structures.panoptic`), unknown in the padding, or None.
        paths: Where the images came from, for messages.
        image_ids: The dataset's ids of the images.
    """

    images: Tensor
    sizes: list[tuple[int, int]]
    image_sizes: list[tuple[int, int]]
    targets: list[Instances] | None = None
    proposals: list[Tensor] | None = None
    semantic: Tensor | None = None
    paths: tuple[str, ...] = ()
    image_ids: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch with its tensors on `device`."""
        targets = None if self.targets is None else [target.to(device) for target in self.targets]
        proposals = None if self.proposals is None else [carry(boxes, device) for boxes in self.proposals]
        semantic = None if self.semantic is None else carry(self.semantic, device)
        images = carry(self.images, device)
        return replace(self, images=images, targets=targets, proposals=proposals, semantic=semantic)


@dataclass(frozen=True)
class Scales:
    """The same images as batches at one or several scales, for test-time augmentation; the first is the usual one."""

    batches: tuple[Batch, ...]

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.batches[0])

    @property
    def image_ids(self) -> tuple[int, ...]:
        """The dataset's ids of the images."""
        return self.batches[0].image_ids
