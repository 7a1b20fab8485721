import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from maskrcnn.config import AnchorSettings, ModelSettings
from maskrcnn.config.presets import read_preset
from maskrcnn.doctor.anchors import (
    Fit,
    Objects,
    anchor_words,
    best_overlaps,
    better_anchors,
    find_in_anchors,
    fit,
    group_ratios,
    level_strides,
)
from maskrcnn.errors import SettingError
from maskrcnn.model.anchors import Anchors
from tests.builders.made_set import made_seen, named

FPN = {2: 4.0, 3: 8.0, 4: 16.0, 5: 32.0, 6: 64.0}


def slow_overlaps(objects: Objects, settings: AnchorSettings, strides: dict[int, float]) -> list[float]:
    """Every object against every anchor of its input."""
    best = []
    for box, (height, width) in zip(objects.boxes, objects.inputs):
        maps = {
            level: torch.zeros(1, 1, int(np.ceil(height / stride)), int(np.ceil(width / stride)))
            for level, stride in strides.items()
        }
        anchors = torch.cat(Anchors(settings)(maps, (int(height), int(width)), torch.float64))
        best.append(float(box_iou(torch.from_numpy(box)[None], anchors).max()))
    return best


@pytest.mark.parametrize(
    ("changes", "strides"),
    [
        ({}, FPN),
        ({"stride": "nominal", "rounded": False, "offset": 0.5}, FPN),
        ({"sizes": (900, 800, 700, 600, 60)}, FPN),  # only those of the coarsest level, whose stride is not 64, fit
        ({"sizes": ((16, 32, 64),), "ratios": (0.3, 1.7)}, {4: 16.0}),
        ({"sizes": ((40,),), "stride": "nominal"}, {5: 32.0}),
        ({"shapes": (((10, 30), (50, 20)),)}, {4: 16.0}),
    ],
)
def test_the_best_overlap_is_that_with_all_anchors(changes, strides):
    random = np.random.default_rng(0)
    inputs = np.array([[160, 224], [192, 96], [416, 352]])[random.integers(0, 3, 40)].astype(float)
    low = random.uniform(0, 0.8, (40, 2)) * inputs[:, ::-1]
    high = np.minimum(low + random.uniform(2, 200, (40, 2)), inputs[:, ::-1])
    objects = Objects(np.concatenate([low, high], axis=1), inputs)
    settings = AnchorSettings.model_validate(changes)
    np.testing.assert_allclose(best_overlaps(objects, settings, strides), slow_overlaps(objects, settings, strides))


def test_an_object_that_is_an_anchor_fits_wholly():
    objects = Objects(np.array([[48.0, 48, 80, 80]]), np.array([[160.0, 160]]))
    assert best_overlaps(objects, AnchorSettings(), FPN).tolist() == [1.0]
    assert len(best_overlaps(Objects(np.zeros((0, 4)), np.zeros((0, 2))), AnchorSettings(), FPN)) == 0


@pytest.mark.parametrize(
    ("preset", "strides"),
    [
        ("torchvision/maskrcnn_resnet50_fpn", FPN),
        ("paper/R50-C4", {4: 16.0}),
        ("detectron2/mask_rcnn_R_50_DC5", {4: 16.0}),
        ("torchvision/fasterrcnn_mobilenet_v3_large_fpn", {5: 32.0, 6: 32.0, 7: 64.0}),
    ],
)
def test_strides_are_those_of_the_network(preset, strides):
    assert level_strides(read_preset(preset)) == strides


def test_sizes_for_other_levels_than_the_network_has_are_an_error():
    with pytest.raises(SettingError, match=r"anchors\.sizes"):
        level_strides(ModelSettings.model_validate({"anchors": {"sizes": (32, 64)}}))


def test_a_sample_is_spread_evenly():
    objects = Objects(np.arange(40.0).reshape(10, 4), np.zeros((10, 2)))
    assert objects.sample(4).boxes[:, 0].tolist() == [0, 12, 24, 36]
    assert len(objects.sample(99)) == 10


def objects_of(sides, seed=0):
    """Boxes of some [N, 2] widths and heights at random places of inputs of 800 x 800 px."""
    sides = np.asarray(sides, dtype=float)
    low = np.random.default_rng(seed).uniform(0, 800 - sides)
    return Objects(np.concatenate([low, low + sides], axis=1), np.full((len(sides), 2), 800.0))


def spread(smallest, largest, ratio=1.0, count=300):
    lengths = np.geomspace(smallest, largest, count)
    return np.stack([lengths / ratio**0.5, lengths * ratio**0.5], axis=1)


