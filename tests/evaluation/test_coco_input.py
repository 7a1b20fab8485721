import copy

import numpy as np
import pytest
from pycocotools import mask as oracle

from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.coco_input import as_dataset, field_of, found_objects, truth_objects

TRUTH = Annotations.parse(
    {
        "images": [{"id": 5, "height": 30, "width": 40}],
        "categories": [{"id": 17, "name": "cat", "keypoints": ["nose", "tail"], "sigmas": [0.1, 0.1]}],
        "annotations": [
            {"id": 0, "image_id": 5, "category_id": 17, "segmentation": [[2, 2, 12, 2, 12, 7, 2, 7]]},
            {"id": 9, "image_id": 5, "category_id": 17, "bbox": [0, 0, 4, 5], "area": 11, "iscrowd": 1},
        ],
    }
)
MASK = np.zeros((30, 40), dtype=np.uint8)
MASK[3:9, 4:14] = 1
RECORD = {"image_id": 5, "category_id": 17, "score": 0.5}


def test_objects_are_copies_with_new_ids_and_what_is_compared():
    boxes, masks = truth_objects(TRUTH, "bbox"), truth_objects(TRUTH, "segm")
    assert [found["id"] for found in boxes] == [1, 2]
    assert (boxes[0]["bbox"], boxes[0]["area"], boxes[1]["area"], boxes[1]["iscrowd"]) == ([2, 2, 10, 5], 50, 11, 1)
    assert [int(oracle.area(found["rle"])) for found in masks] == [50, 20]
    boxes[0]["area"] = 0
    assert truth_objects(TRUTH, "bbox")[0]["area"] == 50


def test_predictions_take_their_size_from_what_is_compared():
    text = {"size": [30, 40], "counts": oracle.encode(np.asfortranarray(MASK))["counts"].decode()}
    keypoints = [1, 2, 1, 4, 8, 1]
    record = {**RECORD, "bbox": [1, 2, 3, 4.5], "segmentation": text, "keypoints": keypoints}
    before = copy.deepcopy(record)
    box, mask, points = (found_objects(TRUTH, [record], kind)[0] for kind in ("bbox", "segm", "keypoints"))
    assert (box["area"], mask["area"], points["area"], points["bbox"]) == (13.5, 60, 18, [1, 2, 3, 6])
    assert (box["id"], box["score"]) == (1, 0.5)
    assert "rle" not in box
    assert record == before


def test_boundaries_come_beside_masks():
    text = {"size": [30, 40], "counts": oracle.encode(np.asfortranarray(MASK))["counts"].decode()}
    found = found_objects(TRUTH, [{**RECORD, "segmentation": text}], "boundary")[0]
    assert (int(oracle.area(found["rle"])), int(oracle.area(found["boundary"]))) == (60, 60 - 4 * 8)  # 1 px wide
    assert "boundary" in truth_objects(TRUTH, "boundary")[0]


@pytest.mark.parametrize("kind", ["bbox", "segm", "boundary", "keypoints"])
def test_nothing_found_is_legal(kind):
    assert found_objects(TRUTH, [], kind) == []
    assert as_dataset(TRUTH, []).dataset["annotations"] == []


def test_boundaries_are_of_the_same_field_as_masks():
    assert [field_of(kind) for kind in ("bbox", "segm", "boundary", "keypoints")] == [
        "bbox",
        "segmentation",
        "segmentation",
        "keypoints",
    ]
