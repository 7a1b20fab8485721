from dataclasses import replace

import numpy as np
import pytest
import torch

from maskrcnn.structures.instances import Instances
from maskrcnn.structures.masks import Crop, MaskCrops
from maskrcnn.structures.panoptic import Panoptic

SIZE = (10, 20)


def three() -> Instances:
    crops = [Crop(i, 0, np.ones((1, i + 1), dtype=bool)) for i in range(3)]
    return Instances(
        size=SIZE,
        boxes=torch.arange(12.0).reshape(3, 4),
        labels=torch.tensor([5, 6, 7]),
        scores=torch.tensor([0.9, 0.8, 0.7]),
        masks=MaskCrops.of(crops, SIZE),
        keypoints=torch.arange(3.0).repeat_interleave(6).reshape(3, 2, 3),
    )


@pytest.mark.parametrize(
    ("index", "kept"),
    [
        (torch.tensor([2, 0]), [2, 0]),
        (torch.tensor([True, False, True]), [0, 2]),
        (slice(1, None), [1, 2]),
        (torch.zeros(3, dtype=torch.bool), []),
    ],
)
def test_everything_of_the_chosen_objects_is_chosen(index, kept):
    chosen = three()[index]
    assert (len(chosen), chosen.size) == (len(kept), SIZE)
    assert chosen.boxes[:, 0].tolist() == [4.0 * i for i in kept]
    assert chosen.labels.tolist() == [5 + i for i in kept]
    torch.testing.assert_close(chosen.scores, torch.tensor([0.9, 0.8, 0.7])[kept])
    assert [chosen.masks.crop(i).bitmap.sum() for i in range(len(kept))] == [i + 1 for i in kept]
    assert chosen.keypoints.shape == (len(kept), 2, 3)
    assert chosen.keypoints[:, 0, 0].tolist() == kept
    assert chosen.crowd is None


def test_choosing_leaves_the_original_as_it_was():
    objects = three()
    objects[:1]
    assert len(objects) == len(objects.masks) == 3


def test_everything_moves_to_a_device():
    moved = three().to("meta")
    assert {moved.boxes.device.type, moved.labels.device.type, moved.scores.device.type} == {"meta"}
    assert moved.keypoints.device.type == "meta"
    assert (moved.masks.pixels.device.type, moved.masks.windows.device.type) == ("meta", "cpu")
    assert moved.crowd is None


def test_a_picture_without_objects_is_legal():
    none = Instances(size=SIZE, boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64))
    assert len(none) == len(none.to("cpu")) == len(none[torch.zeros(0, dtype=torch.int64)]) == 0


def test_what_belongs_to_the_whole_picture_moves_with_it_but_not_with_a_selection():
    segments = Panoptic(torch.zeros(SIZE, dtype=torch.int32), [])
    found = replace(three(), panoptic=segments)
    assert found[:2].panoptic is None
    assert found.to("meta").panoptic.map.device.type == "meta"
