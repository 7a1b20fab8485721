from pathlib import Path

import pytest
from PIL import Image

from maskrcnn.data.readers.contents import ContentsBuilder, find_image, first_bytes, list_images, read_text
from maskrcnn.errors import DataError


def test_images_and_objects_are_numbered_from_1():
    found = ContentsBuilder(["dog", "cat"], Path("x.xml"), Path("/a"), {"cat": {"keypoints": ["nose"]}})
    first = found.add_image(Path("/a/b/1.png"), (4, 5))
    found.add_object(first, "cat", bbox=[0, 0, 1, 1])
    found.add_object(found.add_image(Path("/a/2.png"), (6, 7)), "dog", crowd=True, segmentation=[[0, 0, 1, 0, 1, 1]])
    with found.skipping("one"):
        found.add_object(first, "owl", bbox=[0, 0, 1, 1])
    assert found.contents() == (
        Path("x.xml"),
        Path("/a"),
        {
            "images": [
                {"id": 1, "file_name": "b/1.png", "height": 4, "width": 5},
                {"id": 2, "file_name": "2.png", "height": 6, "width": 7},
            ],
            "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat", "keypoints": ["nose"]}],
            "annotations": [
                {"id": 1, "image_id": 1, "category_id": 2, "iscrowd": 0, "bbox": [0, 0, 1, 1]},
                {"id": 2, "image_id": 2, "category_id": 1, "iscrowd": 1, "segmentation": [[0, 0, 1, 0, 1, 1]]},
            ],
        },
        ("one: the class 'owl' is not one of dog, cat",),
    )
    with pytest.raises(DataError, match="two.json: .*2.png"):
        found.add_image(Path("/a/2.png"), (4, 5), named_by="two.json")


def test_images_are_listed_from_all_folders_without_hidden_ones(tmp_path):
    (tmp_path / "b" / "c").mkdir(parents=True)
    for name in ("b/c/2.JPG", "b/1.png", "a.jpeg", ".hidden.png", "b/note.txt"):
        (tmp_path / name).touch()
    assert list_images(tmp_path) == [tmp_path / name for name in ("a.jpeg", "b/1.png", "b/c/2.JPG")]


def test_an_image_is_found_beside_other_folders_and_without_its_own(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("L", (2, 2)).save(tmp_path / "images" / "a.png")
    folders = [tmp_path, tmp_path / "images"]
    for name in ("a.png", "images/a.png", r"C:\photos\a.png", "/gone/a.png"):
        assert find_image(name, folders) == tmp_path / "images" / "a.png"
    assert find_image("b.png", folders) == tmp_path / "b.png"


def test_text_has_no_byte_order_mark_and_must_be_text_and_first_bytes_may_be_none(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfa")
    assert read_text(tmp_path / "a.txt", "a list") == "a"
    (tmp_path / "a.txt").write_bytes(b"\xff\xfea")
    with pytest.raises(DataError, match="a.txt: .*a list"):
        read_text(tmp_path / "a.txt", "a list")
    assert first_bytes(tmp_path / "gone") == first_bytes(tmp_path) == b""
