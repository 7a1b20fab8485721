"""Box heads in a row, each on the boxes the one before has refined (Cai and Vasconcelos 2018, Cascade R-CNN).

One head is a cascade of one stage. Shapes: N boxes of all images, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...config import CascadeSettings
from ...structures.instances import Instances
from ..interfaces import Detections, Losses, Pool, Sampled
from .box import BoxHead, suppress_repetitions
from .box_targets import BoxTargets, box_targets, match_all

Size = tuple[int, int]


class Cascade(nn.ModuleList):
    """One box head, or several of which each sees what the one before has refined.

    Args:
        heads: At least one, all with the same `pool_size`.
        settings: `average` and `resample` are used; none: the defaults.
    """

    def __init__(self, heads: Sequence[BoxHead], settings: CascadeSettings | None = None) -> None:
        super().__init__(heads)
        self.settings = settings or CascadeSettings()
        self.pool_size = heads[0].settings.pool_size

    @property
    def heads(self) -> list[BoxHead]:
        """The stages in their order."""
        return [head for head in self if isinstance(head, BoxHead)]

    def loss(
        self, pool: Pool, proposals: list[Tensor], objects: list[Instances], sizes: list[Size]
    ) -> tuple[Losses, list[Sampled]]:
        """Losses `classes` and `boxes`, summed over the stages, and what each stage was trained on.

        The first stage is trained on a choice of the proposals and the annotated boxes, each later one on the same
        boxes after refinement, or, if the settings say so, again on a choice of them and the annotated boxes.

        Args:
            pool: Features [N, S, S, C] of boxes given per image.
            proposals: Per image [N_i, 4].
            objects: Annotated objects per image.
            sizes: (height, width) of the images inside the padding.
        """
        losses: Losses = {}
        stages = []
        boxes, resample = proposals, self.settings.resample
        for number, head in enumerate(self.heads):
            if number > 0 and not resample:
                targets = match_all(boxes, objects, annotated=False, classes=head.classes, settings=head.settings)
            elif number == 0 and head.settings.ohem:
                targets = _hardest(head, pool, boxes, objects)
            else:
                targets = box_targets(boxes, objects, classes=head.classes, settings=head.settings)
            boxes = targets.boxes_of_images()
            pooled = pool(boxes)
            logits, deltas = head(pooled)
            for name, loss in head.losses(logits, deltas, targets).items():
                losses[name] = losses.get(name, 0) + head.loss_weight * loss
            stages.append(Sampled(pooled, targets, head.loss_weight))
            if number + 1 < len(self):
                refined = head.refine(boxes, logits.detach(), deltas.detach(), sizes)
                boxes = [
                    found[(found[:, 2:] > found[:, :2]).all(dim=1) & ~(annotated & resample)]
                    for found, annotated in zip(refined, targets.annotated.split(targets.counts), strict=True)
                ]
        return losses, stages

    def predict(self, pool: Pool, proposals: list[Tensor], sizes: list[Size]) -> list[Detections]:
        """Per image boxes [D, 4] in network coordinates, scores [D] and labels [D], best first.

        The classes are averaged over the stages, the boxes are those of the last.
        """
        boxes, votes, heads = proposals, [], self.heads
        for number, head in enumerate(heads):
            logits, deltas = head(pool(boxes))
            votes.append(logits)
            if number + 1 < len(heads):
                boxes = head.refine(boxes, logits, deltas, sizes)
        counts = [len(found) for found in boxes]
        return [
            heads[-1].detections(*parts)
            for parts in zip(self._average(votes).split(counts), deltas.split(counts), boxes, sizes, strict=True)
        ]

    def join(self, found: Sequence[Detections]) -> Detections:
        """Of the detections of one image at several scales or flips, in the same pixels, the best that stay by NMS.

        It follows the last stage's settings: nms_threshold, class_agnostic_nms, detections_per_image.
        """
        boxes, scores, labels = (torch.cat(parts) for parts in zip(*found, strict=True))
        return suppress_repetitions(boxes, scores, labels, self.heads[-1].settings)

    def _average(self, votes: list[Tensor]) -> Tensor:
        """[N, K + 1] scores from the logits of each stage."""
        stacked = torch.stack(votes)
        if self.settings.average == "logits":
            return stacked.mean(dim=0).softmax(dim=1)
        return stacked.softmax(dim=2).mean(dim=0)


@torch.no_grad()
def _hardest(head: BoxHead, pool: Pool, boxes: list[Tensor], objects: list[Instances]) -> BoxTargets:
    """The proposals of each image with the largest losses (Shrivastava et al. 2016, OHEM).

    Annotated boxes are proposals too. All are passed through the head once, without gradients, to find them.
    """
    everything = match_all(boxes, objects, annotated=True, classes=head.classes, settings=head.settings)
    logits, deltas = head(pool(everything.boxes_of_images()))
    losses, distances = head.loss_of_each(logits, deltas, everything)
    losses[everything.positives] += distances
    most = head.settings.batch_size_per_image
    return everything.select([own.topk(min(most, len(own))).indices for own in losses.split(everything.counts)])
