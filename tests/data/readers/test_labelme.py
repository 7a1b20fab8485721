import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.formats import has_split, read_dataset, recognize
from maskrcnn.data.readers.labelme import is_labelme, read_labelme
from maskrcnn.errors import DataError
from tests.builders.refusals import assert_refused_or_left_out

SQUARE = [[10, 5], [20, 5], [20, 15], [10, 15]]


def shape(label="cat", kind="polygon", points=SQUARE, **more):
    return {"label": label, "shape_type": kind, "points": points, "group_id": None, "flags": {}, **more}


def png(bitmap):
    file = io.BytesIO()
    Image.fromarray(np.array(bitmap, dtype=np.uint8)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def write(folder, *shapes, name="a", **more):
    """An image of 60 x 50 pixels and its file."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("L", (60, 50)).save(folder / f"{name}.png")
    content = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{name}.png", "imageData": "x" * 99}
    (folder / f"{name}.json").write_text(json.dumps({**content, "imageHeight": 50, "imageWidth": 60, **more}))
    return folder


def objects(folder, split="train"):
    return read_labelme(folder, split).coco["annotations"]


def test_polygons_rectangles_circles_and_masks_are_objects(tmp_path):
    mask = shape(kind="mask", points=[[3, 4], [5, 5]], mask=png([[1, 1, 0], [0, 1, 0]]))
    circle = shape(kind="circle", points=[[30, 30], [30, 40]])
    turned = shape(kind="oriented_rectangle", points=[[1, 0], [2, 1], [1, 2], [0, 1]])
    write(tmp_path, shape(), shape(kind="rectangle", points=[[20, 4], [10, 8]]), circle, mask, turned)
    polygon, rectangle, circle, mask, turned = objects(tmp_path)
    assert polygon["segmentation"] == [[10, 5, 20, 5, 20, 15, 10, 15]]
    assert rectangle["bbox"] == [10, 4, 10, 4]
    assert "segmentation" not in rectangle
    assert turned["segmentation"] == [[1, 0, 2, 1, 1, 2, 0, 1]]
    masks = read_dataset(tmp_path).records[0].instances.masks
    assert masks.crop(2).bitmap.sum() == pytest.approx(np.pi * 100, rel=0.02)
    assert (masks.crop(3).x, masks.crop(3).y) == (3, 4)
    assert masks.crop(3).bitmap.tolist() == [[True, True], [False, True]]


def test_shapes_of_one_label_and_group_are_one_object(tmp_path):
    shapes = [shape(group_id=1), shape("dog", group_id=1), shape(group_id=1, points=[[0, 0], [2, 0], [2, 2]])]
    write(tmp_path, *shapes, shape(group_id=2), shape(kind="rectangle", points=[[1, 1], [2, 2]], group_id=1))
    cat, dog, other = objects(tmp_path)
    assert [len(found["segmentation"]) for found in (cat, dog, other)] == [3, 1, 1]
    assert cat["segmentation"][2] == [1, 1, 2, 1, 2, 2, 1, 2]


def test_polygons_in_a_group_with_a_mask_become_pixels(tmp_path):
    write(tmp_path, shape(group_id=1), shape(kind="mask", points=[[0, 0], [0, 0]], mask=png([[1]]), group_id=1))
    assert read_dataset(tmp_path).records[0].instances.masks.crop(0).bitmap.sum() == 101


def test_classes_are_the_labels_of_all_splits_sorted(tmp_path):
    write(tmp_path / "train", shape("dog"), shape("__ignore__"), shape("_background_"))
    write(tmp_path / "val", shape("cat"))
    assert read_dataset(tmp_path, "val").classes.names == read_dataset(tmp_path).classes.names == ("cat", "dog")
    assert len(read_dataset(tmp_path).records[0].instances) == 1


def test_a_list_of_labels_gives_the_classes_and_their_order(tmp_path):
    write(tmp_path, shape("dog"))
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\nowl\ndog\n")
    assert read_dataset(tmp_path).classes.names == ("owl", "dog")
    (tmp_path / "labels.txt").write_text("owl\n")
    with pytest.raises(DataError, match=r"a.json: shape 0 \(dog\): .* owl"):
        read_dataset(tmp_path)


def test_splits_are_folders_and_a_folder_without_them_is_train(tmp_path):
    write(tmp_path / "flat", shape())
    assert (recognize(tmp_path / "flat"), has_split(tmp_path / "flat", "val")) == ("labelme", False)
    for path in ("one/train", "one/valid", "two/annotations/train", "two/annotations/val"):
        write(tmp_path / path, shape())
    assert all(has_split(tmp_path / name, "val") for name in ("one", "two"))
    assert len(read_dataset(tmp_path / "one", "val").records) == 1
    assert recognize(tmp_path / "flat" / "a.json", "val") == "labelme"
    assert len(read_dataset(tmp_path / "flat" / "a.json", "val").records) == 1


def test_other_json_files_are_not_taken_for_labelmes(tmp_path):
    (tmp_path / "A.json").write_text('{"images": [], "annotations": []}')
    assert not is_labelme(tmp_path, "train")
    write(tmp_path, shape())
    with pytest.raises(DataError, match="A.json: .*`shapes`.*`imagePath`"):
        read_dataset(tmp_path)


def test_images_are_found_by_the_files_folder_a_folder_images_or_the_one_given(tmp_path):
    write(tmp_path / "labels", shape(), imagePath=r"..\images\a.png")
    (tmp_path / "images").mkdir()
    (tmp_path / "labels" / "a.png").rename(tmp_path / "images" / "a.png")
    assert read_dataset(tmp_path).records[0].path.resolve() == tmp_path / "images" / "a.png"
    (tmp_path / "images").rename(tmp_path / "photos")
    with pytest.raises(DataError, match="1 of its 1 .*a.png"):
        read_dataset(tmp_path)
    assert read_dataset(tmp_path, images=tmp_path / "photos").records[0].path == tmp_path / "photos" / "a.png"


def test_sizes_and_kinds_may_be_missing_and_a_flag_makes_a_crowd(tmp_path):
    old = {"label": "cat", "points": SQUARE}  # as in old files, a polygon
    write(tmp_path, shape(flags={"crowd": True}), shape(flags={"iscrowd": False}), old, imageHeight=None)
    assert read_dataset(tmp_path).records[0].size == (50, 60)
    assert [found["iscrowd"] for found in objects(tmp_path)] == [1, 0, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": [[1, 1], [2, 2]]}, "polygon with 2"),
        ({"kind": "circle"}, "circle with 4"),
        ({"kind": "circle", "points": [[1, 1], [1, 1]]}, "0 and 0"),
        ({"kind": "point", "points": [[1, 1]]}, "a point"),
        ({"kind": "linestrip"}, "a linestrip"),
        ({"points": "x"}, "`points`"),
        ({"points": [[1, 1], [2, "x"], [3, 4]]}, r"`points`.*\[2, 'x'\]"),
        ({"points": [[1, 1], [2, float("nan")], [3, 4]]}, r"`points`.*\[2, nan\]"),
        ({"points": [[1, 1], [900, 1], [3, 4]]}, " 900"),
        ({"kind": "mask", "points": [[1, 1], [2, 2]]}, "`mask`"),
        ({"kind": "mask", "points": [[1, 1], [2, 2]], "mask": "!"}, "`mask`"),
        ({"kind": "mask", "points": [[1, 1], [2, 2]], "mask": "aGFsbG8="}, "`mask`"),
        ({"kind": "mask", "points": [[1, 1], [2, 1]], "mask": png([[1]])}, "1 x 1 .*2 x 1"),
        ({"kind": "mask", "points": [[1, 1], [1, 1]], "mask": png([[0]])}, "no pixel"),
    ],
)
def test_a_shape_that_cannot_be_used_is_an_error_or_is_left_out(tmp_path, changes, message):
    write(tmp_path, shape("dog"), shape(**changes))
    assert_refused_or_left_out(tmp_path, r"a.json: shape 1|annotation 2 \(a.png\)", message)


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ('"imagePath"', "", r"b.json: .*line 1, column \d+"),
        ('"shapes"', '"forms"', "b.json: .*`shapes`"),
        ("b.png", "a.png", "b.json: .*a.png"),
        ('"cat"', "7", "b.json: shape 0: `label`"),
        ('"imageHeight": 50', '"imageHeight": -5', "b.png.*60 x -5"),
    ],
)
def test_a_broken_file_is_named(tmp_path, old, new, value):
    write(write(tmp_path, shape()), shape(), name="b")
    (tmp_path / "b.json").write_text((tmp_path / "b.json").read_text().replace(old, new))
    with pytest.raises(DataError, match=value):
        read_dataset(tmp_path, skip_invalid=True)


def test_files_without_any_label_have_no_class(tmp_path):
    with pytest.raises(DataError, match=r"labels\.txt"):
        read_dataset(write(tmp_path))
