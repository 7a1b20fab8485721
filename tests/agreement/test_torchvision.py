"""Same checkpoint, same picture: what torchvision recorded at every stage comes out here too."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from maskrcnn.config import ModelSettings
from maskrcnn.data.inputs import make_batch, prepare_picture
from maskrcnn.model.build import build_model
from maskrcnn.model.mask_rcnn import ROI_LEVELS, MaskRCNN, pool_boxes
from maskrcnn.model.rpn import rpn_predictions
from maskrcnn.ops.boxes import scale_boxes
from maskrcnn.ops.roi_align import make_table
from maskrcnn.structures.batch import Batch
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.masks import Crop, MaskCrops, full_bitmap
from maskrcnn.weights.torchvision import read_torchvision

from .fixtures import TOLERANCE, Fixture, assert_close, assert_sampled, load_fixture, unpack

MODELS = ["torchvision/maskrcnn_resnet50_fpn", "torchvision/fasterrcnn_resnet50_fpn"]
LOSSES = {
    "loss_classifier": "classes",
    "loss_box_reg": "boxes",
    "loss_mask": "masks",
    "loss_objectness": "rpn_objectness",
    "loss_rpn_box_reg": "rpn_boxes",
}


@pytest.fixture(scope="module", params=MODELS)
def fixture(request) -> Fixture:
    return load_fixture(request.param)


def configure(settings: ModelSettings, peer: dict) -> ModelSettings:
    """The settings of the file, with the limits the fixture's constructor gave."""
    settings.input.shorter, settings.input.longer = peer["min_size"], peer["max_size"]
    rpn, box_head = settings.rpn, settings.box_head
    rpn.candidates, rpn.proposals = peer["rpn_pre_nms_top_n_test"], peer["rpn_post_nms_top_n_test"]
    rpn.candidates_training = peer["rpn_pre_nms_top_n_train"]
    rpn.proposals_training = peer["rpn_post_nms_top_n_train"]
    rpn.samples, rpn.positive_fraction = peer["rpn_batch_size_per_image"], peer["rpn_positive_fraction"]
    box_head.samples, box_head.positive_fraction = peer["box_batch_size_per_image"], peer["box_positive_fraction"]
    box_head.detections, box_head.score_threshold = peer["box_detections_per_img"], peer["box_score_thresh"]
    return settings


@pytest.fixture(scope="module")
def model(fixture: Fixture) -> MaskRCNN:
    state, settings, classes = read_torchvision(fixture.state, fixture.name)
    model = build_model(configure(settings, fixture.meta["config"]["constructor"]), classes)
    model.load_state_dict(state)
    return model.double().eval()


@pytest.fixture(scope="module")
def batch(fixture: Fixture, model: MaskRCNN) -> Batch:
    image = prepare_picture(fixture.picture, model.settings.input, dtype=torch.float64)
    return make_batch([image], [tuple(fixture.picture.shape[-2:])])


@pytest.fixture(scope="module")
def features(model: MaskRCNN, batch: Batch) -> dict[int, torch.Tensor]:
    with torch.no_grad():
        return model.fpn(model.body(batch.images))


@pytest.fixture(scope="module")
def proposals(model: MaskRCNN, batch: Batch, features) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        logits, deltas = model.rpn(features)
    rpn = model.settings.rpn
    anchors = model._anchors(features, batch)
    boxes, scores = rpn_predictions(
        logits, deltas, anchors, batch.sizes, rpn, candidates=rpn.candidates, proposals=rpn.proposals
    )
    return boxes[0], scores[0]


