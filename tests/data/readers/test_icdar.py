import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.readers.coco import to_data
from maskrcnn.data.readers.text import find_icdar, has_icdar, read_icdar, read_icdar_words
from maskrcnn.errors import DataError

LINES = "\ufeff10,10,50,12,50,30,10,28,Genaxis, Theatre\r\n60,10,90,10,90,30,60,30,###\r\n"


def lay_out(root, images="ch4_test_images", words="Challenge4_Test_Task1_GT", names=("img_1", "img_2")):
    for name in names:
        (root / images).mkdir(parents=True, exist_ok=True)
        (root / words).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((40, 100, 3), np.uint8)).save(root / images / f"{name}.jpg")
        (root / words / f"gt_{name}.txt").write_text(LINES, encoding="utf-8")
    return root


def test_the_official_test_is_read(tmp_path):
    lay_out(tmp_path)
    assert has_icdar(tmp_path, "test")
    assert not has_icdar(tmp_path, "train")
    contents = read_icdar(tmp_path, "test")
    data = to_data(contents)
    assert [record.path.name for record in data.records] == ["img_1.jpg", "img_2.jpg"]
    assert data.classes.names == ("text",)
    instances = data.records[0].instances
    assert instances.boxes.tolist() == [[10, 10, 50, 30], [60, 10, 90, 30]]
    assert instances.crowd.tolist() == [False, True]


def test_training_has_other_names(tmp_path):
    lay_out(tmp_path, "ch4_training_images", "ch4_training_localization_transcription_gt", ("img_7",))
    assert [file.image.name for file in find_icdar(tmp_path, "train")] == ["img_7.jpg"]


def test_a_folder_of_words_may_be_given_with_its_images(tmp_path):
    lay_out(tmp_path, "photos", "words")
    files = find_icdar(tmp_path / "words", "train", tmp_path / "photos")
    assert [file.image for file in files] == [tmp_path / "photos" / "img_1.jpg", tmp_path / "photos" / "img_2.jpg"]
    assert not has_icdar(tmp_path / "words", "test")


def test_texts_may_have_commas_and_may_be_missing(tmp_path):
    (tmp_path / "gt_a.txt").write_text(LINES + "\n0,0,1,0,1,1,0,1\n0,0,1,0,1,1,0,1,\n", encoding="utf-8")
    words = read_icdar_words(tmp_path / "gt_a.txt")
    assert [(word.text, word.ignored) for word in words] == [
        ("Genaxis, Theatre", False),
        ("###", True),
        (None, False),
        ("", False),
    ]
    assert words[0].points == [10, 10, 50, 12, 50, 30, 10, 28]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"0,0,1,0,1,1,0,1,a\n1,2,3\n", "line 2: has 3 values, but must be x1,y1"),
        (b"0,0,1,0,1,1,0,b,a\n", "line 1: 'b' is not a number"),
        (b"0,0,1,0,1,1,0,inf,a\n", "line 1: inf is not a finite number"),
        ("0,0,1,0,1,1,0,1,ü".encode("latin-1"), "cannot be read as a file of words"),
    ],
)
def test_a_broken_line_is_named(tmp_path, content, message):
    (tmp_path / "gt_a.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_icdar_words(tmp_path / "gt_a.txt")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"split test.*Challenge4_Test_Task1_GT/gt_img_N\.txt"):
        find_icdar(tmp_path, "test")
    lay_out(tmp_path)
    (tmp_path / "Challenge4_Test_Task1_GT" / "gt_img_2.txt").unlink()
    with pytest.raises(DataError, match=r"1 of 2 images have no file of their words: .*img_2\.jpg"):
        find_icdar(tmp_path, "test")
    (tmp_path / "ch4_test_images" / "img_2.jpg").unlink()
    (tmp_path / "ch4_test_images" / "img_1.jpg").unlink()
    contents = read_icdar(tmp_path, "test")
    with pytest.raises(DataError, match=r"1 of its 1 images are not there: .*img_1\.jpg"):
        to_data(contents)
