import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from maskrcnn.config import AnchorSettings, ModelSettings
from maskrcnn.config.presets import read_preset
from maskrcnn.errors import SettingError
from maskrcnn.model.anchors import Anchors
from maskrcnn.predict.health.anchors import Objects, best_overlaps, level_strides

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


def test_no_objects_have_no_overlaps():
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
    with pytest.raises(SettingError, match=r"model\.anchors\.sizes"):
        level_strides(ModelSettings.model_validate({"anchors": {"sizes": (32, 64)}}))


def test_a_sample_is_spread_evenly():
    objects = Objects(np.arange(40.0).reshape(10, 4), np.zeros((10, 2)))
    assert objects.sample(4).boxes[:, 0].tolist() == [0, 12, 24, 36]
    assert len(objects.sample(99)) == 10