def test_anchors_that_fit_are_kept():
    settings = AnchorSettings()
    mixed = np.concatenate([spread(30, 500, ratio) for ratio in (0.5, 1, 2)])
    assert better_anchors(objects_of(mixed), settings, FPN) == settings


def test_small_objects_get_small_anchors_as_many_as_before():
    settings, objects = AnchorSettings(), objects_of(spread(8, 60))
    better = better_anchors(objects, settings, FPN)
    assert len(better.sizes) == 5
    assert better.sizes[0][0] <= 14
    assert better.sizes[-1][0] <= 256
    assert len(better.ratios) == 3
    assert fit(objects, better, FPN).near > fit(objects, settings, FPN).near + 0.2


def test_wide_objects_get_wide_anchors():
    better = better_anchors(objects_of(spread(40, 300, ratio=0.2)), AnchorSettings(), FPN)
    assert better.ratios == (0.15, 0.2, 0.26)


def test_one_level_with_several_sizes_keeps_their_number():
    settings = AnchorSettings(sizes=((128, 256, 512),), ratios=(0.5, 1, 2))
    better = better_anchors(objects_of(spread(16, 90)), settings, {4: 16.0})
    assert [len(own) for own in better.sizes] == [3]
    words = anchor_words(better, settings)
    assert words[0].startswith("anchors.sizes=[[")


def test_shapes_of_detectron_are_replaced_by_as_many_sizes():
    shapes = tuple(tuple((side * w, side / w) for w in (1.4, 1.0, 0.7)) for side in (32.0, 64, 128, 256, 512))
    settings = AnchorSettings(shapes=shapes)
    better = better_anchors(objects_of(spread(8, 60)), settings, FPN)
    assert better.shapes is None
    assert [len(own) for own in better.sizes] == [1] * 5
    assert "anchors.shapes=null" in anchor_words(better, settings)


def test_few_objects_or_none_change_nothing():
    settings = AnchorSettings()
    assert better_anchors(objects_of(spread(8, 60, count=99)), settings, FPN) == settings
    assert better_anchors(objects_of(np.zeros((0, 2))), settings, FPN) == settings
    assert fit(objects_of(np.zeros((0, 2))), settings, FPN).near == 1


def test_ratios_are_the_middles_of_groups():
    sides = np.array([[10, 2.5]] * 30 + [[10, 10]] * 30 + [[10, 30]] * 30)
    assert group_ratios(sides, 3) == (0.25, 1.0, 3.0)
    assert group_ratios(sides[:1], 3) == (0.19, 0.25, 0.33)


def test_shares_are_those_of_the_overlaps():
    found = Fit(np.array([0.2, 0.5, 0.6, 0.9]), AnchorSettings())
    assert (found.near, found.close) == (0.75, 0.25)
    assert found.worth == pytest.approx((0 + 0.5 + 0.75 + 1) / 4)


def test_words_name_what_changes_only():
    before = AnchorSettings()
    assert anchor_words(before, before) == ()
    sizes = before.model_copy(update={"sizes": ((8.0,), (16.0,), (32.0,), (64.0,), (128.0,))})
    assert anchor_words(sizes, before) == ("anchors.sizes=8,16,32,64,128",)
    ratios = sizes.model_copy(update={"ratios": (0.3, 1.0)})
    assert anchor_words(ratios, before)[1] == "anchors.ratios=0.3,1"


def test_objects_without_an_anchor_are_reported_with_what_fits_better(tmp_path):
    boxes = [[100 + 3 * n, 100, 8 + n % 5, 8] for n in range(120)]
    seen = made_seen(tmp_path, boxes, sizes=[(800, 800)] * 120)
    now = fit(seen.objects, AnchorSettings(), FPN)
    best = fit(seen.objects, better_anchors(seen.objects, AnchorSettings(), FPN), FPN)
    found = named(find_in_anchors(seen, now, best), "anchors")
    assert found.severity == "warning"
    assert found.what.startswith("train: 0% of 120 objects")
    assert f" {best.near:.0%} " in found.advice
    assert found.settings[0].startswith("anchors.sizes=")
    assert "best IoU 0." in found.examples[0].words


def test_objects_that_nothing_fits_better_are_a_note(tmp_path):
    seen = made_seen(tmp_path, [[10, 10, 60, 60]] * 10, sizes=[(800, 800)] * 10)
    now = Fit(np.array([0.3] + [0.9] * 9), AnchorSettings())
    found = named(find_in_anchors(seen, now, now), "anchors")
    assert (found.severity, found.count, found.settings) == ("note", 1, ())
    good = Fit(np.full(10, 0.9), AnchorSettings())
    assert list(find_in_anchors(seen, good, good)) == []
