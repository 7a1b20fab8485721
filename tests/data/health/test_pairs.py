from itertools import combinations

import numpy as np
import torch
from torchvision.ops import box_iou

from maskrcnn.data.health import pairs as module
from maskrcnn.data.health.pairs import box_overlaps, overlapping_pairs
from tests.data.health.made import MadeSet


def test_overlaps_are_torchvisions():
    random = np.random.default_rng(0)
    corners = random.uniform(0, 50, (9, 4))
    boxes = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)
    expected = box_iou(torch.from_numpy(boxes[:4]), torch.from_numpy(boxes)).numpy()
    np.testing.assert_allclose(box_overlaps(boxes[:4], boxes), expected, atol=1e-12)


def test_boxes_without_an_area_do_not_overlap():
    assert box_overlaps(np.zeros((1, 4)), np.zeros((2, 4))).tolist() == [[0, 0]]


def test_pairs_are_those_of_one_picture_without_crowds(tmp_path, monkeypatch):
    made = MadeSet(tmp_path, 3)
    random = np.random.default_rng(1)
    for number in range(40):
        x, y = random.integers(0, 30, 2).tolist()
        made.add_object(1 + number % 2, [x, y, 30, 25], iscrowd=int(number % 9 == 0), polygon=[])
    table = made.table()
    expected = set()
    for i, j in combinations(range(len(table)), 2):
        near = box_overlaps(table.boxes[i : i + 1], table.boxes[j : j + 1])[0, 0] >= 0.5
        if near and table.pictures[i] == table.pictures[j] and not (table.crowd[i] or table.crowd[j]):
            expected.add((i, j))
    assert len(expected) > 20
    for rows in (512, 3):
        monkeypatch.setattr(module, "ROWS", rows)
        found = overlapping_pairs(table, 0.5)
        assert set(zip(found.first.tolist(), found.second.tolist())) == expected
        assert len(found.first) == len(expected)
        assert (found.overlaps >= 0.5).all()


def test_a_table_without_objects_has_no_pairs(tmp_path):
    made = MadeSet(tmp_path, 2)
    made.annotations = []
    assert len(overlapping_pairs(made.table(), 0.1).first) == 0
