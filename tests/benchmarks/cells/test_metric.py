import math

import numpy as np
import pytest

from maskrcnn.benchmarks.cells.metric import cell_numbers, cell_sections, mean_number
from maskrcnn.benchmarks.cells.objects import object_numbers, pooled_sums
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.results import Results
from maskrcnn.structures.masks import Crop, encode_crop
from tests.builders.scoring import coco
from tests.builders.vectors import label_map, load_vector, vector_files

OURS = {
    "dice_1": "dice_pixel",
    "object_f1": "f1_object",
    "object_dice": "dice_object",
    "object_hausdorff": "hausdorff_object",
    "foreground_hausdorff_scipy": "hausdorff_foreground",
    "foreground_hausdorff_monai": "hausdorff_edges",
    **{name: name for name in ("dice_2", "aji", "aji_plus", "dq", "sq", "pq")},
}
"""Our names of the evaluators' numbers."""
SIZE = (20, 40)


def undefined(value):
    return value == "NaN" or str(value).startswith(("error", "undefined"))


def assert_same(ours, expected, name):
    """WESUP adds an epsilon of 1e-7 to what it divides by, MONAI measures in single precision."""
    if undefined(expected):
        assert ours is None, name
    else:
        assert ours == pytest.approx(float(expected), abs=1e-5 if "object" in name else 1e-9, rel=1e-6), name


@pytest.mark.parametrize("path", vector_files("cell17", "kumar"))
def test_numbers_are_those_of_the_official_evaluators(path):
    vector = load_vector(path)
    images = [cell_numbers(label_map(one["gt"]), label_map(one["pred"])) for one in vector["input"]["images"]]
    expected = vector["expected"]
    assert set(expected) <= {"per_image", "mean_over_images", "pooled_over_images"}
    for image, numbers in zip(images, expected["per_image"], strict=True):
        for name, value in numbers.items():
            assert_same(image.numbers[OURS[name]], value, name)
    for name, value in expected["mean_over_images"].items():
        values = [image.numbers[OURS[name]] for image in images]
        if undefined(value):
            assert None in values, name
        else:
            assert_same(mean_number(values), value, name)
    sums = pooled_sums([image.sums for image in images])
    counts = {"tp": sums.right, "fp": sums.found - sums.right, "fn": sums.truth - sums.right}
    for name, value in expected.get("pooled_over_images", {}).items():
        assert_same(counts[name] if name in counts else object_numbers(sums)[OURS[name]], value, name)


def square(left, top, side):
    return encode_crop(Crop(left, top, np.ones((side, side), bool)), SIZE)


def cell(image_id, left, top, side, **more):
    return {"image_id": image_id, "category_id": 1, "segmentation": square(left, top, side), **more}


def truth(*objects, categories=("cell",), images=2):
    return coco(*objects, size=SIZE, images=range(1, images + 1), classes=dict(enumerate(categories, start=1)))


def scored(content, records, score_threshold=0.5, **more):
    annotations = Annotations.parse(content)
    results = Results.parse(records, annotations)
    sections = cell_sections(annotations, results, score_threshold=score_threshold, **more)
    return {section.name: section for section in sections}


def test_the_cells_themselves_score_one():
    cells = [cell(1, 2, 2, 6), cell(1, 20, 2, 8), cell(2, 5, 5, 5)]
    sections = scored(truth(*cells), [{**one, "score": 0.9} for one in cells])
    assert list(sections) == ["instances", "glas", "glas_pooled", "foreground"]
    assert all(value == pytest.approx(1, abs=1e-5) for value in sections["instances"].numbers.values())
    for name in ("glas", "glas_pooled"):
        assert sections[name].numbers == {"f1_object": 1, "dice_object": 1, "hausdorff_object": 0}
        assert sections[name].lengths == {"hausdorff_object"}
    assert sections["foreground"].numbers == {"hausdorff_foreground": 0, "hausdorff_edges": 0}


def test_predictions_are_painted_by_score_from_the_threshold_on():
    annotations = truth(cell(1, 0, 0, 10), images=1)
    records = [cell(1, 0, 0, 12, score=0.6), cell(1, 0, 0, 10, score=0.9), cell(1, 20, 0, 9, score=0.49)]
    sections = scored(annotations, records)
    # what is left of the worse one, 144 - 100 pixels, is a cell of its own; the one below the threshold is not
    assert sections["instances"].numbers["dq"] == pytest.approx(2 / 3)
    assert sections["instances"].numbers["dice_pixel"] == 2 * 100 / (100 + 144)
    assert scored(annotations, records, score_threshold=0.7)["instances"].numbers["dice_pixel"] == 1
    assert "score of at least 0.7" in scored(annotations, records, score_threshold=0.7)["glas"].protocol


def test_means_are_over_images_and_pooled_numbers_over_objects():
    cells = [cell(1, 0, 0, 10), cell(2, 0, 0, 2)]
    sections = scored(truth(*cells), [{**cells[0], "score": 1}, cell(2, 1, 0, 2, score=1)])
    assert sections["glas"].numbers["dice_object"] == pytest.approx((1 + 0.5) / 2)
    assert sections["glas_pooled"].numbers["dice_object"] == pytest.approx((100 + 4 * 0.5) / 104)


def test_images_without_a_number_are_left_out_of_its_mean_and_counted_in_the_protocol():
    cells = [cell(1, 0, 0, 10), cell(2, 0, 0, 2)]
    sections = scored(truth(*cells, images=3), [{**cells[0], "score": 1}])
    assert sections["instances"].numbers["aji"] == 1  # of the first image only
    assert sections["instances"].numbers["aji_plus"] == 1 / 2  # and of the second
    assert sections["foreground"].numbers["hausdorff_foreground"] == 0
    left_out = "images without the number, left out of its mean: 1 of dice_pixel, 2 of aji, 1 of dq"
    assert left_out in sections["instances"].protocol
    assert "1 of hausdorff_foreground, 2 of hausdorff_edges" in sections["foreground"].protocol
    assert "left out" not in sections["glas"].protocol


def test_crowds_are_no_cells():
    sections = scored(truth(cell(1, 0, 0, 10, iscrowd=1), images=1), [])
    assert sections["glas"].numbers["f1_object"] == 1


def test_nothing_is_undefined_except_objects():
    sections = scored(truth(), [])
    assert set(sections["instances"].numbers.values()) == {None}
    assert sections["glas_pooled"].numbers["f1_object"] == 1
    empty = scored(truth(images=0), [])
    assert all(value is None for section in empty.values() for value in section.numbers.values())


def test_each_class_has_a_row_where_there_are_several():
    cells = [cell(1, 0, 0, 10), {**cell(1, 20, 0, 10), "category_id": 2}]
    annotations = truth(*cells, categories=("round", "long"), images=1)
    rows = scored(annotations, [{**cells[1], "score": 1}])["instances"].per_class
    assert (rows["round"]["dq"], rows["long"]["dq"]) == (0, 1)
    assert scored(truth(cells[0]), [])["instances"].per_class == {}


def test_progress_is_said():
    said = []
    scored(truth(), [], say=said.append)
    assert said == ["image 1 of 2", "image 2 of 2"]


def test_distances_are_infinite_where_only_one_side_has_a_cell():
    nothing, one = np.zeros(SIZE, int), np.eye(*SIZE, dtype=int)
    assert cell_numbers(nothing, one).numbers["hausdorff_foreground"] == math.inf
    assert mean_number([1.0, None, math.inf]) == math.inf
    assert mean_number([None]) is None
