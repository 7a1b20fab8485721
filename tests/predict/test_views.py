from dataclasses import replace

import pytest
import torch

from maskrcnn.config import BoxHeadSettings
from maskrcnn.data.inputs import make_batch
from maskrcnn.data.views import join_scales, mirror_batch, mirror_boxes
from maskrcnn.model.build import build_model
from maskrcnn.ops.boxes import scale_boxes
from maskrcnn.predict import views as module
from maskrcnn.predict.views import join_detections, predict_views, views_of
from tests.model.small import CLASSES, small_settings

PICTURE_SIZES = [(24, 30), (20, 32)]
SIZES = [[(48, 60), (40, 64)], [(36, 45), (30, 48)]]
"""Of both pictures at two scales."""
PARTNERS = (0, 2, 1)


@pytest.fixture(scope="module")
def model():
    """Finds 10 objects of random classes, with masks and three keypoints."""
    torch.manual_seed(0)
    settings = small_settings(keypoint_head={"channels": 8, "convolutions": 1})
    return build_model(settings, CLASSES, keypoints=3).double().eval()


@pytest.fixture
def pictures():
    """A batch of two pictures of noise, with itself at another scale."""
    random = torch.Generator().manual_seed(1)
    scales = [[torch.randn(3, *size, generator=random, dtype=torch.float64) for size in sizes] for sizes in SIZES]
    return join_scales([make_batch(images, PICTURE_SIZES, pad_to=32) for images in scales])


def predict(model, batch, *, flip=True):
    return predict_views(model, views_of(batch, flip=flip), partners=PARTNERS, place=lambda batch: batch)


def assert_close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


def mirrored(batch):
    return replace(mirror_batch(batch), rescaled=tuple(map(mirror_batch, batch.rescaled)))


@pytest.mark.parametrize("given", [False, True])
def test_a_mirror_image_gives_the_mirrored_objects(model, pictures, given):
    if given:
        boxes = torch.tensor([[2, 3, 14, 15], [1, 1, 30, 20], [8, 2, 29, 19], [20, 12, 30, 18]], dtype=torch.float64)
        for batch in (pictures, *pictures.rescaled):
            batch.proposals = [scale_boxes(boxes, *sizes) for sizes in zip(PICTURE_SIZES, batch.sizes, strict=True)]
    for one, other, (_, width) in zip(
        predict(model, pictures), predict(model, mirrored(pictures)), PICTURE_SIZES, strict=True
    ):
        assert len(one) == 10 or given
        assert_close(one.scores, other.scores)
        assert torch.equal(one.labels, other.labels)
        assert_close(one.boxes, mirror_boxes(other.boxes, width))
        assert_close(one.masks.probabilities, other.masks.probabilities.flip(-1))
        x, y, score = other.keypoints[:, list(PARTNERS)].unbind(dim=-1)
        assert_close(one.keypoints, torch.stack([width - x, y, score], dim=-1))


def test_the_best_of_all_views_are_kept(model, pictures, monkeypatch):
    settings = model.settings.model_copy(deep=True)
    settings.box_head.detections, settings.box_head.nms_threshold = 30, 1.0
    monkeypatch.setattr(model, "settings", settings)
    seen = [pictures, mirror_batch(pictures), *pictures.rescaled, *map(mirror_batch, pictures.rescaled)]
    apart = [model.predict(batch) for batch in seen]
    for i, found in enumerate(predict(model, pictures)):
        assert_close(found.scores, torch.cat([objects[i].scores for objects in apart]).topk(30).values)


