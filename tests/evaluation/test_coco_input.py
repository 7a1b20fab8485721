import copy
import math

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_mask
from pycocotools import mask as oracle

from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.coco_input import (
    as_dataset,
    boundary_of,
    boundary_width,
    field_of,
    found_objects,
    truth_objects,
)

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
    box, mask, points = (found_objects(TRUTH, [record], iou_type)[0] for iou_type in ("bbox", "segm", "keypoints"))
    assert (box["area"], mask["area"], points["area"], points["bbox"]) == (13.5, 60, 18, [1, 2, 3, 6])
    assert (box["id"], box["score"]) == (1, 0.5)
    assert "rle" not in box
    assert record == before


def test_boundaries_come_beside_masks():
    text = {"size": [30, 40], "counts": oracle.encode(np.asfortranarray(MASK))["counts"].decode()}
    found = found_objects(TRUTH, [{**RECORD, "segmentation": text}], "boundary")[0]
    assert (int(oracle.area(found["rle"])), int(oracle.area(found["boundary"]))) == (60, 60 - 4 * 8)  # 1 px wide
    assert "boundary" in truth_objects(TRUTH, "boundary")[0]


@pytest.mark.parametrize("iou_type", ["bbox", "segm", "boundary", "keypoints"])
def test_nothing_found_is_legal(iou_type):
    assert found_objects(TRUTH, [], iou_type) == []
    assert as_dataset(TRUTH, []).dataset["annotations"] == []


def test_boundaries_are_of_the_same_field_as_masks():
    assert [field_of(iou_type) for iou_type in ("bbox", "segm", "boundary", "keypoints")] == [
        "bbox",
        "segmentation",
        "segmentation",
        "keypoints",
    ]


def slow_boundary(mask: np.ndarray) -> np.ndarray:
    """Every pixel's square of neighbors is looked at; outside the image there is no object."""
    height, width = mask.shape
    reach = max(1, round(0.02 * math.sqrt(height**2 + width**2)))
    around = np.pad(mask.astype(bool), reach)
    inside = np.ones(mask.shape, dtype=bool)
    for dy in range(2 * reach + 1):
        for dx in range(2 * reach + 1):
            inside &= around[dy : dy + height, dx : dx + width]
    return mask.astype(bool) & ~inside


def some_masks(size: tuple[int, int]) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    blocks = np.zeros(size, dtype=np.uint8)
    for _ in range(3):
        y, x = random.integers(0, size[0]), random.integers(0, size[1])
        blocks[y : y + size[0] // 2 + 1, x : x + size[1] // 2 + 1] = 1
    return [blocks, (random.random(size) > 0.02).astype(np.uint8), np.ones(size, np.uint8), np.zeros(size, np.uint8)]


@pytest.mark.parametrize("size", [(45, 60), (60, 45), (7, 9), (1, 1), (105, 140), (120, 90), (224, 207)])
def test_boundaries_are_those_of_the_reference(size):
    for mask in some_masks(size):
        rle = coco_mask.encode(np.asfortranarray(mask))
        for given in (rle, {**rle, "counts": rle["counts"].decode()}):
            found = coco_mask.decode(boundary_of(given, size))
            assert np.array_equal(found.astype(bool), slow_boundary(mask))


def test_a_full_image_has_a_frame_as_boundary():
    rle = coco_mask.encode(np.asfortranarray(np.ones((30, 40), dtype=np.uint8)))  # a diagonal of 50 px: 1 px wide
    assert coco_mask.area(boundary_of(rle, (30, 40))) == 30 * 40 - 28 * 38


@pytest.mark.parametrize(
    ("size", "width"), [((45, 60), 2), ((75, 100), 2), ((480, 640), 16), ((3, 4), 1), ((360, 640), 15)]
)
def test_widths_are_two_percent_of_the_diagonal_and_halves_go_to_the_even_number(size, width):
    assert boundary_width(size) == width  # 1.5, 2.5, 16.0, 0.1, 14.7
