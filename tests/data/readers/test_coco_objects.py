import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as oracle

from maskrcnn.data.readers.coco import read_coco
from maskrcnn.data.readers.coco_objects import (
    box_polygon,
    is_id,
    is_number,
    read_keypoint_schema,
    read_keypoints,
    read_object,
)
from maskrcnn.errors import DataError
from maskrcnn.structures.classes import COCO_PERSON, keypoint_schema_of
from maskrcnn.structures.rle import counts_from_text, crop_from_counts

SIZE = (50, 60)
LABELS = {3: 0, 7: 1}
TRIANGLE = [10, 10, 30, 10, 10, 40]


def read(**changes):
    one = {"category_id": 7, "bbox": [10, 20, 30, 25], "segmentation": [TRIANGLE], "iscrowd": 0}
    return read_object({key: value for key, value in (one | changes).items() if value != "left out"}, SIZE, LABELS)


def test_a_box_of_sides_becomes_one_of_corners():
    assert read().box == (10, 20, 40, 45)
    assert (read().label, read().crowd) == (1, False)
    assert read(iscrowd=1).crowd is True


def test_polygons_are_kept_as_points():
    (points,) = read().source
    assert points.tolist() == [[10, 10], [30, 10], [10, 40]]


def test_without_a_box_it_is_the_polygons_own():
    assert read(bbox="left out").box == (10, 10, 30, 40)
    assert read(bbox=None, segmentation=[TRIANGLE, [1, 2, 3, 4, 5, 6]]).box == (1, 2, 30, 40)


@pytest.mark.parametrize("compressed", [True, False])
def test_rle_of_both_kinds_are_the_same_pixels(compressed):
    bitmap = np.zeros(SIZE, dtype=np.uint8)
    bitmap[5:9, 20:22] = 1
    text = oracle.encode(np.asfortranarray(bitmap))["counts"].decode()
    counts = text if compressed else [20 * 50 + 5, 4, 46, 4, 50 * 60 - 20 * 50 - 59]
    found = read(bbox=None, segmentation={"size": list(SIZE), "counts": counts})
    assert found.box == (20, 5, 22, 9)
    x, y, pixels = crop_from_counts(counts_from_text(found.source), SIZE)
    assert (x, y, pixels.shape, pixels.all()) == (20, 5, (4, 2), True)


@pytest.mark.parametrize("segmentation", ["left out", None, []])
def test_an_object_may_have_only_a_box(segmentation):
    assert read(segmentation=segmentation).source is None
    (polygon,) = box_polygon((1, 2, 3, 4))
    assert polygon.tolist() == [[1, 2], [3, 2], [3, 4], [1, 4]]


def test_a_box_is_cut_at_the_image():
    assert read(bbox=[-5, -6, 100, 100]).box == (0, 0, 60, 50)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bbox": None, "segmentation": None}, "neither `bbox` nor `segmentation`"),
        ({"bbox": [40, 30, 0, 12]}, r"box \[40, 30, 0, 12\] is 0 px wide, but both sides must be above 0"),
        ({"bbox": [40, 30, 5, -2]}, "is -2 px high"),
        ({"bbox": [40, 30, 5]}, "not four finite numbers"),
        ({"bbox": [math.nan, 30, 5, 5]}, "not four finite numbers"),
        ({"bbox": [True, 30, 5, 5]}, "not four finite numbers"),
        ({"bbox": [60, 10, 5, 5]}, "lies outside its image, which is 60 px wide and 50 px high"),
        ({"category_id": 6}, r"`category_id` is 6, but no category of the file has this id \(nearest: 7\)"),
        ({"category_id": "cat"}, "`category_id` is 'cat', but no category of the file has this id$"),
        ({"iscrowd": 2}, "`iscrowd` is 2, but must be 0 or 1"),
        ({"segmentation": "x"}, "is a str, but must be polygons or RLE"),
        ({"segmentation": TRIANGLE}, "must be a list of polygons"),
        ({"segmentation": [[1, 2, 3, 4]]}, "has 4 numbers, but it needs x and y of at least 3 points"),
        ({"segmentation": [[1, 2, 3, 4, 5, "y"]]}, "something that is not a number"),
        ({"segmentation": [[1, 2, 3, 4, 5, math.inf]]}, "reaches to inf, but points must be finite"),
        ({"segmentation": [[1, 2, 3, 4, 5, 900]]}, "reaches to 900"),
        ({"segmentation": {"size": [60, 50], "counts": "0"}}, r"are of size \[60, 50\], but its image is \[50, 60\]"),
        ({"segmentation": {"size": [50, 60], "counts": [5, 5]}}, "the runs add up to 10 pixels"),
        ({"segmentation": {"size": [50, 60], "counts": [3000]}}, "have no pixel"),
        ({"segmentation": {"size": [50, 60], "counts": [1.5]}}, "a list of whole numbers"),
        ({"segmentation": {"size": [50, 60], "counts": None}}, "a list of whole numbers"),
    ],
)
def test_what_is_wrong_and_the_rule_it_breaks(changes, message):
    with pytest.raises(ValueError, match=message):
        read(**changes)


