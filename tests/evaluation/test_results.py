import copy
import json
import math

import numpy as np
import pytest
import torch
from pycocotools import mask as oracle

from maskrcnn.errors import DataError
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.results import Results, all_valid, read_records, to_results
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.masks import Crop, MaskCrops
from tests.builders.scoring import coco

CLASSES = Classes(("cat", "dog"), (17, 90))
TRUTH = Annotations.parse(coco(size=(10, 20), images=(5,), classes={17: "cat", 90: "dog"}))
RECORD = {"image_id": 5, "category_id": 17, "score": 0.5, "bbox": [1, 2, 3, 4]}
MASK = {"size": [6, 8], "counts": oracle.encode(np.asfortranarray(np.eye(6, 8, dtype=np.uint8)))["counts"].decode()}
WHOLE = {"image_id": 5, "category_id": 17, "score": 0.5, "bbox": [1, 2, 3, 4], "segmentation": MASK}
TWO_IMAGES = {
    "images": [{"id": 5, "height": 6, "width": 8}, {"id": 6, "height": 8, "width": 6}],
    "categories": [{"id": 17, "name": "cat"}],
    "annotations": [],
}
PEOPLE = {**TWO_IMAGES, "categories": [{"id": 17, "name": "cat", "keypoints": ["nose", "tail"], "sigmas": [0.1, 0.1]}]}


def two_objects() -> Instances:
    crops = [Crop(1, 2, np.ones((4, 3), dtype=bool)), Crop(0, 0, np.zeros((0, 0), dtype=bool))]
    return Instances(
        size=(10, 20),
        boxes=torch.tensor([[1.0, 2, 4, 6], [0.25, 0, 10, 10]]),
        labels=torch.tensor([1, 0]),
        scores=torch.tensor([0.75, 0.5]),
        masks=MaskCrops.of(crops, (10, 20)),
    )


def test_records_hold_category_ids_and_x_y_width_height():
    first, second = to_results(two_objects(), 5, CLASSES)
    assert (first["image_id"], first["category_id"], first["score"], first["bbox"]) == (5, 90, 0.75, [1, 2, 3, 4])
    assert (second["category_id"], second["bbox"]) == (17, [0.25, 0, 9.75, 10])
    assert oracle.toBbox(first["segmentation"]).tolist() == [1, 2, 3, 4]
    assert oracle.area(second["segmentation"]) == 0


def test_no_objects_give_no_records_and_no_masks_give_boxes_only():
    instances = two_objects()
    assert to_results(instances[:0], 5, CLASSES) == []
    instances.masks = None
    assert list(to_results(instances, 5, CLASSES)[0]) == ["image_id", "category_id", "score", "bbox"]


def test_keypoints_are_counted_in_whole_pixels_as_in_cocos_files():
    instances = two_objects()
    instances.keypoints = torch.tensor([[[0.5, 2.0, 7.25]], [[3.0, 4.5, -1.0]]])
    first, second = to_results(instances, 5, CLASSES)
    assert first["keypoints"] == [0, 1.5, 7.25]
    assert second["keypoints"] == [2.5, 4, -1]
    assert Results((first,)).of_type("keypoints") == [
        {"image_id": 5, "category_id": 90, "score": 0.75, "keypoints": [0, 1.5, 7.25]}
    ]


def test_annotations_are_no_predictions():
    instances = two_objects()
    instances.scores = None
    with pytest.raises(ValueError, match="need scores"):
        to_results(instances, 5, CLASSES)


def test_a_list_for_one_evaluation_has_only_its_field():
    records = [*to_results(two_objects(), 5, CLASSES), RECORD]
    assert [sorted(record) for record in Results(tuple(records)).of_type("segm")] == 2 * [
        ["category_id", "image_id", "score", "segmentation"]
    ]
    assert len(Results(tuple(records)).of_type("bbox")) == 3
    assert "segmentation" not in Results(tuple(records)).of_type("bbox")[0]


def test_a_file_gives_back_what_was_written(tmp_path):
    records = to_results(two_objects(), 5, CLASSES)
    Results(tuple(records)).write(tmp_path / "new" / "results.json")
    assert read_records(tmp_path / "new" / "results.json") == records
    Results(tuple(records)).write(tmp_path / "segm.json", "segm")
    assert read_records(tmp_path / "segm.json") == Results(tuple(records)).of_type("segm")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "results.json"
    Results((RECORD,)).write(path)
    with pytest.raises(TypeError):
        Results((RECORD, {"score": torch.ones(1)})).write(path)
    assert read_records(path) == [RECORD]
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_gives_its_name_to_messages(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps([RECORD, RECORD | {"image_id": 6}]))
    with pytest.raises(DataError, match="results.json: record 1: image_id 6 "):
        Results.read(tmp_path / "results.json", TRUTH)


def test_many_categories_are_counted_in_a_message_and_not_cut_off():
    many = Annotations.parse(coco(size=(10, 20), images=(5,), classes={n: str(n) for n in range(1, 81)}))
    with pytest.raises(DataError, match=r"category_id 99 .* 80 categories\."):
        Results.parse([RECORD | {"category_id": 99}], many)


