"""The installed torchvision, with random weights: the same results and losses, in a batch of two images."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import torchvision.models.detection as peers
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.ops import masks_to_boxes
from torchvision.ops.misc import FrozenBatchNorm2d

from maskrcnn.data.preprocessing import make_batch, prepare_image
from maskrcnn.data.shapes import draw_scene
from maskrcnn.model.build import build_model
from maskrcnn.model.mask_rcnn import MaskRCNN
from maskrcnn.ops.boxes import scale_boxes
from maskrcnn.structures.batch import Batch
from maskrcnn.structures.instances import Instances
from maskrcnn.weights.own import apply_weights
from maskrcnn.weights.reading import understand

from .fixtures import assert_close
from .test_peers import LOSSES, resized_masks

SHORTER, LONGER, CLASSES, MANY = 256, 320, 5, 10**6
EPSILON = 1e-3  # unlike any default, so that a setting that is not passed on is seen


@pytest.fixture(scope="module", params=["maskrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn"])
def peer(request) -> nn.Module:
    """torchvision's model in float64: random weights that find something, and sampling that leaves nothing out."""
    torch.manual_seed(7)
    model = getattr(peers, request.param)(
        weights=None,
        weights_backbone=None,
        num_classes=CLASSES + 1,
        min_size=SHORTER,
        max_size=LONGER,
        rpn_batch_size_per_image=MANY,
        box_batch_size_per_image=MANY,
        box_positive_fraction=0.5,
        rpn_post_nms_top_n_test=200,
        rpn_post_nms_top_n_train=200,
    )
    norm = partial(FrozenBatchNorm2d, eps=EPSILON)
    model.backbone = _resnet_fpn_extractor(resnet50(weights=None, norm_layer=norm), trainable_layers=3)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif ".bn" in name or "downsample.1" in name:
            # Below 1, or the features of 50 random layers explode, and one class wins everywhere.
            tensor.normal_(0.6 if name.endswith("weight") else 0.0, 0.1)
        elif name in ("roi_heads.box_predictor.cls_score.weight", "roi_heads.box_predictor.bbox_pred.weight"):
            tensor.mul_(30)
    return model.double()


@pytest.fixture(autouse=True)
def exact_sizes(monkeypatch):
    """torchvision divides sizes in float32 even for float64 boxes; nothing could agree beyond that."""

    def resize_boxes(boxes: Tensor, size: list[int], new_size: list[int]) -> Tensor:
        return scale_boxes(boxes, tuple(size), tuple(new_size))

    monkeypatch.setattr("torchvision.models.detection.transform.resize_boxes", resize_boxes)


@pytest.fixture(scope="module")
def ours(peer: nn.Module) -> MaskRCNN:
    weights = understand(peer.state_dict(), "torchvision")
    settings = weights.settings
    assert len(weights.classes) == CLASSES
    settings.backbone.norm_epsilon = EPSILON
    settings.input.min_size, settings.input.max_size = SHORTER, LONGER
    settings.rpn.batch_size_per_image = settings.box_head.batch_size_per_image = MANY
    settings.box_head.positive_fraction = 0.5
    settings.rpn.post_nms_top_n = settings.rpn.post_nms_top_n_training = 200
    model = build_model(settings, CLASSES)
    apply_weights(model, weights.state, source="torchvision")
    return model.double()


@pytest.fixture(scope="module")
def scenes() -> list[tuple[Tensor, Tensor, np.ndarray]]:
    """Two images of different shape: pixels, labels, bitmaps."""
    found = []
    for seed, (height, width) in enumerate([(150, 160), (200, 140)]):
        scene = draw_scene(np.random.default_rng(seed), 200)
        bitmaps = np.stack(scene.masks)[:, :height, :width]
        seen = bitmaps.sum(axis=(1, 2)) > 50
        image = torch.from_numpy(scene.image[:height, :width].copy()).permute(2, 0, 1)
        found.append((image, torch.tensor(scene.labels)[torch.from_numpy(seen)], bitmaps[seen]))
    return found


def object_boxes(bitmaps: np.ndarray) -> Tensor:
    boxes = masks_to_boxes(torch.from_numpy(bitmaps)).double()
    boxes[:, 2:] += 1
    return boxes


def our_batch(scenes, settings, *, with_targets: bool) -> Batch:
    images = [prepare_image(image, settings.input, dtype=torch.float64) for image, _, _ in scenes]
    sizes = [tuple(image.shape[-2:]) for image, _, _ in scenes]
    batch = make_batch(images, sizes, size_divisible=32)
    if with_targets:
        batch.targets = [
            Instances(
                size=size,
                boxes=scale_boxes(object_boxes(bitmaps), image_size, size),
                labels=labels,
                masks=resized_masks(bitmaps, size),
            )
            for (_, labels, bitmaps), size, image_size in zip(scenes, batch.sizes, sizes, strict=True)
        ]
    return batch


def test_results_of_a_batch_agree(peer: nn.Module, ours: MaskRCNN, scenes):
    peer.eval()
    with torch.no_grad():
        expected = peer([image.double() / 255 for image, _, _ in scenes])
    found = ours.predict(our_batch(scenes, ours.settings, with_targets=False))
    for theirs, mine in zip(expected, found, strict=True):
        assert len(mine) > 10
        assert (mine.labels + 1 == theirs["labels"]).all()
        assert_close(mine.boxes, theirs["boxes"].numpy(), "boxes")
        assert_close(mine.scores, theirs["scores"].numpy(), "scores")
        if "masks" in theirs:
            bitmaps = np.stack([mine.masks.bitmap(i) for i in range(len(mine))])
            assert (bitmaps == (theirs["masks"][:, 0] > 0.5).numpy()).all()


def test_losses_of_a_batch_agree(peer: nn.Module, ours: MaskRCNN, scenes):
    peer.train()
    targets = [
        {"boxes": object_boxes(bitmaps), "labels": labels + 1, "masks": torch.from_numpy(bitmaps).byte()}
        for _, labels, bitmaps in scenes
    ]
    with torch.no_grad():
        expected = peer([image.double() / 255 for image, _, _ in scenes], targets)
        losses = ours(our_batch(scenes, ours.settings, with_targets=True))
    assert set(losses) == {LOSSES["torchvision"][name] for name in expected}
    for name, value in expected.items():
        assert_close(losses[LOSSES["torchvision"][name]], value.numpy(), name)