def test_network_input_agrees(fixture: Fixture, batch: Batch):
    expected, image = fixture.expected, batch.images[0]
    assert tuple(image.shape) == tuple(expected["input.shape"])
    assert batch.sizes[0] == tuple(expected["input.size"])
    assert_close(image.sum() / image.numel(), expected["input.sum"] / image.numel(), "mean of the input")
    assert_close(image.abs().sum() / image.numel(), expected["input.abs_sum"] / image.numel(), "mean magnitude")
    h, w = batch.sizes[0]
    assert_close(image[:, :4, :4], expected["input.topleft"], "top left")
    assert_close(image[:, h // 2 : h // 2 + 4, w // 2 : w // 2 + 4], expected["input.centre"], "centre")
    assert_close(image[:, h - 4 : h, w - 4 : w], expected["input.end"], "end")


def test_features_of_every_level_agree(fixture: Fixture, features):
    for name, level in zip(["0", "1", "2", "3", "pool"], features, strict=True):
        key, map = f"feature.{name}", features[level][0]
        assert_sampled(map, fixture.expected, key)
        assert_close(map.mean(), fixture.expected[f"{key}.mean"], f"{key}.mean")
        assert_close(map.std(correction=0), fixture.expected[f"{key}.std"], f"{key}.std")


def test_raw_outputs_of_the_proposal_network_agree(fixture: Fixture, model: MaskRCNN, features):
    with torch.no_grad():
        logits, deltas = model.rpn(features)
    for i, map in enumerate(features.values()):
        height, width = map.shape[-2:]
        grid = logits[i][0].view(height, width, -1).permute(2, 0, 1)
        assert_sampled(grid, fixture.expected, f"rpn.logits.{i}")
        grid = deltas[i][0].view(height, width, -1).permute(2, 0, 1)
        assert_sampled(grid, fixture.expected, f"rpn.deltas.{i}")


def test_proposals_agree_in_order(fixture: Fixture, proposals):
    assert_close(proposals[0], fixture.expected["proposals"], "proposals")
    assert_close(proposals[1], fixture.expected["proposal_scores"], "proposal_scores")


def test_box_head_agrees(fixture: Fixture, model: MaskRCNN, features, proposals):
    table = make_table({level: features[level] for level in ROI_LEVELS})
    with torch.no_grad():
        pooled = pool_boxes(table, [proposals[0]], model.settings.box_head.pool_size)
        logits, deltas = model.box_head(pooled)
    assert_sampled(pooled.permute(0, 3, 1, 2).contiguous(), fixture.expected, "box.pooled")
    assert_close(logits.roll(1, dims=1)[:64], fixture.expected["box.logits"], "box.logits")
    # torchvision also predicts a box for the background, which nothing ever reads.
    expected = fixture.expected["box.deltas"].reshape(32, model.classes + 1, 4)[:, 1:]
    assert_close(deltas[:32], expected, "box.deltas")


def test_detections_and_masks_agree(fixture: Fixture, model: MaskRCNN, batch: Batch, features, proposals):
    expected = fixture.expected
    found = model.predict(batch)[0]
    assert_close(found.boxes, expected["det.boxes"], "det.boxes")
    assert_close(found.scores, expected["det.scores"], "det.scores")
    assert (found.labels.numpy() + 1 == expected["det.labels"]).all()
    table = make_table({level: features[level] for level in ROI_LEVELS})
    boxes, _, labels = model._detect(table, [proposals[0]], batch.sizes)[0]
    assert_close(boxes, expected["det.boxes_network"], "det.boxes_network")
    if model.mask_head is None:
        assert found.masks is None
        return
    with torch.no_grad():
        logits = model.mask_head(pool_boxes(table, [boxes], model.settings.mask_head.pool_size))
    assert_close(logits[torch.arange(10), labels[:10]], expected["mask.logits"], "mask.logits")
    assert_close(found.masks.probabilities[:10].mean(dim=(1, 2)), expected["mask.probs_check"] / 28**2, "probs_check")
    pasted = np.stack([full_bitmap(found.masks, i) for i in range(3)])
    assert (pasted == unpack(expected, "pasted")).all()
    soft = torch.zeros(tuple(expected["pasted.soft.shape"]), dtype=torch.float64)
    for i in range(3):
        x, y, window = found.masks.soft_crop(i)
        soft[i, y : y + window.shape[0], x : x + window.shape[1]] = torch.from_numpy(window)
    assert_sampled(soft, expected, "pasted.soft")


def test_losses_agree(fixture: Fixture, model: MaskRCNN, batch: Batch):
    expected, size, picture_size = fixture.expected, batch.sizes[0], batch.picture_sizes[0]
    masks = resized_masks(unpack(expected, "gt.masks"), size) if "gt.masks.bits" in expected else None
    boxes = scale_boxes(torch.from_numpy(expected["gt.boxes"]).double(), picture_size, size)
    labels = torch.from_numpy(expected["gt.labels"]).long() - 1
    target = Instances(size=size, boxes=boxes, labels=labels, masks=masks)
    with torch.no_grad():
        losses = model(Batch(batch.images, batch.sizes, batch.picture_sizes, [target]))
        anchors = sum(map(len, model._anchors(model.fpn(model.body(batch.images)), batch)))
    recorded = {key.removeprefix("loss."): value for key, value in expected.items() if key.startswith("loss.")}
    assert set(losses) == {LOSSES[name] for name in recorded}
    for name, value in recorded.items():
        # Where the picture has more anchors than the limit on samples, torchvision drew some of them at random.
        drawn = name == "loss_objectness" and anchors > model.settings.rpn.samples
        assert_close(losses[LOSSES[name]], value, name, tolerance=1e-2 if drawn else TOLERANCE)


def test_float32_agrees_with_the_unmodified_peer(fixture: Fixture, model: MaskRCNN):
    image = prepare_picture(fixture.picture, model.settings.input)
    model.float()
    try:
        found = model.predict(make_batch([image], [tuple(fixture.picture.shape[-2:])]))[0]
    finally:
        model.double()
    expected = fixture.expected
    assert (found.labels.numpy() + 1 == expected["plain32.labels"]).all()
    assert np.abs(found.boxes.numpy() - expected["plain32.boxes"]).max() < 2e-3
    assert np.abs(found.scores.numpy() - expected["plain32.scores"]).max() < 1e-4


def resized_masks(bitmaps: np.ndarray, size: tuple[int, int]) -> MaskCrops:
    """torchvision brings annotated masks to the network's size by nearest neighbour."""
    resized = F.interpolate(torch.from_numpy(bitmaps)[:, None].float(), size=size)[:, 0]
    return MaskCrops.of([Crop(0, 0, bitmap) for bitmap in resized.bool().numpy()], size)
