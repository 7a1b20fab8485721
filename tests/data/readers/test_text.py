import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.readers.coco import to_data
from maskrcnn.data.readers.text import (
    Word,
    WordsFile,
    find_ctw1500,
    find_icdar,
    gather_words,
    has_ctw1500,
    has_icdar,
    read_ctw1500,
    read_ctw1500_words,
    read_icdar,
    read_icdar_words,
)
from maskrcnn.errors import DataError

LINES = "\ufeff10,10,50,12,50,30,10,28,Genaxis, Theatre\r\n60,10,90,10,90,30,60,30,###\r\n"
POINTS = [number for i in range(7) for number in (10 + 5 * i, 10)] + [
    number for i in reversed(range(7)) for number in (10 + 5 * i, 20)
]
OFFSETS = [10, 10, 40, 20, *(value - 10 for value in POINTS)]
XML = """<Annotations><image file="0001.jpg">
<box height="10" left="10" top="10" width="30"><label>EST, 1850</label><segs>{}</segs></box>
<box height="10" left="10" top="10" width="30"><label>###</label><segs>{}</segs></box>
</image></Annotations>"""


def joined(numbers):
    return ",".join(map(str, numbers))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((40, 100, 3), np.uint8)).save(path)


def icdar(root, images="ch4_test_images", words="Challenge4_Test_Task1_GT", names=("img_1", "img_2")):
    for name in names:
        image(root / images / f"{name}.jpg")
        write(root / words / f"gt_{name}.txt", LINES)
    return root


def test_without_the_image_its_size_is_what_the_words_need(tmp_path):
    files = [WordsFile(tmp_path / "p.png", tmp_path / "p.txt")]
    for words, size in (([Word([1, 2, 9.5, 2, 9.5, 6, 1, 6])], (6, 10)), ([], (1, 1))):
        (found,) = gather_words(files, lambda file, words=words: words, tmp_path, tmp_path).coco["images"]
        assert (found["height"], found["width"]) == size


def test_icdars_test_is_read(tmp_path):
    icdar(tmp_path)
    assert (has_icdar(tmp_path, "test"), has_icdar(tmp_path, "train")) == (True, False)
    data = to_data(read_icdar(tmp_path, "test"))
    assert [record.path.name for record in data.records] == ["img_1.jpg", "img_2.jpg"]
    assert data.classes.names == ("text",)
    instances = data.records[0].instances
    assert instances.boxes.tolist() == [[10, 10, 50, 30], [60, 10, 90, 30]]
    assert instances.crowd.tolist() == [False, True]


def test_icdars_training_has_other_names(tmp_path):
    icdar(tmp_path, "ch4_training_images", "ch4_training_localization_transcription_gt", ("img_7",))
    assert [file.image.name for file in find_icdar(tmp_path, "train")] == ["img_7.jpg"]


def test_a_folder_of_words_may_be_given_with_its_images(tmp_path):
    icdar(tmp_path, "photos", "words")
    files = find_icdar(tmp_path / "words", "train", tmp_path / "photos")
    assert [file.image for file in files] == [tmp_path / "photos" / "img_1.jpg", tmp_path / "photos" / "img_2.jpg"]
    assert not has_icdar(tmp_path / "words", "test")


def test_texts_may_have_commas_and_may_be_missing(tmp_path):
    file = write(tmp_path / "gt_a.txt", LINES + "\n0,0,1,0,1,1,0,1\n0,0,1,0,1,1,0,1,\n")
    first, *others = read_icdar_words(file)
    assert first == ([10, 10, 50, 12, 50, 30, 10, 28], "Genaxis, Theatre", False)
    assert [(word.text, word.ignored) for word in others] == [("###", True), (None, False), ("", False)]


