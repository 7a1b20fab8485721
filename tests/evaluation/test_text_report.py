import numpy as np
import pytest

from maskrcnn.errors import DataError
from maskrcnn.evaluation.text_report import text_sections
from maskrcnn.structures.masks import Crop, encode_crop
from tests.builders.scoring import coco, parsed

SIZE = (60, 200)


def mask(left, right, top, bottom, shape=None):
    bitmap = np.ones((bottom - top, right - left), bool) if shape is None else shape
    return encode_crop(Crop(left, top, bitmap), SIZE)


def polygon(left, right, top, bottom):
    return [[left, top, right, top, right, bottom, left, bottom]]


def word(segmentation, **more):
    return {"id": 7, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "segmentation": segmentation, **more}


def found(segmentation, score=0.95, **more):
    return {"image_id": 1, "category_id": 1, "score": score, "segmentation": segmentation, **more}


def report(words, records, score_threshold=0.5):
    truth = parsed(coco(*words, size=SIZE, images=(1, 2)), records)
    sections = text_sections(*truth, score_threshold=score_threshold)
    return {section.name: section.numbers for section in sections}


def hmeans(words, records, **more):
    return [rule["hmean"] for name, rule in report(words, records, **more).items() if name != "mmocr_by_score"]


def test_masks_are_scored_by_the_three_rules():
    words = [word(polygon(10, 60, 10, 30)), word(polygon(100, 150, 10, 30)), word(mask(0, 200, 40, 60), iscrowd=1)]
    records = [found(mask(10, 60, 10, 30)), found(mask(20, 60, 45, 55), 0.4), found(mask(100, 130, 31, 39), 0.7)]
    scores = report(words, records)
    assert list(scores) == ["mmocr", "mmocr_by_score", "icdar2015", "ctw1500"]
    assert scores["mmocr"]["precision"] == 1  # from .7: from .3 to .6 the last text counts as well; .7 is below .7
    assert scores["mmocr_by_score"]["hmean at 0.3"] == pytest.approx(1 / 2)
    assert (scores["icdar2015"]["precision"], scores["icdar2015"]["recall"]) == (1 / 2, 1 / 2)
    assert scores["ctw1500"]["recall"] == 1 / 3  # it ignores no word


def test_the_score_threshold_is_that_of_the_rules_without_one_of_their_own():
    words, records = [word(polygon(10, 60, 10, 30))], [found(mask(10, 60, 10, 30), 0.45)]
    assert hmeans(words, records) == [1, 0, 0]
    assert hmeans(words, records, score_threshold=0.45) == [1, 1, 1]


def test_each_rule_gets_its_own_polygons():
    # Half of its rectangle, in two parts: as contours and by the largest part it is too small for the word.
    halves = np.ones((20, 50), bool)
    halves[:, 26:34] = False
    words = [word(polygon(10, 60, 10, 30))]
    assert hmeans(words, [found(mask(10, 60, 10, 30, halves))]) == [pytest.approx(0), 1, 1]
    corner = np.ones((20, 50), bool)
    corner[:15, 15:] = False  # 475 of 1000 pixels, but the rectangle around them is the word
    assert hmeans(words, [found(mask(10, 60, 10, 30, corner))]) == [0, 1, 0]


def test_an_ignored_word_is_its_polygon_or_else_its_pixels():
    on_it = [found(polygon(0, 50, 0, 10))]
    assert report([word(mask(0, 50, 0, 10), iscrowd=1)], on_it)["mmocr"]["precision"] == 1
    elsewhere = word(mask(0, 50, 0, 10), iscrowd=1, polygon=[100, 0, 150, 0, 150, 10, 100, 10])
    assert report([elsewhere], on_it)["mmocr"]["precision"] == 0


def test_boxes_stand_in_where_there_is_no_mask():
    words = [word(None, bbox=[10, 10, 50, 20])]
    records = [{"image_id": 1, "category_id": 1, "score": 0.95, "bbox": [10, 10, 50, 20]}]
    assert hmeans(words, records) == [1, 1, 1]


def test_nothing_found_and_nothing_to_find():
    assert hmeans([word(polygon(10, 60, 10, 30))], []) == [0, 0, 0]
    assert hmeans([], []) == [1, 0, 0]


@pytest.mark.parametrize("segmentation", [[[1, 2, 3]], [["a", 1, 2, 3, 4, 5]], {"size": list(SIZE), "counts": [12000]}])
def test_a_polygon_that_is_none_is_named(segmentation):
    with pytest.raises(DataError, match="annotations: annotation 7 of image 1"):
        report([word(segmentation)], [])


def test_each_rule_is_a_section():
    truth, records = parsed(
        coco(word(polygon(10, 60, 10, 30)), word(polygon(100, 150, 10, 30)), size=SIZE),
        [found(mask(10, 60, 10, 30), 0.65), found(mask(100, 150, 40, 50), 0.4)],
    )
    said = []
    sections = {section.name: section for section in text_sections(truth, records, say=said.append)}
    assert list(sections) == ["mmocr", "mmocr_by_score", "icdar2015", "ctw1500"]
    assert said == ["MMOCR", "ICDAR 2015", "CTW1500, none ignored"]
    assert sections["mmocr"].numbers == {"hmean": 2 / 3, "precision": 1, "recall": 1 / 2}
    assert "score from 0.5, the best of those" in sections["mmocr"].protocol
    assert list(sections["mmocr_by_score"].numbers.values()) == [1 / 2, 1 / 2, 2 / 3, 2 / 3, 0, 0, 0]
    assert sections["icdar2015"].numbers["precision"] == 1
    lower = text_sections(truth, records, rules=("icdar2015",), score_threshold=0.4)
    assert lower[0].numbers["precision"] == 1 / 2