@pytest.mark.parametrize("text", ["", '[{"image_id"', "{}"])
def test_a_broken_file_is_named(text, tmp_path):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(DataError, match="results.json"):
        read_records(tmp_path / "results.json")


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
def test_valid_predictions_pass_at_once(change):
    truth = Annotations.parse(PEOPLE)
    assert all_valid([WHOLE, WHOLE | change], truth)
    assert len(Results.parse([WHOLE, WHOLE | change], truth)) == 2


INVALID = [
    ({"image_id": 7}, "image_id 7 "),
    ({"image_id": [5]}, r"image_id \[5\] "),
    ({"image_id": "5a"}, "image_id '5a' "),
    ({"category_id": None}, r"category_id None .*\[17\]"),
    ({"category_id": {}}, r"category_id \{\} "),
    ({"score": math.nan}, "score nan "),
    ({"score": -0.1}, "score -0.1 "),
    ({"score": 1.0001}, "score 1.0001 "),
    ({"score": math.inf}, "score inf "),
    ({"score": 10**400}, "score 1000"),
    ({"score": "0.5"}, "score '0.5' "),
    ({"score": None}, "score None "),
    ({"score": True}, "score True "),
    ({"bbox": [1, 2, -3, 4]}, r"bbox \[1, 2, -3, 4\] "),
    ({"bbox": [1, math.nan, 3, 4]}, "bbox .*nan"),
    ({"bbox": [1, 2, 3, 10**400]}, "bbox .*1000"),
    ({"bbox": [1, 2, 3]}, r"bbox \[1, 2, 3\] .*4"),
    ({"bbox": [1, 2, 3, "4"]}, "bbox .*'4'"),
    ({"bbox": "1234"}, "bbox '1234' "),
    ({"bbox": 3}, "bbox 3 "),
    ({"segmentation": {**MASK, "size": [8, 6]}}, r"\[8, 6\].*\[6, 8\]"),
    ({"image_id": 6}, r"\[6, 8\].*\[8, 6\]"),
    ({"segmentation": {"size": [6, 8], "counts": "`2"}}, "RLE"),
    ({"segmentation": {"size": [6, 8], "counts": MASK["counts"][:-2]}}, "RLE"),
    ({"segmentation": {"size": [6, 8]}}, "RLE"),
    ({"segmentation": {"size": [6, 8], "counts": [40, 9]}}, "RLE.* 49 .*6 x 8"),
    ({"segmentation": {"counts": "abc"}}, "None"),
    ({"segmentation": [[1, 2, 3]]}, r"\[\[1, 2, 3\]\].* 3 points"),
    ({"segmentation": 7}, "segmentation is 7"),
    ({"segmentation": "mask"}, "'mask'"),
    ({"keypoints": [1, 2, 3]}, r"keypoints \[1, 2, 3\] .*6"),
    ({"keypoints": [1, 2, 3, 4, 5, math.nan]}, "keypoints .*nan"),
    ({"keypoints": [1, 2, 3, 4, 5, 10**400]}, "keypoints .*finite"),
    ({"keypoints": "aaaaaa"}, "keypoints 'aaaaaa' "),
    ({"bbox": None, "segmentation": None}, "bbox.*segmentation.*keypoints"),
]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_results_are_read_in_any_unicode(tmp_path, encoding):
    truth = Annotations.parse(
        {"images": [{"id": 1, "height": 9, "width": 9}], "categories": [{"id": 1, "name": "猫"}], "annotations": []}
    )
    records = [{"image_id": "1", "category_id": 1.0, "score": 0.5, "bbox": [1, 2, 3, 4], "note": "猫"}]
    (tmp_path / "results.json").write_text(json.dumps(records, ensure_ascii=False), encoding=encoding)
    assert list(Results.read(tmp_path / "results.json", truth)) == [{**records[0], "image_id": 1, "category_id": 1}]


@pytest.mark.parametrize(("change", "problem"), INVALID)
def test_no_invalid_prediction_passes_and_the_message_says_why(change, problem):
    truth = Annotations.parse(PEOPLE)
    records = [WHOLE, WHOLE | change, WHOLE]
    before = copy.deepcopy(records)
    if all_valid(records, truth):
        pytest.fail("taken for valid")
    with pytest.raises(DataError, match=f"results: record 1: .*{problem}.*annotations"):
        Results.parse(records, truth)
    assert str(records) == str(before)


@pytest.mark.parametrize("record", [7, None, "text", [], ["image_id"], {"image_id": 5}])
def test_what_is_no_record_is_named(record):
    truth = Annotations.parse(TWO_IMAGES)
    assert not all_valid([record], truth)
    with pytest.raises(DataError, match="results: record 1: .*category_id"):
        Results.parse([WHOLE, record], truth)


def test_the_first_of_many_is_named_by_its_place_in_the_file():
    records = [WHOLE] * 2345 + [WHOLE | {"score": 2}, WHOLE | {"score": 3}]
    with pytest.raises(DataError, match="record 2345: score 2"):
        Results.parse(records, Annotations.parse(TWO_IMAGES))


def test_no_predictions_are_valid():
    assert all_valid([], Annotations.parse(TWO_IMAGES))
    assert Results.parse([], Annotations.parse(TWO_IMAGES)) == []
