from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.readers.text import Word, WordsFile, gather_words, pair_files, read_numbers
from maskrcnn.errors import DataError

WORDS = [Word([1, 2, 9.5, 2, 9.5, 6, 1, 6], "a, b"), Word([0, 0, 4, 0, 4, 3], "###", True), Word([0, 0, 2, 0, 2, 2])]


def test_words_become_polygons_with_their_text_and_crowds(tmp_path):
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "p.png")
    files = [WordsFile(tmp_path / "p.png", tmp_path / "p.txt")]
    coco = gather_words(files, lambda file: WORDS, tmp_path, tmp_path).coco
    assert coco["categories"] == [{"id": 1, "name": "text"}]
    assert coco["images"] == [{"id": 1, "file_name": "p.png", "height": 20, "width": 30}]
    assert [(one["iscrowd"], one.get("text")) for one in coco["annotations"]] == [(0, "a, b"), (1, "###"), (0, None)]
    assert coco["annotations"][0]["segmentation"] == [[1, 2, 9.5, 2, 9.5, 6, 1, 6]]
    assert coco["annotations"][0]["bbox"] == [1, 2, 8.5, 4]


def test_without_the_image_its_size_is_what_the_words_need(tmp_path):
    files = [WordsFile(tmp_path / "p.png", tmp_path / "p.txt")]
    image = gather_words(files, lambda file: WORDS, tmp_path, tmp_path).coco["images"][0]
    assert (image["height"], image["width"]) == (6, 10)
    assert gather_words(files, lambda file: [], tmp_path, tmp_path).coco["images"][0]["height"] == 1


def test_files_of_the_same_name_belong_together():
    images = {"b": Path("b.jpg")}
    words = {"b": Path("b.txt"), "a": Path("a.txt")}
    assert pair_files(Path("w"), images, words, lambda name: Path(f"{name}.png")) == [
        (Path("a.png"), Path("a.txt")),
        (Path("b.jpg"), Path("b.txt")),
    ]
    with pytest.raises(DataError, match=r"1 of 2 images have no file of their words: c\.jpg"):
        pair_files(Path("w"), {**images, "c": Path("c.jpg")}, words, Path)


def test_values_that_are_no_numbers_are_named():
    assert read_numbers(["1", " 2.5"], "here") == [1, 2.5]
    with pytest.raises(DataError, match="here: 'x' is not a number"):
        read_numbers(["1", "x"], "here")
    with pytest.raises(DataError, match="here: nan is not a finite number"):
        read_numbers(["nan"], "here")
