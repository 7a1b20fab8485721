import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.formats import read_dataset, recognize
from maskrcnn.data.readers.class_maps import are_classes
from maskrcnn.errors import DataError

CLASSES_MAP = np.zeros((40, 60), np.uint8)
"""Two parts of class 1, three of class 3, and a border that does not count."""
for y, x, value in ((2, 2, 1), (2, 20, 1), (20, 2, 3), (20, 20, 3), (20, 40, 3)):
    CLASSES_MAP[y : y + 8, x : x + 10] = value
CLASSES_MAP[0] = 255
OBJECTS_MAP = np.where(
    (CLASSES_MAP > 0) & (CLASSES_MAP < 255), 1 + np.arange(60) // 18 + 4 * (np.arange(40) > 15)[:, None], 0
)


def lay_out(folder, values, name="{}.png", image="{}.png"):
    for place, pixels in ((f"images/{image}", np.zeros((40, 60, 3), np.uint8)), (f"masks/{name}", values)):
        for number in "ab":
            file = folder / place.format(number)
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(file)
    return folder


def test_values_that_come_back_in_many_parts_are_classes():
    assert are_classes([CLASSES_MAP, CLASSES_MAP])
    assert not are_classes([OBJECTS_MAP])
    assert not are_classes([np.zeros((4, 4), int), np.full((4, 4), 255)])
    assert not are_classes([np.where(CLASSES_MAP == 1, 1000, 0)])


def test_each_part_of_a_class_is_an_object(tmp_path):
    assert recognize(lay_out(tmp_path, CLASSES_MAP)) == "class-maps"
    data = read_dataset(tmp_path)
    assert data.classes.names == ("class_1", "class_3")
    assert [record.instances.labels.tolist() for record in data] == [[0, 0, 1, 1, 1]] * 2
    assert data[0].instances.boxes[0].tolist() == [2, 2, 12, 10]


def test_what_was_recognized_can_be_told_otherwise(tmp_path):
    assert len(read_dataset(lay_out(tmp_path, CLASSES_MAP), form="label-maps")[0].instances) == 3
    assert recognize(lay_out(tmp_path / "objects", OBJECTS_MAP)) == "label-maps"
    assert len(read_dataset(tmp_path / "objects", form="class-maps")[0].instances) == 5


def test_images_with_an_ending_of_their_own_find_their_maps(tmp_path):
    data = read_dataset(lay_out(tmp_path, OBJECTS_MAP, name="{}_label.png", image="{}_rgb.png"))
    assert [record.path.name for record in data] == ["a_rgb.png", "b_rgb.png"]


def test_black_maps_have_no_class(tmp_path):
    with pytest.raises(DataError, match=str(tmp_path)):
        read_dataset(lay_out(tmp_path, np.zeros((40, 60))), form="class-maps")


def test_a_label_map_of_several_pages_is_refused_by_name(tmp_path):
    lay_out(tmp_path, OBJECTS_MAP)
    page = Image.fromarray(OBJECTS_MAP.astype(np.uint8))
    page.save(tmp_path / "masks" / "a.tif", save_all=True, append_images=[page])
    (tmp_path / "masks" / "a.png").unlink()
    with pytest.raises(DataError, match=r"a.tif"):
        read_dataset(tmp_path, form="label-maps")
