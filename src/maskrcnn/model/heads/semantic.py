"""A class for every pixel (Kirillov et al. 2019, Panoptic feature pyramid networks, section 3).

Shapes: B images, C classes of pixels (S of stuff and one for all things), input of H x W pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...config import SemanticHeadSettings
from ...ops.devices import at_least_float32
from ...structures.batch import Batch
from ...structures.panoptic import THING, UNKNOWN
from ..interfaces import Losses
from ..norms import make_convolution

LEVELS = (2, 3, 4, 5)
STRIDE = 4
CHUNK = 8
"""Classes whose logits are held at an image's size at a time."""


class SemanticHead(nn.Module):
    """Brings all pyramid levels to stride 4, adds them up, and gives each place its logits.

    A level of stride 8, 16 or 32 goes through as many steps of a 3x3 convolution and a doubling of its size as it takes
    to reach stride 4, the finest one through one convolution. Tensors: `levels.{i}.{j}` is convolution j of level i,
    counted from the finest; then `logits`.
    """

    def __init__(self, channels: int, settings: SemanticHeadSettings) -> None:
        super().__init__()
        self.settings = settings
        width = settings.channels
        self.levels = nn.ModuleList(
            nn.ModuleList(
                make_convolution(width if j else channels, width, kernel=3, norm=settings.norm)
                for j in range(max(1, level - LEVELS[0]))
            )
            for level in LEVELS
        )
        self.logits = nn.Conv2d(width, settings.classes, 1)
        for parameter in self.logits.parameters():
            nn.init.normal_(parameter, std=0.01)

    def forward(self, features: dict[int, Tensor]) -> Tensor:
        """{2..5: [B, channels, H / 2^l, W / 2^l], ...} to [B, C, H / 4, W / 4] logits."""
        grown = [
            _to_finest(features[level], convolutions, double=level > LEVELS[0])
            for level, convolutions in zip(LEVELS, self.levels, strict=True)
        ]
        return at_least_float32(self.logits(sum(grown[1:], start=grown[0])))

    def loss(self, features: dict[int, Tensor], maps: Tensor) -> Losses:
        """Loss `semantic` of feature maps and semantic maps [B, H, W]."""
        return {"semantic": self.cross_entropy(self(features), self.classes_of(maps))}

    def predict(self, features: dict[int, Tensor], batch: Batch) -> list[Tensor]:
        """Semantic map [h, w] of each image in the caller's pixels, int64: stuff labels 0..S-1 and `THING`."""
        padded = (batch.images.shape[-2], batch.images.shape[-1])
        sizes = zip(self(features), batch.sizes, batch.image_sizes, strict=True)
        return [self.maps_of(semantic_labels(logits, size, image, padded)) for logits, size, image in sizes]

    def classes_of(self, maps: Tensor) -> Tensor:
        """The head's classes of annotated pixels.

        Args:
            maps: [B, H, W] uint8 semantic maps: stuff labels 0..S-1, `THING` or `UNKNOWN`.

        Returns:
            [B, H, W] int64 in 0..C-1, or `UNKNOWN` where a pixel does not count.
        """
        labels = maps.long()
        stuff = labels + 1 if self.settings.things == "first" else labels
        return torch.where(labels == THING, self._things, stuff).where(labels != UNKNOWN, UNKNOWN)

    def maps_of(self, classes: Tensor) -> Tensor:
        """Semantic maps of the head's classes: the reverse of `classes_of`."""
        stuff = classes - 1 if self.settings.things == "first" else classes
        return torch.where(classes == self._things, THING, stuff)

    def cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Weighted mean over the pixels; 0 where none is annotated, and still reaching every parameter.

        Args:
            logits: [B, C, H / 4, W / 4].
            targets: [B, H, W] int64 classes, or `UNKNOWN`.
        """
        settings = self.settings
        if settings.loss_at == "map":
            targets = targets[:, ::STRIDE, ::STRIDE]
        logits = _resize(logits, (targets.shape[1], targets.shape[2]))
        total = F.cross_entropy(logits, targets, reduction="sum", ignore_index=UNKNOWN)
        count = (targets != UNKNOWN).sum().clamp(min=1) if settings.loss_over == "annotated" else targets.numel()
        return settings.loss_weight * total / count

    @property
    def _things(self) -> int:
        """The class that stands for things."""
        return 0 if self.settings.things == "first" else self.settings.classes - 1


def _to_finest(features: Tensor, convolutions: nn.Module, *, double: bool) -> Tensor:
    for convolution in convolutions.children():
        features = F.relu(convolution(features), inplace=True)
        if double:
            features = F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
    return features


def semantic_predictions(
    logits: Tensor, size: tuple[int, int], image_size: tuple[int, int], padded_size: tuple[int, int]
) -> Tensor:
    """Logits of every pixel of the caller's image, as detectron2 and mmdetection compute them: first at the network's
    input, then, without its padding, at the image's size, bilinear both times.

    Args:
        logits: [C, H / 4, W / 4] of one image.
        size: (height, width) of the image in the network's input.
        image_size: (height, width) of the caller's image.
        padded_size: (height, width) of the network's input, H and W.

    Returns:
        [C, *image_size].
    """
    at_input = _resize(logits[None], padded_size)[..., : size[0], : size[1]]
    return _resize(at_input, image_size)[0]


def semantic_labels(
    logits: Tensor, size: tuple[int, int], image_size: tuple[int, int], padded_size: tuple[int, int]
) -> Tensor:
    """[*image_size] int64 class of every pixel: that of the largest of `semantic_predictions`, the first of equals.

    The logits of a few classes at a time are enlarged, because those of all would fill gigabytes for a large photo.
    """
    best, labels = logits.new_full(image_size, -torch.inf), torch.zeros(image_size, dtype=torch.int64)
    labels = labels.to(logits.device)
    for start in range(0, len(logits), CHUNK):
        enlarged = semantic_predictions(logits[start : start + CHUNK], size, image_size, padded_size)
        highest, place = enlarged.max(dim=0)
        better = highest > best
        best, labels = torch.where(better, highest, best), torch.where(better, place + start, labels)
    return labels


def _resize(values: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(values.shape[-2:]) == size:
        return values
    return F.interpolate(values, size=size, mode="bilinear", align_corners=False)
