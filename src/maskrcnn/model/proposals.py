"""A model's region proposals alone, without what its heads would make of them."""

from __future__ import annotations

import torch

from ..ops.boxes import clip_boxes, scale_boxes
from ..structures.batch import Batch
from ..structures.instances import Instances
from .mask_rcnn import MaskRCNN


@torch.no_grad()
def find_proposals(model: MaskRCNN, batch: Batch) -> list[Instances]:
    """Boxes of each image that may hold an object, in the caller's pixels, best first.

    Scores are those of the region proposal network, labels are all 0. The heads are not computed.
    """
    boxes, ranks = model.propose(model.features(batch.images), batch)
    ranks = [model.rpn.probabilities(values) for values in ranks]
    return [
        Instances(
            size=image_size,
            boxes=clip_boxes(scale_boxes(found, size, image_size), image_size),
            labels=torch.zeros_like(scores, dtype=torch.int64),
            scores=scores,
        )
        for found, scores, size, image_size in zip(boxes, ranks, batch.sizes, batch.image_sizes, strict=True)
    ]
