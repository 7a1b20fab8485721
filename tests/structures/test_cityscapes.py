import numpy as np

from maskrcnn.structures.cityscapes import IGNORED, LABELS, STUFF, THINGS, is_group, label_of, to_segments
from maskrcnn.structures.regions import find_regions


def test_labels_have_their_official_ids():
    assert [LABELS[label] for label in THINGS] == [
        *("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
    ]
    assert (LABELS[7], LABELS[23], len(STUFF)) == ("road", "sky", 11)
    assert (*range(7), 9, 10, 14, 15, 16, 18, 29, 30) == IGNORED


def test_a_value_below_1000_is_the_label_itself():
    assert [label_of(value) for value in (0, 26, 999, 1000, 26000, 33123)] == [0, 26, 999, 1, 26, 33]
    assert [is_group(region) for region in find_regions(np.array([[7, 26, 29, 26001]]))] == [False, True, False, False]


def test_ignored_labels_are_void_and_groups_crowds():
    values = np.array([[7, 7, 26], [29001, 26001, 26001], [30, 3, 0]], dtype=np.uint16)
    ids, segments = to_segments(values)
    assert ids.tolist() == [[7, 7, 26], [0, 26001, 26001], [0, 0, 0]]
    assert segments == [
        {"id": 7, "category_id": 7, "area": 2, "bbox": [0, 0, 2, 1], "iscrowd": 0},
        {"id": 26, "category_id": 26, "area": 1, "bbox": [2, 0, 1, 1], "iscrowd": 1},
        {"id": 26001, "category_id": 26, "area": 2, "bbox": [1, 1, 2, 1], "iscrowd": 0},
    ]
    assert values[1, 0] == 29001