def test_numbers_of_json():
    assert [is_number(value) for value in (1, 1.5, True, "1", None, math.nan, math.inf)] == [True, True] + [False] * 5
    assert [is_id(value) for value in (1, 1.0, True, "1", None)] == [True] + [False] * 4


OWL = {"id": 1, "name": "owl", "keypoints": ["left_eye", "right_eye", "beak"], "skeleton": [[1, 2], [2, 3]]}
SKELETON = keypoint_schema_of(OWL)


def test_a_keypoint_in_the_first_pixel_is_in_its_middle_and_one_that_is_not_annotated_is_nowhere():
    points = read_keypoints({"keypoints": [0, 9, 2, 3, 4, 0, 7.5, 1, 1]}, SKELETON)
    assert points.tolist() == [[0.5, 9.5, 2], [0, 0, 0], [8, 1.5, 1]]


@pytest.mark.parametrize("annotation", [{}, {"keypoints": None}, {"keypoints": []}])
def test_an_object_may_have_no_keypoints(annotation):
    assert not read_keypoints(annotation, SKELETON).any()


@pytest.mark.parametrize(
    ("keypoints", "message"),
    [
        ([1, 2, 2], r"`keypoints` has 3 numbers, but 3 keypoints need x, y and visibility each, 9"),
        ("nose", r"`keypoints` has no numbers, but"),
        ([1, 2, "a"] * 3, "not a number"),
        ([1, 2, float("nan")] * 3, "finite x and y, and a visibility of 0, 1 or 2"),
        ([1, 2, 3] * 3, "finite x and y, and a visibility of 0, 1 or 2"),
    ],
)
def test_keypoints_that_break_a_rule_are_described(keypoints, message):
    with pytest.raises(ValueError, match=message):
        read_keypoints({"keypoints": keypoints}, SKELETON)


def test_categories_without_keypoints_may_be_among_others():
    assert read_keypoint_schema(Path("a.json"), [{"id": 2, "name": "mouse"}, OWL]) == SKELETON
    assert read_keypoint_schema(Path("a.json"), [{"id": 2, "name": "mouse"}]) is None


def test_a_file_has_one_set_of_keypoints():
    person = {"id": 2, "name": "person"} | COCO_PERSON.described()
    with pytest.raises(DataError, match=r"a.json: .*owl, person.*keypoints"):
        read_keypoint_schema(Path("a.json"), [OWL, person])
    with pytest.raises(DataError, match=r"a.json: category 'owl': sigmas are \[1\.0\]"):
        read_keypoint_schema(Path("a.json"), [OWL | {"sigmas": [1.0]}])


def read_file(folder: Path, annotations: list[dict], categories: list[dict]):
    Image.new("RGB", (60, 50)).save(folder / "owl.jpg")
    contents = {"images": [{"id": 1, "file_name": "owl.jpg"}], "annotations": annotations, "categories": categories}
    (folder / "owls.json").write_text(json.dumps(contents))
    return read_coco(folder / "owls.json", folder)


def test_objects_of_a_file_have_their_keypoints_and_its_classes_their_skeleton(tmp_path):
    found = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 20], "keypoints": [3, 4, 2, 5, 6, 1, 0, 0, 0]}
    data = read_file(tmp_path, [found, {**found, "id": 2, "keypoints": []}], [OWL])
    assert data.classes.keypoint_schema == SKELETON
    assert data.records[0].instances.keypoints.tolist() == [[[3.5, 4.5, 2], [5.5, 6.5, 1], [0, 0, 0]], [[0, 0, 0]] * 3]
    assert read_file(tmp_path, [], [OWL]).records[0].instances.keypoints.shape == (0, 3, 3)
    assert read_file(tmp_path, [found], [{"id": 1, "name": "owl"}]).records[0].instances.keypoints is None


def test_a_wrong_annotation_is_named(tmp_path):
    found = {"id": 5, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 20], "keypoints": [3, 4]}
    with pytest.raises(DataError, match=r"owls.json: annotation 5 \(owl.jpg\): `keypoints` has 2"):
        read_file(tmp_path, [found], [OWL])
