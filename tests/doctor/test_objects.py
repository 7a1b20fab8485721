from itertools import combinations

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from maskrcnn.doctor import objects as module
from maskrcnn.doctor.objects import box_overlaps, crosses_itself, measure_objects, overlapping_pairs
from tests.builders.made_set import MadeSet


def test_columns_are_those_of_the_annotations(tmp_path):
    made = MadeSet(tmp_path, 2)
    made.add_object(1, [2, 4, 10, 8], label=2, polygon=[[2, 4, 12, 4, 12, 12, 2, 12]])
    made.add_object(2, [0, 0, 96, 64], iscrowd=1, polygon={"size": [64, 96], "counts": [0, 64 * 96]})
    counts = []
    table = measure_objects(made.split(), on_progress=counts.append)
    assert table.images.tolist() == [0, 0, 1, 1]
    assert table.labels.tolist() == [0, 1, 1, 0]
    assert table.crowd.tolist() == [False, False, False, True]
    assert table.boxes[1].tolist() == table.windows[1].tolist() == [2, 4, 12, 12]
    assert table.areas[[1, 3]].tolist() == [80, 64 * 96]
    assert table.sizes.tolist() == [[64, 96]] * 4
    assert table.sides[1].tolist() == [10, 8]
    assert table.counts.tolist() == [2, 1]
    assert table.keypoints is None
    assert counts == [1, 1]


def test_an_example_names_file_annotation_and_class(tmp_path):
    table = MadeSet(tmp_path, 2).table()
    example = table.example(1, "3 px apart")
    assert example.words == "train_2.png, annotation 2 (dog): 3 px apart"
    assert example.path == tmp_path / "images" / "train_2.png"
    assert example.box == (20, 16, 44, 36)


def test_keypoints_are_a_column(tmp_path):
    made = MadeSet(tmp_path, 2)
    for category in made.categories:
        category["keypoints"] = ["nose", "tail"]
    made.annotations[0]["keypoints"] = [21, 17, 2, 40, 30, 1]
    assert made.table().keypoints.tolist() == [[[21.5, 17.5, 2], [40.5, 30.5, 1]], [[0, 0, 0], [0, 0, 0]]]


def test_a_set_without_objects_has_empty_columns_and_no_pairs(tmp_path):
    made = MadeSet(tmp_path, 3)
    made.annotations = []
    table = made.table()
    assert len(table) == len(overlapping_pairs(table, 0.1).first) == 0
    assert table.annotated.shape == table.boxes.shape == table.windows.shape == (0, 4)
    assert table.counts.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("points", "crosses"),
    [
        ([[0, 0], [10, 0], [10, 10], [0, 10]], False),
        ([[0, 0], [10, 10], [10, 0], [0, 10]], True),  # a bow tie
        ([[0, 0], [4, 4], [8, 0], [8, 8], [4, 4], [0, 8]], False),  # touches itself in one point
        ([[0, 0], [5, 9], [9, 2]], False),
    ],
)
def test_a_polygon_crosses_itself_or_not(points, crosses):
    assert crosses_itself((np.array(points, dtype=np.float64),)) == crosses


def test_polygons_that_cross_are_marked(tmp_path):
    made = MadeSet(tmp_path, 1)
    made.add_object(1, [0, 0, 20, 20], polygon=[[0, 0, 20, 20, 20, 0, 0, 20]])
    assert made.table().crossing.tolist() == [False, True]


def test_overlaps_are_torchvisions():
    random = np.random.default_rng(0)
    corners = random.uniform(0, 50, (9, 4))
    boxes = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)
    expected = box_iou(torch.from_numpy(boxes[:4]), torch.from_numpy(boxes)).numpy()
    np.testing.assert_allclose(box_overlaps(boxes[:4], boxes), expected, atol=1e-12)
    assert box_overlaps(np.zeros((1, 4)), np.zeros((2, 4))).tolist() == [[0, 0]]  # without an area


def test_pairs_are_those_of_one_image_without_crowds(tmp_path, monkeypatch):
    made = MadeSet(tmp_path, 3)
    random = np.random.default_rng(1)
    for number in range(40):
        x, y = random.integers(0, 30, 2).tolist()
        made.add_object(1 + number % 2, [x, y, 30, 25], iscrowd=int(number % 9 == 0), polygon=[])
    table = made.table()
    expected = set()
    for i, j in combinations(range(len(table)), 2):
        near = box_overlaps(table.boxes[i : i + 1], table.boxes[j : j + 1])[0, 0] >= 0.5
        if near and table.images[i] == table.images[j] and not (table.crowd[i] or table.crowd[j]):
            expected.add((i, j))
    assert len(expected) > 20
    for rows in (512, 3):
        monkeypatch.setattr(module, "ROWS", rows)
        found = overlapping_pairs(table, 0.5)
        assert set(zip(found.first.tolist(), found.second.tolist())) == expected
        assert len(found.first) == len(expected)
        assert (found.overlaps >= 0.5).all()
