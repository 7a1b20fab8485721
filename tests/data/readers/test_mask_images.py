import json

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.readers.coco import to_data
from maskrcnn.data.readers.mask_images import (
    find_label_maps,
    has_label_maps,
    has_mask_folders,
    read_label_maps,
    read_mask_folders,
)
from maskrcnn.errors import DataError

MAP = np.array([[0, 0, 3, 3], [7, 0, 3, 0], [7, 7, 0, 0]], np.uint8)
SIZE = (6, 8)


def draw(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def image(path, size=MAP.shape):
    draw(path, np.zeros((*size, 3), np.uint8))


def data(path, split="train", read=read_label_maps, skip_invalid=False, **more):
    return to_data(read(path, split, **more), skip_invalid=skip_invalid)


def names(path, split):
    return [(one.image.name, one.masks[0].name) for one in find_label_maps(path, split)]


def test_images_and_their_label_maps_become_records(tmp_path):
    image(tmp_path / "images" / "b.png")
    image(tmp_path / "images" / "a.jpg")
    draw(tmp_path / "masks" / "a.png", MAP)
    draw(tmp_path / "masks" / "b.png", np.zeros_like(MAP))
    read = data(tmp_path)
    assert has_label_maps(tmp_path, "train")
    assert [(one.image_id, one.path.name, len(one.instances)) for one in read] == [(1, "a.jpg", 2), (2, "b.png", 0)]
    assert read.classes.names == ("object",)
    assert read.records[0].instances.boxes.tolist() == [[2, 0, 4, 2], [0, 1, 2, 3]]
    (tmp_path / "images").rename(tmp_path / "photos")
    assert data(tmp_path, images=tmp_path / "photos").records[0].path == tmp_path / "photos" / "a.jpg"


def test_splits_may_be_folders_outside_or_inside(tmp_path):
    for split in ("train", "test"):
        image(tmp_path / "one" / split / "Images" / f"{split}.png")
        draw(tmp_path / "one" / split / "Labels" / f"{split}_label.tif", MAP)
        image(tmp_path / "two" / "images" / split / f"{split}.png")
        draw(tmp_path / "two" / "masks" / split / f"{split}.png", MAP)
    assert names(tmp_path / "one", "test") == [("test.png", "test_label.tif")]
    assert names(tmp_path / "two", "train") == [("train.png", "train.png")]
    assert not has_label_maps(tmp_path / "one", "val")
    assert not has_label_maps(tmp_path / "two", "val")


def test_one_folder_of_maps_may_serve_all_splits(tmp_path):
    for name, folder in (("a", "train"), ("b", "test/same_tissue"), ("c", "test/diff_tissue")):
        image(tmp_path / "Images" / folder / f"{name}.tif")
        draw(tmp_path / "Labels" / f"{name}.png", MAP)
    assert names(tmp_path, "train") == [("a.tif", "a.png")]
    assert names(tmp_path, "test") == [("b.tif", "b.png"), ("c.tif", "c.png")]


def test_several_folders_of_a_split_are_joined(tmp_path):
    for name in ("test_same", "test_diff"):
        image(tmp_path / name / "Images" / f"{name}.tif")
        draw(tmp_path / name / "Labels" / f"{name}.png", MAP)
    assert [name for name, _ in names(tmp_path, "test")] == ["test_same.tif", "test_diff.tif"]


def test_maps_may_lie_beside_their_images(tmp_path):
    for name in ("image01", "image02"):
        image(tmp_path / f"{name}.png", (1, 2))
        image(tmp_path / f"{name}_poly.png", (1, 2))
        (tmp_path / f"{name}_mask.txt").write_text("2 1\n0\n4\n")
    assert names(tmp_path, "train") == [("image01.png", "image01_mask.txt"), ("image02.png", "image02_mask.txt")]
    assert [len(record.instances) for record in data(tmp_path).records] == [1, 1]


def test_a_folder_with_another_format_is_not_taken_for_label_maps(tmp_path):
    image(tmp_path / "images" / "a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 1 1")
    assert not has_label_maps(tmp_path, "train")
    assert not has_label_maps(tmp_path / "images" / "a.png", "train")


def test_values_may_be_classes(tmp_path):
    image(tmp_path / "images" / "a.png", (1, 6))
    draw(tmp_path / "masks" / "a.png", np.array([[1, 0, 1, 2, 255, 255]], np.uint8))
    (tmp_path / "classes.json").write_text(json.dumps({"1": "cell", "2": "vessel", "255": None}))
    read = data(tmp_path)
    assert read.classes.names == ("cell", "vessel")
    assert read.records[0].instances.labels.tolist() == [0, 0, 1]
    (tmp_path / "classes.json").write_text(json.dumps({"1": "cell"}))
    with pytest.raises(DataError, match=r"a\.png: holds the value 2"):
        data(tmp_path)


@pytest.mark.parametrize("content", ["[]", '{"a": "cell"}', '{"0": "cell"}', '{"1": 5}', '{"1": null}', "{"])
def test_a_broken_list_of_classes_is_refused(tmp_path, content):
    image(tmp_path / "images" / "a.png")
    draw(tmp_path / "masks" / "a.png", MAP)
    (tmp_path / "classes.json").write_text(content)
    with pytest.raises(DataError, match=r"classes\.json"):
        data(tmp_path)


def test_missing_and_wrong_files_are_named(tmp_path):
    image(tmp_path / "images" / "a.png")
    image(tmp_path / "images" / "b.png")
    draw(tmp_path / "masks" / "a.png", MAP)
    with pytest.raises(DataError, match=r"1 of 2 .*label map.*b\.png"):
        data(tmp_path)
    draw(tmp_path / "masks" / "b.png", MAP[:2])
    with pytest.raises(DataError, match=r"b\.png: .*4 px.*2 px.*b\.png is 4 x 3"):
        data(tmp_path)
    draw(tmp_path / "masks" / "b.png", MAP)
    draw(tmp_path / "masks" / "c.png", MAP)
    with pytest.raises(DataError, match=r"1 of its 3 .*images/c\.png"):
        data(tmp_path)
    draw(tmp_path / "masks" / "c_mask.png", MAP)
    with pytest.raises(DataError, match=r"c_mask\.png: c\.png"):
        data(tmp_path)


def mask(left, right, value=255, size=SIZE):
    values = np.zeros(size, np.uint8)
    values[1:3, left:right] = value
    return values


def bowl(root, name, *masks):
    """An image as the Data Science Bowl has it."""
    draw(root / name / "images" / f"{name}.png", np.zeros((*SIZE, 4), np.uint8))
    (root / name / "masks").mkdir()
    for number, values in enumerate(masks):
        draw(root / name / "masks" / f"{number}.png", values)


def of_folders(path, **more):
    return data(path, read=read_mask_folders, **more)


def test_each_mask_file_is_an_object_of_one_or_more_parts(tmp_path):
    bowl(tmp_path / "stage1_train", "b", mask(0, 2) | mask(5, 8), mask(2, 5, value=9))
    bowl(tmp_path / "stage1_train", "a")
    assert has_mask_folders(tmp_path, "train")
    assert not has_mask_folders(tmp_path, "test")
    read = of_folders(tmp_path)
    assert [(record.path.name, len(record.instances)) for record in read.records] == [("a.png", 0), ("b.png", 2)]
    assert read.records[1].instances.boxes.tolist() == [[0, 1, 8, 3], [2, 1, 5, 3]]


def test_masks_may_lie_in_a_folder_for_each_image(tmp_path):
    image(tmp_path / "images" / "a.jpg", SIZE)
    draw(tmp_path / "masks" / "a" / "x.tif", mask(0, 3))
    assert has_mask_folders(tmp_path, "train")
    assert of_folders(tmp_path).records[0].path.name == "a.jpg"
    image(tmp_path / "images" / "b.jpg", SIZE)
    with pytest.raises(DataError, match="1 of 2 .*b.jpg"):
        of_folders(tmp_path)


def test_label_maps_are_no_mask_folders(tmp_path):
    image(tmp_path / "images" / "train" / "a.png", SIZE)
    draw(tmp_path / "masks" / "train" / "a.png", mask(0, 3))
    assert not has_mask_folders(tmp_path, "train")


def test_images_of_mask_folders_may_lie_elsewhere(tmp_path):
    bowl(tmp_path / "set", "a", mask(0, 3))
    (tmp_path / "set" / "a" / "images" / "a.png").unlink()
    image(tmp_path / "photos" / "a.png", SIZE)
    assert of_folders(tmp_path / "set", images=tmp_path / "photos").records[0].path == tmp_path / "photos" / "a.png"


def test_a_mask_without_a_pixel_is_refused_or_left_out(tmp_path):
    bowl(tmp_path, "a", mask(0, 3), mask(3, 3))
    with pytest.raises(DataError, match=r"masks/1\.png: "):
        of_folders(tmp_path)
    read = of_folders(tmp_path, skip_invalid=True)
    assert (len(read.records[0].instances), len(read.skipped)) == (1, 1)


def test_missing_and_wrong_files_of_mask_folders_are_named(tmp_path):
    bowl(tmp_path, "a", mask(0, 3), mask(0, 3, size=(6, 7)))
    with pytest.raises(DataError, match=r"1\.png: .*7 px.*6 px.*a\.png is 8 x 6"):
        of_folders(tmp_path)
    (tmp_path / "a" / "masks" / "1.png").write_bytes(b"cut off")
    with pytest.raises(DataError, match=r"masks/1\.png: "):
        of_folders(tmp_path)
    (tmp_path / "a" / "masks" / "1.png").unlink()
    (tmp_path / "a" / "images" / "a.png").rename(tmp_path / "a" / "images" / "b.png")
    assert of_folders(tmp_path).records[0].path.name == "b.png"
    (tmp_path / "a" / "images" / "b.png").unlink()
    with pytest.raises(DataError, match=r"1 of its 1 .*a/images/a\.png"):
        of_folders(tmp_path)
    image(tmp_path / "b" / "images" / "b.png", SIZE)
    with pytest.raises(DataError, match="b: .*`masks`"):
        of_folders(tmp_path)
    bowl(tmp_path, "c", mask(0, 3))
    for name in ("first", "second"):
        image(tmp_path / "a" / "images" / f"{name}.png", SIZE)
    with pytest.raises(DataError, match="images: .*2 images"):
        of_folders(tmp_path)
