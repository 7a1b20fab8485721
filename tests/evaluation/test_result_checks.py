import copy
import math

import numpy as np
import pytest
from pycocotools import mask as oracle

from maskrcnn.errors import DataError
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.results import Results, all_sound

MASK = {"size": [6, 8], "counts": oracle.encode(np.asfortranarray(np.eye(6, 8, dtype=np.uint8)))["counts"].decode()}
RECORD = {"image_id": 5, "category_id": 17, "score": 0.5, "bbox": [1, 2, 3, 4], "segmentation": MASK}
TRUTH = {
    "images": [{"id": 5, "height": 6, "width": 8}, {"id": 6, "height": 8, "width": 6}],
    "categories": [{"id": 17, "name": "cat"}],
    "annotations": [],
}
PEOPLE = {**TRUTH, "categories": [{"id": 17, "name": "cat", "keypoints": ["nose", "tail"], "sigmas": [0.1, 0.1]}]}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"score": 0},
        {"score": 1.0},
        {"bbox": None},
        {"segmentation": None},
        {"bbox": [1, 2.5, 0, 0]},
        {"keypoints": [1, 2, 3, 4, 5, 6.5], "bbox": None, "segmentation": None},
    ],
)
def test_sound_predictions_are_seen_at_once(change):
    truth = Annotations.parse(PEOPLE)
    assert all_sound([RECORD, RECORD | change], truth)
    assert len(Results.parse([RECORD, RECORD | change], truth)) == 2


UNSOUND = [
    ({"image_id": 7}, "image_id 7 is not among the 2 images"),
    ({"image_id": [5]}, r"image_id \[5\] is not among"),
    ({"image_id": "5"}, "image_id '5' is not among"),
    ({"category_id": None}, r"category_id None is not one of \[17\]"),
    ({"category_id": {}}, r"category_id \{\} is not one of"),
    ({"score": math.nan}, "score nan must be a number from 0 to 1"),
    ({"score": -0.1}, "score -0.1 must be a number from 0 to 1"),
    ({"score": 1.0001}, "score 1.0001 must be a number from 0 to 1"),
    ({"score": math.inf}, "score inf must be"),
    ({"score": 10**400}, "score 1000"),
    ({"score": "0.5"}, "score '0.5' must be"),
    ({"score": None}, "score None must be"),
    ({"score": True}, "score True must be"),
    ({"bbox": [1, 2, -3, 4]}, "bbox .* no negative side"),
    ({"bbox": [1, math.nan, 3, 4]}, "bbox .* must be 4 finite numbers"),
    ({"bbox": [1, 2, 3, 10**400]}, "bbox .* must be 4 finite numbers"),
    ({"bbox": [1, 2, 3]}, "bbox .* must be 4"),
    ({"bbox": [1, 2, 3, "4"]}, "bbox .* must be 4"),
    ({"bbox": "1234"}, "bbox '1234' must be 4"),
    ({"bbox": 3}, "bbox 3 must be 4"),
    ({"segmentation": {**MASK, "size": [8, 6]}}, r"its mask is of size \[8, 6\], .* \[6, 8\]"),
    ({"image_id": 6}, r"its mask is of size \[6, 8\]"),
    ({"segmentation": {"size": [6, 8], "counts": "`2"}}, "RLE cannot be used: the runs add up to"),
    ({"segmentation": {"size": [6, 8], "counts": MASK["counts"][:-2]}}, "RLE cannot be used"),
    ({"segmentation": {"size": [6, 8]}}, "RLE cannot be used"),
    ({"segmentation": {"size": [6, 8], "counts": [40, 9]}}, "the runs add up to 49 pixels, the image has 6 x 8"),
    ({"segmentation": {"counts": "abc"}}, "its mask is of size None"),
    ({"segmentation": [[1, 2, 3]]}, "must hold polygons of at least 3 points"),
    ({"segmentation": "mask"}, "must be polygons or RLE"),
    ({"keypoints": [1, 2, 3]}, "keypoints .* must be 6 finite numbers"),
    ({"keypoints": [1, 2, 3, 4, 5, math.nan]}, "keypoints .* must be 6 finite numbers"),
    ({"keypoints": "aaaaaa"}, "keypoints 'aaaaaa' must be 6"),
    ({"bbox": None, "segmentation": None}, "neither a bbox nor a segmentation nor keypoints"),
]


@pytest.mark.parametrize(("change", "problem"), UNSOUND)
def test_no_unsound_prediction_passes_and_the_slow_look_says_why(change, problem):
    truth = Annotations.parse(PEOPLE)
    records = [RECORD, RECORD | change, RECORD]
    before = copy.deepcopy(records)
    if all_sound(records, truth):
        pytest.fail("taken for sound")
    with pytest.raises(
        DataError, match=rf"results: record 1: .*{problem}.*Make the predictions again, for the images of"
    ):
        Results.parse(records, truth)
    assert str(records) == str(before)


@pytest.mark.parametrize("record", [7, None, "text", [], ["image_id"]])
def test_what_is_no_record_is_named(record):
    truth = Annotations.parse(TRUTH)
    assert not all_sound([record], truth)
    with pytest.raises(DataError, match="results: record 1: .* lacks image_id, category_id or score"):
        Results.parse([RECORD, record], truth)


def test_the_first_of_many_is_named_by_its_place_in_the_file():
    records = [RECORD] * 2345 + [RECORD | {"score": 2}, RECORD | {"score": 3}]
    with pytest.raises(DataError, match="record 2345: score 2 must be"):
        Results.parse(records, Annotations.parse(TRUTH))


def test_no_predictions_are_sound():
    assert all_sound([], Annotations.parse(TRUTH))
    assert Results.parse([], Annotations.parse(TRUTH)) == []