def test_the_second_version_of_ctw1500s_test(tmp_path):
    image(tmp_path / "test_images" / "1001.jpg")
    lines = f"{joined(POINTS)},####Hello, you\n{joined(POINTS)},#######\n"
    write(tmp_path / "gt_ctw1500" / "0001001.txt", lines)
    assert (has_ctw1500(tmp_path, "test"), has_ctw1500(tmp_path, "train")) == (True, False)
    contents = read_ctw1500(tmp_path, "test")
    words = contents.coco["annotations"]
    assert [(word["text"], word["iscrowd"]) for word in words] == [("Hello, you", 0), ("###", 1)]
    assert words[0]["segmentation"] == [POINTS]
    (record,) = to_data(contents)
    assert record.path.name == "1001.jpg"
    assert record.instances.boxes[0].tolist() == [10, 10, 40, 20]
    (tmp_path / "test_images").rename(tmp_path / "photos")
    assert find_ctw1500(tmp_path, "test", tmp_path / "photos")[0].image == tmp_path / "photos" / "1001.jpg"


def test_the_second_version_of_ctw1500s_training_ignores_nothing(tmp_path):
    image(tmp_path / "train_images" / "train_images" / "0001.jpg")
    write(tmp_path / "ctw1500_train_labels" / "0001.xml", XML.format(joined(POINTS), joined(POINTS)))
    assert [file.image.name for file in find_ctw1500(tmp_path, "train")] == ["0001.jpg"]
    words = read_ctw1500(tmp_path, "train").coco["annotations"]
    assert [(word["text"], word["iscrowd"]) for word in words] == [("EST, 1850", 0), ("###", 0)]
    assert words[1]["segmentation"] == [POINTS]


def test_the_first_version_of_ctw1500_has_offsets(tmp_path):
    for split in ("train", "test"):
        image(tmp_path / split / "text_image" / "0003.jpg")
        write(tmp_path / split / "text_label_curve" / "0003.txt", joined(OFFSETS) + "\n\n")
        assert has_ctw1500(tmp_path, split)
        words = read_ctw1500(tmp_path, split).coco["annotations"]
        assert [word["segmentation"] for word in words] == [[POINTS]]
        assert "text" not in words[0]


@pytest.mark.parametrize(
    ("read", "name", "text", "value"),
    [
        (read_icdar_words, "1.txt", "0,0,1,0,1,1,0,1,a\n1,2,3\n", "line 2: has 3 values"),
        (read_icdar_words, "1.txt", "0,0,1,0,1,1,0,b,a\n", "line 1: 'b'"),
        (read_icdar_words, "1.txt", "0,0,1,0,1,1,0,inf,a\n", "line 1: inf"),
        (read_icdar_words, "1.txt", "0,0,1,0,1,1,0,1,ü".encode("latin-1"), ""),
        (read_ctw1500_words, "1.txt", joined(OFFSETS[:-1]), "line 1: has 31 numbers"),
        (read_ctw1500_words, "1.txt", "1,2,3,4,5,####a", "line 1: has 5 numbers"),
        (read_ctw1500_words, "1.txt", "\n1,2,x,4,5,6,####a", "line 2: 'x'"),
        (read_ctw1500_words, "1.xml", "<Annotations><image>", ""),
        (read_ctw1500_words, "1.xml", "<Annotations><image><box/></image></Annotations>", "box 1: .*`segs`"),
        (read_ctw1500_words, "1.xml", XML.format(joined(POINTS), "1,2,3"), "box 2: has 3 numbers"),
    ],
)
def test_a_broken_file_is_named_with_the_line(tmp_path, read, name, text, value):
    with pytest.raises(DataError, match=rf"{name}: .*{value}|{name}: {value}"):
        read(write(tmp_path / name, text))


@pytest.mark.parametrize(
    ("find", "file", "images"),
    [
        (find_icdar, "Challenge4_Test_Task1_GT/gt_img_1.txt", "ch4_test_images"),
        (find_ctw1500, "gt_ctw1500/0001001.txt", "test_images"),
    ],
)
def test_missing_files_are_named(tmp_path, find, file, images):
    write(tmp_path / file, "")
    image(tmp_path / images / "1002.jpg")
    with pytest.raises(DataError, match=r"1 of 1 .*1002\.jpg"):
        find(tmp_path, "test")


def test_images_that_are_not_there_are_named_when_they_are_needed(tmp_path):
    (icdar(tmp_path, names=("img_1",)) / "ch4_test_images" / "img_1.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of its 1 .*img_1\.jpg"):
        to_data(read_icdar(tmp_path, "test"))
