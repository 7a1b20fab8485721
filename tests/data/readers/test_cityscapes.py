import json

import numpy as np
import pytest

from maskrcnn.data.formats import read_dataset, recognize
from maskrcnn.data.readers.cityscapes import (
    IGNORED,
    LABELS,
    STUFF,
    THINGS,
    find_cityscapes,
    has_cityscapes,
    is_group,
    label_of,
    read_cityscapes,
    to_segments,
)
from maskrcnn.errors import DataError
from maskrcnn.structures.regions import LabelMap, find_regions
from tests.builders.cityscapes import write_city

VALUES = np.array(
    [[7, 7, 26000, 26000, 23, 29000], [7, 24, 24, 26000, 23, 29000], [7, 26001, 26001, 33, 23, 3]], dtype=np.uint16
)
FIRST = "aachen_000000_000019"


@pytest.fixture
def city(tmp_path):
    return write_city(tmp_path, {"bonn_000000_000019": np.full((3, 6), 23, dtype=np.uint16), FIRST: VALUES})


def test_the_eight_kinds_of_things_are_objects_and_groups_are_crowds(city):
    assert recognize(city, "val") == "cityscapes"
    assert not has_cityscapes(city, "train")
    data = read_dataset(city, "val")
    assert data.classes.names == ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
    assert data.classes.category_ids == (24, 25, 26, 27, 28, 31, 32, 33)
    assert [(record.image_id, record.size, record.fields) for record in data.records] == [
        (1, (3, 6), {"name": FIRST}),
        (2, (3, 6), {"name": "bonn_000000_000019"}),
    ]
    assert data.records[0].path == city / "leftImg8bit" / "val" / "aachen" / f"{FIRST}_leftImg8bit.png"
    objects = data.records[0].instances
    assert [data.classes.category_ids[label] for label in objects.labels] == [24, 33, 26, 26]
    assert objects.crowd.tolist() == [True, True, False, False]
    assert objects.boxes.tolist() == [[1, 1, 3, 2], [3, 2, 4, 3], [2, 0, 4, 2], [1, 2, 3, 3]]
    for number, value in enumerate((24, 33, 26000, 26001)):
        np.testing.assert_array_equal(objects.masks.bitmap(number), value == VALUES)
    assert len(data.records[1].instances) == 0


def test_the_contents_are_those_of_a_coco_file(city):
    coco = read_cityscapes(city, "val").coco
    assert coco["annotations"][2] == {
        "id": 3,
        "image_id": 1,
        "category_id": 26,
        "bbox": [2, 0, 2, 2],
        "area": 3,
        "iscrowd": 0,
        "segmentation": {"size": [3, 6], "counts": coco["annotations"][2]["segmentation"]["counts"]},
    }
    assert json.loads(json.dumps(coco)) == coco


def test_of_test_the_images_are_read_without_label_maps(tmp_path):
    write_city(tmp_path, {FIRST: VALUES}, "test", labels=False)
    (record,) = read_dataset(tmp_path, "test").records
    assert (record.size, len(record.instances)) == ((3, 6), 0)
    assert find_cityscapes(tmp_path, "test")[0].ids is None


def test_label_maps_alone_are_found_but_images_are_needed_to_read_them(tmp_path):
    write_city(tmp_path, {FIRST: VALUES}, images=False)
    assert [image.name for image in find_cityscapes(tmp_path, "val")] == [FIRST]
    with pytest.raises(DataError, match=rf"1 of its 1 .*{FIRST}_leftImg8bit.png"):
        read_dataset(tmp_path, "val")


def test_missing_and_broken_files_are_named(city):
    with pytest.raises(DataError, match="gtFine/train: "):
        find_cityscapes(city, "train")
    with pytest.raises(DataError, match="leftImg8bit/test: "):
        find_cityscapes(city, "test")
    file = city / "gtFine" / "val" / "aachen" / f"{FIRST}_gtFine_instanceIds.png"
    file.write_bytes(b"PNG")
    with pytest.raises(DataError, match=f"{file.name}: "):
        read_cityscapes(city, "val")
    file.unlink()
    with pytest.raises(DataError, match=rf"val: 1 of 2 .*{FIRST}_leftImg8bit.png"):
        find_cityscapes(city, "val")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((3, 6, 3), dtype=np.uint8), r"shape \[3, 6, 3\] .*"),
        (np.full((3, 6), 34000, dtype=np.uint16), "34000.* 33"),
    ],
)
def test_another_image_in_place_of_a_label_map_is_an_error(tmp_path, values, words):
    write_city(tmp_path, {FIRST: values})
    with pytest.raises(DataError, match=rf"{FIRST}_gtFine_instanceIds.png.*{words}"):
        read_cityscapes(tmp_path, "val")


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
    ids, segments = to_segments(LabelMap.encode(values))
    assert ids.tolist() == [[7, 7, 26], [0, 26001, 26001], [0, 0, 0]]
    assert segments == [
        {"id": 7, "category_id": 7, "area": 2, "bbox": [0, 0, 2, 1], "iscrowd": 0},
        {"id": 26, "category_id": 26, "area": 1, "bbox": [2, 0, 1, 1], "iscrowd": 1},
        {"id": 26001, "category_id": 26, "area": 2, "bbox": [1, 1, 2, 1], "iscrowd": 0},
    ]
    assert values[1, 0] == 29001
