import json
import math

import numpy as np
import pytest
from pycocotools import mask as oracle

from maskrcnn.errors import DataError
from maskrcnn.evaluation.annotations import Annotations, rle

IMAGES = [{"id": 5, "height": 10, "width": 20}]
CLASSES = [{"id": 2, "name": "cell"}]
BOX = {"id": 9, "image_id": 5, "category_id": 2, "bbox": [1, 2, 3, 4]}
SQUARE = [[1, 1, 3, 1, 3, 3, 1, 3]]


def data_set(*objects: dict) -> dict:
    return {"images": IMAGES, "categories": CLASSES, "annotations": list(objects)}


def test_a_missing_area_is_that_of_the_mask_or_else_of_the_box():
    triangle = BOX | {"segmentation": {"size": [10, 20], "counts": [22, 3, 175]}}
    complete = Annotations.parse(data_set(BOX, triangle, BOX | {"area": 7.5})).complete
    assert [found["area"] for found in complete] == [12, 3, 7.5]
    assert [found["id"] for found in complete] == [1, 2, 3]
    assert [found["iscrowd"] for found in complete] == [0, 0, 0]


BLOCK = {"size": [10, 20], "counts": [22, 3, 7, 3, 165]}  # 2 columns of 3 pixels
RIGHT_TRIANGLE = [[0, 0, 16, 0, 16, 8]]


@pytest.mark.parametrize(
    ("changes", "area", "remarked"),
    [
        pytest.param({"area": 0}, 12, "0", id="0"),
        pytest.param({"area": -3}, 12, "-3", id="negative"),
        pytest.param({"area": math.nan}, 12, "nan", id="NaN"),
        pytest.param({"area": math.inf}, 12, "inf", id="infinite"),
        pytest.param({"area": True}, 12, "True", id="bool"),
        pytest.param({"area": "12"}, 12, "'12'", id="text"),
        pytest.param({"area": 10**400}, 12, "1000", id="more than a float holds"),
        pytest.param({"area": 31}, 31, None, id="larger than the box, as some official files have it"),
        pytest.param({"area": None}, 12, None, id="null"),
        pytest.param({"area": 0, "segmentation": BLOCK}, 6, "0", id="0 beside a mask"),
        pytest.param({"area": 64.0, "bbox": [0, 0, 16, 8], "segmentation": RIGHT_TRIANGLE}, 64, None, id="of polygons"),
        pytest.param({"area": 150, "bbox": [0, 0, 20, 10]}, 150, None, id="part of the box"),
    ],
)
def test_an_area_that_cannot_be_right_is_measured_and_named(changes, area, remarked):
    truth = Annotations.parse(data_set(BOX, BOX | changes | {"id": 77}))
    assert truth.complete[1]["area"] == area
    assert len(truth.remarks) == (remarked is not None)
    if remarked is not None:
        assert all(words in truth.remarks[0] for words in ("annotation 77", "`area`", remarked, f" {area}"))


def test_a_missing_box_is_that_of_the_mask():
    outlined = {**BOX, "segmentation": {"size": [10, 20], "counts": [22, 3, 175]}}
    del outlined["bbox"]
    assert Annotations.parse(data_set(outlined)).complete[0]["bbox"] == [2, 2, 1, 3]


def test_a_file_gives_its_name_to_messages(tmp_path):
    (tmp_path / "val.json").write_text(json.dumps(data_set(BOX)))
    assert Annotations.read(tmp_path / "val.json").source == "val.json"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"image_id": 6}, "annotation 9: image_id 6"),
        ({"category_id": 3}, "annotation 9: category_id 3"),
        ({"bbox": [1, 2, 3, float("nan")]}, r"annotation 9 of image 5: bbox \[1, 2, 3, nan\]"),
        ({"bbox": [1, 2, 3]}, r"bbox \[1, 2, 3\] .*4"),
        ({"bbox": [1, 2, -3, 4]}, r"bbox \[1, 2, -3, 4\]"),
        ({"bbox": "1234"}, "bbox '1234'"),
        ({"bbox": 4}, "bbox 4"),
        ({"bbox": None}, "bbox.*segmentation"),
        ({"segmentation": {"size": [20, 10], "counts": [200]}}, r"annotation 9 .*\[20, 10\]"),
    ],
)
def test_an_unusable_annotation_is_named_with_the_rule(change, problem):
    with pytest.raises(DataError, match=problem):
        assert Annotations.parse(data_set(BOX | change)).complete


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"images": [', "val.json"),
        ("[]", "val.json.*list"),
        ('{"images": [], "annotations": []}', "val.json.*'categories'"),
        ('{"images": [{"id": 1}], "annotations": [], "categories": []}', "val.json.*'height'"),
        ('{"images": [7], "annotations": [], "categories": []}', "val.json"),
        ('{"images": [], "annotations": [{"image_id": [], "category_id": 1}], "categories": []}', "val.json"),
        (
            '{"images": [{"id": 1, "height": null, "width": 5}], "annotations": [], "categories": []}',
            "image 1: height None and width 5",
        ),
        ("", "val.json"),
    ],
)
def test_a_broken_file_is_named_with_the_rule(text, problem, tmp_path):
    (tmp_path / "val.json").write_text(text)
    with pytest.raises(DataError, match=problem):
        Annotations.read(tmp_path / "val.json")


def test_polygons_and_both_kinds_of_rle_give_the_same():
    compressed = oracle.merge(oracle.frPyObjects(SQUARE, 4, 5))
    plain = {"size": [4, 5], "counts": [5, 2, 2, 2, 9]}  # columns of 4 pixels; rows 1 and 2 of columns 1 and 2
    assert rle(SQUARE, (4, 5)) == rle(plain, (4, 5)) == rle(compressed, (4, 5)) == compressed
    text = {"size": [4, 5], "counts": compressed["counts"].decode()}
    assert np.array_equal(oracle.decode(rle(text, (4, 5))), oracle.decode(compressed))


@pytest.mark.parametrize(
    ("segmentation", "problem"),
    [
        ({"size": [5, 4], "counts": [20]}, r"\[5, 4\].*\[4, 5\]"),
        ({"counts": [20]}, "size None"),
        ({"size": [4, 5], "counts": [3, 2]}, "RLE.* 5 .*4 x 5"),
        ({"size": [4, 5], "counts": "3"}, "RLE.* 3 "),
        ({"size": [4, 5], "counts": "zzz!"}, "RLE"),
        ({"size": [4, 5], "counts": [22, -2]}, "RLE"),
        ({"size": [4, 5], "counts": ["a"]}, "RLE"),
        ({"size": [4, 5]}, "RLE"),
        ([[1, 1, 2, 2]], "polygons"),
        ([[1, 1, 2, 2, 3, float("nan")]], "polygons"),
        ([], "polygons"),
        (["abcdefgh"], "polygons"),
        (7, "segmentation is 7"),
    ],
)
def test_what_is_no_mask_of_the_image_is_refused_with_the_reason(segmentation, problem):
    with pytest.raises(ValueError, match=problem):
        rle(segmentation, (4, 5))
