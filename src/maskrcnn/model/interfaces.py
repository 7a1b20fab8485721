"""What the parts of a `MaskRCNN` must be able to do, so that any of them can be replaced by a module of one's own.

Each is a `torch.nn.Module`; none has to inherit from anything else, and none knows the others. Shapes: B images,
N boxes of all images, S bins per side, K classes. Boxes are x1, y1, x2, y2 in pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from torch import Tensor

from ..config import MaskHeadSettings
from ..ops.roi_align import PyramidTable
from ..structures.batch import Batch
from ..structures.instances import Instances
from .heads.box_targets import BoxTargets
from .heads.mask_targets import Kind as Targets
from .heads.mask_targets import mask_targets

Features = dict[int, Tensor]
"""{level: [B, C, H, W]}, the finest first; level l has a stride of 2**l pixels."""
Losses = dict[str, Tensor]
"""One scalar for each loss, by its name."""
Detections = tuple[Tensor, Tensor, Tensor]
"""Boxes [D, 4] in network coordinates, scores [D] and labels [D] of one image, best first."""
Pool = Callable[[list[Tensor]], Tensor]
"""Features [N, S, S, C] of boxes given per image, [N_i, 4] each, with S the head's `pool_size`."""


class Backbone(Protocol):
    """Normalized images [B, D, H, W] to feature maps of strides 2**level.

    Args:
        channels: Of each level's map, the finest first, such as {2: 256, 3: 512, 4: 1024, 5: 2048}.
    """

    channels: dict[int, int]

    def __call__(self, images: Tensor) -> Features: ...


class Neck(Protocol):
    """A backbone's maps to those that proposals and heads see; all have as many channels.

    Boxes are pooled from all `levels`, or from those in `roi_levels` if it has such an attribute.
    """

    channels: int
    levels: tuple[int, ...]

    def __call__(self, features: Features) -> Features: ...


class Proposer(Protocol):
    """Where there may be objects."""

    def loss(self, features: Features, table: PyramidTable, batch: Batch) -> tuple[Losses, list[Tensor]]:
        """Losses, and per image [P, 4] proposals, without gradients, for the training of the heads.

        Args:
            features: Of all levels.
            table: The same as one table of rows.
            batch: With targets.
        """
        ...

    def predict(self, features: Features, batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
        """Per image [P, 4] proposals, best first, and [P] what they are ranked by."""
        ...

    def probabilities(self, ranks: Tensor) -> Tensor:
        """[P] scores in 0..1 of what proposals are ranked by."""
        ...


@dataclass
class Sampled:
    """The proposals that one stage of a box head was trained on.

    Args:
        pooled: [N, S, S, C] their features.
        targets: What they stand for.
        weight: Factor of the losses of a mask head that is trained on this stage.
    """

    pooled: Tensor
    targets: BoxTargets
    weight: float = 1.0


class BoxHeadLike(Protocol):
    """Classes and boxes of proposals; `Cascade` is the library's own."""

    pool_size: int

    def loss(
        self, pool: Pool, proposals: list[Tensor], objects: list[Instances], sizes: list[tuple[int, int]]
    ) -> tuple[Losses, list[Sampled]]:
        """Losses, and the proposals they were computed of, for each stage of the head; the other heads learn from them.

        Args:
            pool: Features of boxes.
            proposals: Per image [P, 4].
            objects: Annotated, per image.
            sizes: (height, width) of the images inside the padding.
        """
        ...

    def predict(self, pool: Pool, proposals: list[Tensor], sizes: list[tuple[int, int]]) -> list[Detections]:
        """Detections of each image, inside of it; arguments as for `loss`."""
        ...


@runtime_checkable
class JoinsDetections(Protocol):
    """What a box head also has if it can be used with test-time augmentation (TTA)."""

    def join(self, found: Sequence[Detections]) -> Detections:
        """Of the detections of one image at several scales or flips, in the same pixels, the best that stay, by NMS."""
        ...


@dataclass
class Positives:
    """The proposals of a batch that are objects, P in all.

    Args:
        boxes: Per image [P_i, 4].
        labels: [P] classes.
        matches: Per image [P_i] which of its annotated objects each is.
        objects: Annotated, per image.
    """

    boxes: list[Tensor]
    labels: Tensor
    matches: list[Tensor]
    objects: list[Instances]

    def mask_targets(self, size: int, kind: Targets | None = None) -> Tensor:
        """[P, m, m] in 0..1: the part of its object's mask that each proposal sees.

        Args:
            size: m, pixels per side.
            kind: As `mask_head.targets`; None: that setting's default.
        """
        masks = [one.masks for one in self.objects]
        return mask_targets(masks, self.matches, self.boxes, size, kind or MaskHeadSettings().targets)


class MaskHeadLike(Protocol):
    """A mask for each box; `paste` says how masks are enlarged, see `MaskHeadSettings.paste`."""

    pool_size: int
    paste: Literal["grown", "sampled"]

    def loss(self, pooled: Tensor, positives: Positives) -> Losses:
        """Losses of pooled features [P, S, S, C]; without any they are 0, and still reach every parameter."""
        ...

    def predict(self, pooled: Tensor, labels: Tensor) -> Tensor:
        """[N, m, m] probabilities inside each box; of its features [N, S, S, C] and labels [N]."""
        ...


class KeypointHeadLike(Protocol):
    """The keypoints of each box."""

    pool_size: int

    def __call__(self, pooled: Tensor) -> Tensor:
        """[N, S, S, C] features to [N, Kp, m, m] logits of places in each box."""
        ...

    def loss(self, pooled: Tensor, positives: Positives) -> Losses:
        """As of a mask head."""
        ...

    def decode(self, logits: Tensor, boxes: Tensor) -> Tensor:
        """[N, Kp, 3] x, y in network coordinates and score; of logits and boxes [N, 4]."""
        ...


class SemanticHeadLike(Protocol):
    """A class for each pixel."""

    def loss(self, features: Features, maps: Tensor) -> Losses:
        """Losses of feature maps and semantic maps [B, H, W], see `structures.panoptic`."""
        ...

    def predict(self, features: Features, batch: Batch) -> list[Tensor]:
        """Semantic map [h, w] of each image in the caller's pixels, int64: stuff labels 0..S-1 and `THING`."""
        ...
