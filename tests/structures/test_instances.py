import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from maskrcnn.draw.instances import draw_instances
from maskrcnn.errors import DataError, SettingError
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.masks import Crop, MaskCrops
from maskrcnn.structures.panoptic import Panoptic

SIZE = (10, 20)
NAMES = Classes(tuple("abcdefgh"), tuple(range(101, 109)))


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
        (torch.tensor(2), [2]),
        (1, [1]),
        (-1, [2]),
        (np.int64(1), [1]),
        ([2, 1], [2, 1]),
        ([True, False, False], [0]),
        (np.array([0, 0]), [0, 0]),
        ([], []),
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


def test_an_image_without_objects_is_legal():
    none = Instances(size=SIZE, boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64))
    assert len(none) == len(none.to("cpu")) == len(none[torch.zeros(0, dtype=torch.int64)]) == 0


def test_what_belongs_to_the_whole_image_moves_with_it_but_not_with_a_selection():
    segments = Panoptic(torch.zeros(SIZE, dtype=torch.int32), [])
    found = replace(three(), panoptic=segments)
    assert found[:2].panoptic is None
    assert found.to("meta").panoptic.map.device.type == "meta"


def test_objects_come_one_by_one_and_there_is_none_behind_the_last():
    assert [one.labels.tolist() for one in three()] == [[5], [6], [7]]
    assert [one.masks.bitmap(0).sum() for one in three()] == [1, 2, 3]
    with pytest.raises(IndexError, match="3"):
        three()[3]


def test_objects_are_filtered_by_score_and_by_label_or_name():
    found = replace(three(), classes=NAMES)
    assert found.filter(score=0.8).labels.tolist() == [5, 6]
    assert found.filter(labels=[7, "f"]).labels.tolist() == [5, 7]
    assert found.filter(score=0.8, labels=["h"]).labels.tolist() == []
    assert len(found.filter()) == len(replace(found, scores=None).filter(score=1)) == 3
    assert found.filter(labels=[]).classes is NAMES
    for one, words in ((found, "dog"), (three(), "classes")):
        with pytest.raises(ValueError, match=words):
            one.filter(labels=["dog"])


def test_a_short_text_says_what_there_is():
    assert (
        repr(three())
        == "Instances(3 in 10 x 20 px: 1 label 5, 1 label 6, 1 label 7; best score 0.90; with masks, keypoints)"
    )
    assert (
        repr(replace(three(), classes=NAMES, scores=None, masks=None)[[1, 1]])
        == "Instances(2 in 10 x 20 px: 2 g; with keypoints)"
    )
    assert repr(three()[:0]) == "Instances(0 in 10 x 20 px; with masks, keypoints)"


def test_coco_records_take_the_category_ids_of_the_classes_given_or_of_their_own():
    records = three().to_coco(9, NAMES)
    assert [(one["image_id"], one["category_id"]) for one in records] == [(9, 106), (9, 107), (9, 108)]
    assert [one["segmentation"] for one in records] == three().to_rle()
    assert replace(three(), classes=NAMES).to_coco(9) == records
    with pytest.raises(ValueError, match="classes"):
        three().to_coco()


def test_polygons_go_around_masks_or_else_boxes():
    masks, boxes = three().to_polygons(), replace(three(), masks=None).to_polygons()
    assert masks[2].max(axis=0).tolist() == [5, 1]
    assert boxes[1].tolist() == [[4, 5], [6, 5], [6, 7], [4, 7]]
    with pytest.raises(ValueError, match="masks"):
        replace(three(), masks=None).to_rle()


def test_supervision_gets_arrays(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(Detections=lambda **given: given))
    found = replace(three(), classes=NAMES).to_supervision()
    assert (found["xyxy"].dtype, found["xyxy"].shape) == (np.float32, (3, 4))
    assert found["mask"].sum(axis=(1, 2)).tolist() == [1, 2, 3]
    assert found["class_id"].tolist() == [5, 6, 7]
    assert found["data"]["class_name"].tolist() == ["f", "g", "h"]
    plain = replace(three()[:0], scores=None, masks=None).to_supervision()
    assert (plain["mask"], plain["confidence"], plain["xyxy"].shape) == (None, None, (0, 4))


def test_supervision_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(SettingError, match="pip install supervision"):
        three().to_supervision()


def test_objects_are_drawn_over_an_image_in_any_form():
    found = replace(three(), classes=NAMES)
    image = np.full((*SIZE, 3), 90, dtype=np.uint8)
    expected = draw_instances(torch.from_numpy(image).permute(2, 0, 1), found, NAMES, score_threshold=0.75, scale=2)
    assert (np.array(found.plot(image, score_threshold=0.75, scale=2)) == expected.permute(1, 2, 0).numpy()).all()
    assert found.plot(image[..., 0]).size == SIZE[::-1]
    with pytest.raises(ValueError, match="classes"):
        three().plot(image)
    with pytest.raises(DataError, match="float64"):
        found.plot(image / 255)


def test_wrong_values_are_refused_and_named():
    found = replace(three(), classes=NAMES)
    with pytest.raises(ValueError, match="70"):
        found.filter(score=70)
    with pytest.raises(ValueError, match="quads.*quad"):
        found.to_polygons("quads")
    with pytest.raises(ValueError, match="11 x 20.*10 x 20"):
        found.plot(np.zeros((11, 20, 3), dtype=np.uint8))
