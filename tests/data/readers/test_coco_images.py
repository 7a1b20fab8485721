from pathlib import Path

import pytest
from PIL import Image

from maskrcnn.data.readers.coco_records import read_images, require_files
from maskrcnn.errors import DataError

FILE = Path("train.json")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "b.png", "sub/c.png"):
        Image.new("RGB", (6, 4)).save(tmp_path / name)
    return tmp_path


def test_images_keep_the_order_of_the_file_and_what_else_it_says(folder):
    images = [
        {"id": 9, "file_name": "sub/c.png", "width": 6, "height": 4, "gray": True},
        {"id": 2, "file_name": "a.png"},
    ]
    found = read_images(FILE, images, folder)
    assert list(found) == [9, 2]
    assert found[9] == (folder / "sub" / "c.png", (4, 6), {"gray": True})
    assert found[2].size == (4, 6)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}], "image id 1 is used twice"),
        ([{"id": "1", "file_name": "a.png"}], "`id` must be a whole number"),
        ([{"id": 1}], "`file_name` a text"),
        ([{"id": 1, "file_name": "a.png", "width": 0, "height": 4}], "0 x 4 is not a size"),
        ([{"id": 1, "file_name": "none.png"}], "1 of its 1 images are not there: .*none.png"),
    ],
)
def test_what_is_wrong_with_an_image_is_said(images, words, folder):
    with pytest.raises(DataError, match=rf"train.json: .*{words}"):
        read_images(FILE, images, folder)


def test_a_file_without_images_is_legal(folder):
    assert read_images(FILE, [], folder) == {}


def test_of_many_missing_files_some_are_named(folder):
    require_files(FILE, folder, ["a.png", "sub/c.png"])
    with pytest.raises(DataError, match=r"7 of its 8 .*0.png.*4.png, \.\.\."):
        require_files(FILE, folder, ["a.png", *(f"no/{i}.png" for i in range(7))])
