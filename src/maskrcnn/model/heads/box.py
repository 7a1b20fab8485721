"""Class and box of every proposal (Girshick 2015, Fast R-CNN).

Shapes: N proposals of all images, S bins per side, C channels, K classes, K' = 1 for class-agnostic boxes, else K.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms, nms

from ...config import BoxHeadSettings
from ...ops.boxes import clip_boxes, sides_above
from ...ops.deltas import decode_boxes
from ...ops.devices import at_least_float32
from ..inference.fusion import compute_in_blocks, connect, convolve
from ..norms import make_convolution, takes_statistics
from .box_targets import BoxTargets


class BoxHead(nn.Module):
    """Convolutions and linear layers over the pooled features, then K + 1 classes (background last) and K' boxes.

    Without linear layers the classes are read from the mean over the grid, as in ResNet itself. A `Cascade` of one or
    several of them is what a `MaskRCNN` takes.

    Args:
        inputs: Channels of the pooled features, C.
        classes: K.
        settings: Of the layers, of what they learn from, and of what counts as a detection.
        pooled: Bins per side of the pooled features, S.
        loss_weight: Factor of the losses.
    """

    def __init__(
        self, inputs: int, classes: int, settings: BoxHeadSettings, *, pooled: int, loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        self.classes = classes
        self.settings = settings
        self.loss_weight = loss_weight
        widths = [inputs] + [settings.convolution_channels] * settings.convolutions
        self.convolutions = nn.ModuleList(
            make_convolution(a, b, kernel=3, norm=settings.norm) for a, b in pairwise(widths)
        )
        sizes = [pooled**2 * widths[-1] if settings.linear_layers else widths[-1]]
        sizes += [settings.channels] * settings.linear_layers
        hidden = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        self.hidden = nn.ModuleList(hidden)
        self.logits = nn.Linear(sizes[-1], classes + 1)
        self.deltas = nn.Linear(sizes[-1], 4 * (1 if settings.class_agnostic else classes))
        for layer in hidden:
            nn.init.kaiming_uniform_(layer.weight, a=1)
            nn.init.zeros_(layer.bias)
        for layer, deviation in ((self.logits, 0.01), (self.deltas, 0.001)):
            nn.init.normal_(layer.weight, std=deviation)
            nn.init.zeros_(layer.bias)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """[N, S, S, C] pooled features to [N, K + 1] logits and [N, K', 4] deltas."""
        if self.convolutions:
            pooled = self._convolve(pooled) if takes_statistics(self) else compute_in_blocks(self._convolve, pooled)
        hidden = pooled.flatten(1) if self.hidden else pooled.mean(dim=(1, 2))
        for layer in self.hidden:
            hidden = connect(hidden, layer.get_parameter("weight"), layer.get_parameter("bias"), rectify=True)
        hidden = hidden.to(self.logits.weight.dtype)
        logits, deltas = at_least_float32(self.logits(hidden)), at_least_float32(self.deltas(hidden))
        return logits, deltas.unflatten(1, (-1, 4))

    def _convolve(self, pooled: Tensor) -> Tensor:
        features = pooled.permute(0, 3, 1, 2)
        for convolution in self.convolutions:
            features = convolve(convolution, features, rectify=True)
        return features.permute(0, 2, 3, 1)

    def losses(self, logits: Tensor, deltas: Tensor, targets: BoxTargets) -> dict[str, Tensor]:
        """Cross-entropy over the classes, and smooth L1 of the true class's deltas, both over the number of proposals.

        Args:
            logits, deltas: [N, K + 1] and [N, K', 4].
            targets: Of the N proposals.
        """
        classes, distances = self.loss_of_each(logits, deltas, targets)
        count = max(1, len(logits)) + self.settings.loss_epsilon
        return {"classes": classes.sum() / count, "boxes": distances.sum() / count}

    def loss_of_each(self, logits: Tensor, deltas: Tensor, targets: BoxTargets) -> tuple[Tensor, Tensor]:
        """[N] cross-entropy of each proposal, and [P] smooth L1, summed over dx, dy, dw, dh, of each positive one."""
        positives = targets.positives
        column = targets.labels[positives] if deltas.shape[1] > 1 else torch.zeros_like(positives)
        distances = F.smooth_l1_loss(
            deltas[positives, column], targets.deltas, beta=self.settings.smooth_l1_beta, reduction="none"
        )
        return F.cross_entropy(logits, targets.labels, reduction="none"), distances.sum(dim=1)

    def refine(self, boxes: list[Tensor], logits: Tensor, deltas: Tensor, sizes: list[tuple[int, int]]) -> list[Tensor]:
        """The boxes [N_i, 4] of each image moved by the deltas of their best class, and kept inside the image.

        Args:
            boxes: What the head saw.
            logits, deltas: [N, K + 1] and [N, K', 4] that it gave.
            sizes: (height, width) of the images inside the padding.
        """
        best = torch.zeros_like(logits[:, 0], dtype=torch.int64)
        if deltas.shape[1] > 1:
            best = logits[:, :-1].argmax(dim=1)
        rows = torch.arange(len(deltas), device=deltas.device)
        groups = self._decode(deltas[rows, best], torch.cat(boxes)).split([len(found) for found in boxes])
        return [clip_boxes(found, size) for found, size in zip(groups, sizes, strict=True)]

    def detections(
        self, scores: Tensor, deltas: Tensor, proposals: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes of one image: every class of a proposal that scores is a candidate, repetitions are suppressed.

        Args:
            scores, deltas: [N, K + 1] and [N, K', 4].
            proposals: [N, 4].
            size: (height, width) of the image inside the padding.

        Returns:
            [D, 4] boxes, [D] scores, [D] labels, best first.
        """
        settings = self.settings
        rows, labels = torch.nonzero(scores[:, :-1] > settings.score_threshold, as_tuple=True)
        scores = scores[rows, labels]
        column = labels if deltas.shape[1] > 1 else torch.zeros_like(labels)
        boxes = clip_boxes(self._decode(deltas[rows, column], proposals[rows]), size)
        if settings.min_box_size is not None:
            valid = sides_above(boxes, settings.min_box_size)
            boxes, scores, labels = boxes[valid], scores[valid], labels[valid]
        return suppress_repetitions(boxes, scores, labels, settings)

    def _decode(self, deltas: Tensor, references: Tensor) -> Tensor:
        clamp = self.settings.clamp_both_sides
        return decode_boxes(deltas, references, self.settings.delta_weights, clamp_both_sides=clamp)


def suppress_repetitions(
    boxes: Tensor, scores: Tensor, labels: Tensor, settings: BoxHeadSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """The best of the detections that overlap, best first.

    Args:
        boxes, scores, labels: [D, 4], [D] and [D].
        settings: nms_threshold, class_agnostic_nms, detections.
    """
    if settings.class_agnostic_nms:
        kept = nms(boxes, scores, settings.nms_threshold)
    else:
        kept = batched_nms(boxes, scores, labels, settings.nms_threshold)
    kept = kept[: settings.detections_per_image]
    return boxes[kept], scores[kept], labels[kept]
