import pytest
import torch

from maskrcnn.config import BoxHeadSettings, InputSettings
from maskrcnn.data.preprocessing import make_batch, resized_size
from maskrcnn.errors import SettingError
from maskrcnn.model.build import build_model
from maskrcnn.model.heads.box import BoxHead
from maskrcnn.model.heads.cascade import Cascade
from maskrcnn.ops.boxes import scale_boxes
from maskrcnn.predict import tta as module
from maskrcnn.predict.tta import flip_batch, flip_boxes, predict_tta, scaled_inputs, tta_batches
from maskrcnn.structures.batch import Scales
from tests.model.small import CLASSES, small_settings

IMAGE_SIZES = [(24, 30), (20, 32)]
SIZES = [[(48, 60), (40, 64)], [(36, 45), (30, 48)]]
"""Of both images at two scales."""
PARTNERS = (0, 2, 1)


@pytest.fixture(scope="module")
def model():
    """Finds 10 objects of random classes, with masks and three keypoints."""
    torch.manual_seed(0)
    settings = small_settings(keypoint_head={"channels": 8, "convolutions": 1})
    return build_model(settings, CLASSES, keypoints=3).double().eval()


@pytest.fixture
def images():
    """Two images of noise at two scales."""
    random = torch.Generator().manual_seed(1)
    scales = [[torch.randn(3, *size, generator=random, dtype=torch.float64) for size in sizes] for sizes in SIZES]
    return Scales(tuple(make_batch(images, IMAGE_SIZES, size_divisible=32) for images in scales))


def predict(model, scales, *, flip=True):
    return predict_tta(model, tta_batches(scales, flip=flip), partners=PARTNERS, place=lambda batch: batch)


def assert_close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


def mirrored(scales):
    return Scales(tuple(map(flip_batch, scales.batches)))


def test_a_scale_enlarges_every_image_alike_also_a_long_one():
    usual = InputSettings(min_size=800, max_size=1333)
    half, same, twice = scaled_inputs(usual, (400, 800, 1600, 400.0))
    assert same == usual
    for size in ((600, 800), (500, 1500)):
        height, width = resized_size(size, usual)
        for settings, factor in ((half, 0.5), (twice, 2)):
            scaled = resized_size(size, settings)
            assert scaled == pytest.approx((factor * height, factor * width), abs=2)


def test_scales_of_a_magnification_are_factors():
    usual = InputSettings(scale_factor=2, max_size=2000)
    [scaled] = scaled_inputs(usual, (1.5,))
    assert (scaled.scale_factor, scaled.max_size) == (1.5, 1500)
    assert resized_size((100, 200), scaled) == (150, 300)


def test_without_scales_there_is_the_usual_one():
    usual = InputSettings(min_size=333)
    assert scaled_inputs(usual, ()) == [usual]


@pytest.mark.parametrize(
    ("settings", "scale", "rule"),
    [
        ({}, 1.5, ".*800.* 100 to 6400"),
        ({}, 600.5, "whole"),
        ({"scale_factor": 2}, 600, "scale_factor is 2.* 0.25 to 16"),
    ],
)
def test_a_scale_of_the_other_kind_is_named(settings, scale, rule):
    with pytest.raises(SettingError, match=f"scale {scale}: .*{rule}"):
        scaled_inputs(InputSettings(**settings), (scale,))


def test_boxes_keep_their_order_of_corners_in_a_mirror():
    boxes = torch.tensor([[1.0, 2, 4, 7], [0, 0, 10, 3]])
    assert flip_boxes(boxes, 10).tolist() == [[6, 2, 9, 7], [0, 0, 10, 3]]
    assert torch.equal(flip_boxes(flip_boxes(boxes, 10), 10), boxes)
    assert flip_boxes(torch.zeros(0, 4), 10).shape == (0, 4)


def test_images_are_mirrored_within_their_own_width_and_padded_at_the_right():
    images = [torch.arange(1.0, 7).view(1, 2, 3), torch.arange(1.0, 5).view(1, 1, 4)]
    batch = make_batch(
        images, [(2, 3), (1, 4)], size_divisible=4, proposals=[torch.tensor([[0.0, 0, 1, 2]]), torch.zeros(0, 4)]
    )
    mirror = flip_batch(batch)
    assert mirror.images[0, 0, :2].tolist() == [[3, 2, 1, 0], [6, 5, 4, 0]]
    assert mirror.images[1, 0, 0].tolist() == [4, 3, 2, 1]
    assert mirror.proposals[0].tolist() == [[2, 0, 3, 2]]
    again = flip_batch(mirror)
    assert torch.equal(again.images, batch.images)
    assert torch.equal(again.proposals[0], batch.proposals[0])


@pytest.mark.parametrize("given", [False, True])
def test_a_mirror_image_gives_the_mirrored_objects(model, images, given):
    if given:
        boxes = torch.tensor([[2, 3, 14, 15], [1, 1, 30, 20], [8, 2, 29, 19], [20, 12, 30, 18]], dtype=torch.float64)
        for batch in images.batches:
            batch.proposals = [scale_boxes(boxes, *sizes) for sizes in zip(IMAGE_SIZES, batch.sizes, strict=True)]
    for one, other, (_, width) in zip(
        predict(model, images), predict(model, mirrored(images)), IMAGE_SIZES, strict=True
    ):
        assert len(one) == 10 or given
        assert_close(one.scores, other.scores)
        assert torch.equal(one.labels, other.labels)
        assert_close(one.boxes, flip_boxes(other.boxes, width))
        assert_close(one.masks.probabilities, other.masks.probabilities.flip(-1))
        x, y, score = other.keypoints[:, list(PARTNERS)].unbind(dim=-1)
        assert_close(one.keypoints, torch.stack([width - x, y, score], dim=-1))


