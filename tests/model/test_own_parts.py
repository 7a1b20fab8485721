"""Parts of one's own in place of any of the model's, each written as a user would, trained and predicting."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from maskrcnn.config import BoxHeadSettings
from maskrcnn.model.build import build_model
from maskrcnn.model.heads.box import suppress_repetitions
from maskrcnn.model.heads.box_targets import box_targets
from maskrcnn.model.heads.mask_targets import mask_targets
from maskrcnn.model.inference.folding import prepare_for_prediction
from maskrcnn.model.interfaces import Positives, Sampled
from maskrcnn.ops.boxes import clip_boxes
from maskrcnn.ops.deltas import decode_boxes
from tests.model.small import CLASSES, objects, small_batch, small_settings

TARGETS = objects((5, 5, 45, 50), (50, 10, 90, 60)), objects((20, 10, 60, 60))


class MyBackbone(nn.Module):
    """Plain convolutions with stride 2."""

    channels = {2: 8, 3: 16, 4: 32}

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.stages = nn.ModuleList([nn.Conv2d(8, 16, 3, 2, 1), nn.Conv2d(16, 32, 3, 2, 1)])

    def forward(self, images):
        levels = {2: self.stem(images).relu()}
        for level, stage in enumerate(self.stages, start=3):
            levels[level] = stage(levels[level - 1]).relu()
        return levels


class MyNeck(nn.Module):
    """One map, of level 3, that is as fine as it was."""

    channels, levels = 24, (3,)

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(inputs, 24, 1)

    def forward(self, features):
        return {3: self.layer(features[3])}


class MyMaskHead(nn.Module):
    """One mask for all classes, from a single convolution, as coarse as the pooled features."""

    pool_size, paste = 12, "sampled"

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, pooled):
        return self.layer(pooled.permute(0, 3, 1, 2))[:, 0].float()

    def loss(self, pooled, positives: Positives):
        masks = [one.masks for one in positives.objects]
        targets = mask_targets(masks, positives.matches, positives.boxes, self.pool_size, "soft")
        if len(targets) == 0:
            return {"my_masks": self(pooled).sum() * 0}
        return {"my_masks": F.binary_cross_entropy_with_logits(self(pooled), targets)}

    def predict(self, pooled, labels):
        return self(pooled).sigmoid()


class MyBoxHead(nn.Module):
    """One linear layer for classes and boxes together."""

    pool_size = 5

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(channels * self.pool_size**2, classes + 1 + 4)
        self.classes, self.settings = (
            classes,
            BoxHeadSettings(batch_size_per_image=32, class_agnostic=True, score_threshold=0.01),
        )

    def forward(self, pooled):
        return self.layer(pooled.flatten(1)).float().split((self.classes + 1, 4), dim=1)

    def loss(self, pool, proposals, objects, sizes):
        found = box_targets(proposals, objects, classes=self.classes, settings=self.settings)
        pooled = pool(found.boxes_of_images())
        logits, deltas = self(pooled)
        boxes = F.l1_loss(deltas[found.positives], found.deltas, reduction="sum") / max(1, len(logits))
        return {"my_classes": F.cross_entropy(logits, found.labels), "my_boxes": boxes}, [Sampled(pooled, found)]

    def predict(self, pool, proposals, sizes):
        logits, deltas = self(pool(proposals))
        counts, detections = [len(own) for own in proposals], []
        for own, scores, moves, size in zip(proposals, logits.softmax(1).split(counts), deltas.split(counts), sizes):
            best, labels = scores[:, :-1].max(dim=1)
            boxes = clip_boxes(decode_boxes(moves, own, self.settings.delta_weights), size)
            detections.append(suppress_repetitions(boxes, best, labels, self.settings))
        return detections


OWN = {
    "backbone": lambda: {"backbone": MyBackbone()},
    "neck": lambda: {"neck": MyNeck(128)},
    "mask head": lambda: {"mask_head": MyMaskHead(16)},
    "box head": lambda: {"box_head": MyBoxHead(16, CLASSES)},
    "all": lambda: {
        "backbone": MyBackbone(),
        "neck": MyNeck(16),
        "mask_head": MyMaskHead(24),
        "box_head": MyBoxHead(24, CLASSES),
    },
}
ANCHORS = {"backbone": (16, 24, 32, 48), "neck": ((16, 32, 48),), "all": ((16, 32, 48),)}


@pytest.mark.parametrize("name", OWN)
def test_parts_of_ones_own_learn_and_predict_in_place_of_the_models(name):
    sizes = ANCHORS.get(name, (8, 16, 32, 48, 64))
    settings = small_settings(anchors={"sizes": sizes, "rounded": False})
    settings.box_head.score_threshold = 0.0
    torch.manual_seed(0)
    own = OWN[name]()
    model = build_model(settings, CLASSES, **own)
    assert all(getattr(model, part) is module for part, module in own.items())
    batch = small_batch(*TARGETS)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    totals = []
    for _ in range(15):
        loss = sum(model(batch).values())
        loss.backward()
        assert all(any(one.grad is not None and one.grad.any() for one in part.parameters()) for part in own.values())
        optimizer.step()
        optimizer.zero_grad()
        totals.append(loss.item())
    assert totals[-1] < 0.95 * totals[0], totals
    for dtype in (torch.float32, torch.bfloat16):
        prepare_for_prediction(model, dtype)
        batch.images = batch.images.to(dtype)
        for found in model.predict(batch):
            assert len(found) > 0
            side = 12 if "mask_head" in own else 28
            assert found.masks.probabilities.shape == (len(found), side, side)
            found.masks.crop(0)


def test_heads_of_ones_own_learn_from_nothing_too():
    own = {"box_head": MyBoxHead(16, CLASSES), "mask_head": MyMaskHead(16)}
    model = build_model(small_settings(), CLASSES, **own)
    losses = model(small_batch(objects(), objects()))
    assert {"my_classes", "my_boxes", "my_masks"} < set(losses)
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