def test_masks_and_keypoint_maps_are_means_over_the_views(model, pictures):
    for i, found in enumerate(predict(model, pictures)):
        soft, maps = [], []
        for batch in (pictures, *pictures.rescaled):
            boxes = scale_boxes(found.boxes, PICTURE_SIZES[i], batch.sizes[i])
            for turned in (False, True):
                seen = mirror_batch(batch) if turned else batch
                alone = {level: map[i : i + 1] for level, map in model.features(seen.images).items()}
                table = model.pooling.table(alone)
                at = [mirror_boxes(boxes, batch.sizes[i][1]) if turned else boxes]
                mask = model.predict_masks(table, [(at[0], found.scores, found.labels)])[0]
                logits = model.keypoint_head(model.pool(table, at, 14))
                soft.append(mask.flip(2) if turned else mask)
                maps.append(logits.flip(3)[:, [0, 2, 1]] if turned else logits)
        assert len(soft) == 4
        assert_close(found.masks.probabilities, sum(soft) / 4)
        at_input = scale_boxes(found.boxes, PICTURE_SIZES[i], SIZES[0][i])
        points = model.keypoint_head.decode(sum(maps) / 4, at_input)
        assert_close(found.keypoints, points * torch.tensor([0.5, 0.5, 1.0]))


def test_a_single_view_gives_what_the_model_gives(model, pictures):
    for found, expected in zip(predict(model, pictures.rescaled[0], flip=False), model.predict(pictures.rescaled[0])):
        assert_close(found.boxes, expected.boxes)
        assert_close(found.scores, expected.scores)
        assert_close(found.masks.probabilities, expected.masks.probabilities)
        assert_close(found.keypoints, expected.keypoints)
        assert (found.size, found.masks.paste) == (expected.size, expected.masks.paste)


def test_features_that_are_not_kept_are_computed_again(model, pictures, monkeypatch):
    kept = predict(model, pictures)
    monkeypatch.setattr(module, "KEPT", 0)
    calls = []
    monkeypatch.setattr(model, "features", lambda images, features=model.features: calls.append(1) or features(images))
    for again, found in zip(predict(model, pictures), kept, strict=True):
        assert_close(again.masks.probabilities, found.masks.probabilities)
        assert_close(again.keypoints, found.keypoints)
    assert len(calls) == 8


def test_where_nothing_is_found_nothing_is_averaged(pictures):
    torch.manual_seed(0)
    parts = {"keypoint_head": {"channels": 8, "convolutions": 1}, "box_head": {"channels": 16, "score_threshold": 1.0}}
    model = build_model(small_settings(**parts), CLASSES, keypoints=3).double().eval()
    for found, size in zip(predict(model, pictures), PICTURE_SIZES, strict=True):
        assert (len(found), found.size) == (0, size)
        assert found.masks.probabilities.shape == (0, 28, 28)
        assert found.keypoints.shape == (0, 3, 3)


def test_boxes_alone_need_no_second_look(pictures, monkeypatch):
    torch.manual_seed(0)
    model = build_model(small_settings(mask_head=None), CLASSES).double().eval()
    monkeypatch.setattr(module, "KEPT", 0)
    calls = []
    monkeypatch.setattr(model, "features", lambda images, features=model.features: calls.append(1) or features(images))
    assert [(len(found), found.masks, found.keypoints) for found in predict(model, pictures)] == [(10, None, None)] * 2
    assert len(calls) == 4


@pytest.mark.parametrize(
    ("across", "most", "kept"), [(False, 9, [0, 2, 3]), (True, 9, [0, 3]), (False, 2, [0, 2]), (True, 1, [0])]
)
def test_the_weaker_of_two_that_overlap_is_suppressed(across, most, kept):
    boxes = torch.tensor([[0, 0, 10, 10], [1, 0, 11, 10], [0, 1, 10, 11], [20, 0, 30, 10]], dtype=torch.float32)
    scores, labels = torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([0, 0, 1, 0])
    one, other = torch.tensor([3, 1]), torch.tensor([2, 0])
    found = [(boxes[view], scores[view], labels[view]) for view in (one, other)]
    settings = BoxHeadSettings(nms_threshold=0.5, nms_across_classes=across, detections=most)
    joined = join_detections(found, settings)
    assert torch.equal(joined[0], boxes[kept])
    assert torch.equal(joined[1], scores[kept])
    assert torch.equal(joined[2], labels[kept])