def test_the_best_of_all_batches_are_kept(model, images, monkeypatch):
    settings = model.settings.box_head.model_copy(update={"detections_per_image": 30, "nms_threshold": 1.0})
    monkeypatch.setattr(model.box_head.heads[-1], "settings", settings)
    seen = [*images.batches, *map(flip_batch, images.batches)]
    apart = [model.predict(batch) for batch in seen]
    for i, found in enumerate(predict(model, images)):
        assert_close(found.scores, torch.cat([objects[i].scores for objects in apart]).topk(30).values)


def test_masks_and_keypoint_maps_are_means_over_the_batches(model, images):
    for i, found in enumerate(predict(model, images)):
        soft, maps = [], []
        for batch in images.batches:
            boxes = scale_boxes(found.boxes, IMAGE_SIZES[i], batch.sizes[i])
            for turned in (False, True):
                seen = flip_batch(batch) if turned else batch
                alone = {level: map[i : i + 1] for level, map in model.features(seen.images).items()}
                table = model.pooling.table(alone)
                at = [flip_boxes(boxes, batch.sizes[i][1]) if turned else boxes]
                mask = model.predict_masks(table, [(at[0], found.scores, found.labels)])[0]
                logits = model.keypoint_head(model.pool(table, at, 14))
                soft.append(mask.flip(2) if turned else mask)
                maps.append(logits.flip(3)[:, [0, 2, 1]] if turned else logits)
        assert len(soft) == 4
        assert_close(found.masks.probabilities, sum(soft) / 4)
        at_input = scale_boxes(found.boxes, IMAGE_SIZES[i], SIZES[0][i])
        points = model.keypoint_head.decode(sum(maps) / 4, at_input)
        assert_close(found.keypoints, points * torch.tensor([0.5, 0.5, 1.0]))


@pytest.mark.parametrize("number", [0, 1])
def test_a_single_batch_gives_what_the_model_gives_bit_for_bit(model, images, number):
    batch = images.batches[number]
    for found, expected in zip(predict(model, Scales((batch,)), flip=False), model.predict(batch), strict=True):
        assert torch.equal(found.boxes, expected.boxes)
        assert torch.equal(found.scores, expected.scores)
        assert torch.equal(found.masks.probabilities, expected.masks.probabilities)
        assert torch.equal(found.keypoints, expected.keypoints)
        assert (found.size, found.masks.paste) == (expected.size, expected.masks.paste)


def test_features_that_are_not_kept_are_computed_again(model, images, monkeypatch):
    kept = predict(model, images)
    monkeypatch.setattr(module, "KEPT", 0)
    calls = []
    monkeypatch.setattr(model, "features", lambda images, features=model.features: calls.append(1) or features(images))
    for again, found in zip(predict(model, images), kept, strict=True):
        assert_close(again.masks.probabilities, found.masks.probabilities)
        assert_close(again.keypoints, found.keypoints)
    assert len(calls) == 7  # those of the first batch are always kept


def test_where_nothing_is_found_nothing_is_averaged(images):
    torch.manual_seed(0)
    parts = {"keypoint_head": {"channels": 8, "convolutions": 1}, "box_head": {"channels": 16, "score_threshold": 1.0}}
    model = build_model(small_settings(**parts), CLASSES, keypoints=3).double().eval()
    for found, size in zip(predict(model, images), IMAGE_SIZES, strict=True):
        assert (len(found), found.size) == (0, size)
        assert found.masks.probabilities.shape == (0, 28, 28)
        assert found.keypoints.shape == (0, 3, 3)


def test_boxes_alone_need_no_second_look(images, monkeypatch):
    torch.manual_seed(0)
    model = build_model(small_settings(mask_head=None), CLASSES).double().eval()
    monkeypatch.setattr(module, "KEPT", 0)
    calls = []
    monkeypatch.setattr(model, "features", lambda images, features=model.features: calls.append(1) or features(images))
    assert [(len(found), found.masks, found.keypoints) for found in predict(model, images)] == [(10, None, None)] * 2
    assert len(calls) == 4


@pytest.mark.parametrize(
    ("across", "most", "kept"), [(False, 9, [0, 2, 3]), (True, 9, [0, 3]), (False, 2, [0, 2]), (True, 1, [0])]
)
def test_the_weaker_of_two_that_overlap_is_suppressed(across, most, kept):
    boxes = torch.tensor([[0, 0, 10, 10], [1, 0, 11, 10], [0, 1, 10, 11], [20, 0, 30, 10]], dtype=torch.float32)
    scores, labels = torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([0, 0, 1, 0])
    found = [(boxes[seen], scores[seen], labels[seen]) for seen in (torch.tensor([3, 1]), torch.tensor([2, 0]))]
    settings = BoxHeadSettings(nms_threshold=0.5, class_agnostic_nms=across, detections_per_image=most)
    joined = Cascade([BoxHead(4, 2, settings, pooled=7)]).join(found)
    assert all(torch.equal(one, all_[kept]) for one, all_ in zip(joined, (boxes, scores, labels), strict=True))


def test_a_box_head_that_cannot_join_detections_is_named(model, images, monkeypatch):
    class Plain(torch.nn.Module):
        pool_size, predict = model.box_head.pool_size, staticmethod(model.box_head.predict)

    monkeypatch.setattr(model, "box_head", Plain())
    assert len(predict(model, Scales(images.batches[:1]), flip=False)) == 2
    with pytest.raises(SettingError, match=r"Plain .*`join`"):
        predict(model, images)
