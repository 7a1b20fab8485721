import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.readers.coco import to_data
from maskrcnn.data.readers.text import find_ctw1500, has_ctw1500, read_ctw1500, read_ctw1500_words
from maskrcnn.errors import DataError

ABOVE = [(10 + 5 * i, 10) for i in range(7)]
BELOW = [(10 + 5 * i, 20) for i in reversed(range(7))]
POINTS = [value for point in (*ABOVE, *BELOW) for value in point]
OFFSETS = [10, 10, 40, 20, *(value - 10 for value in POINTS)]
XML = """<Annotations><image file="0001.jpg">
<box height="10" left="10" top="10" width="30"><label>EST, 1850</label><segs>{}</segs></box>
<box height="10" left="10" top="10" width="30"><label>###</label><segs>{}</segs></box>
</image></Annotations>"""


def joined(numbers):
    return ",".join(map(str, numbers))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(path)


def test_the_second_version_of_the_test(tmp_path):
    image(tmp_path / "test_images" / "1001.jpg")
    lines = f"{joined(POINTS)},####Hello, you\n{joined(POINTS)},#######\n"
    write(tmp_path / "gt_ctw1500" / "0001001.txt", lines)
    assert has_ctw1500(tmp_path, "test")
    assert not has_ctw1500(tmp_path, "train")
    contents = read_ctw1500(tmp_path, "test")
    words = contents.coco["annotations"]
    assert [(word["text"], word["iscrowd"]) for word in words] == [("Hello, you", 0), ("###", 1)]
    assert words[0]["segmentation"] == [POINTS]
    data = to_data(contents)
    assert data.records[0].path.name == "1001.jpg"
    assert data.records[0].instances.boxes[0].tolist() == [10, 10, 40, 20]


def test_the_second_version_of_training_ignores_nothing(tmp_path):
    image(tmp_path / "train_images" / "train_images" / "0001.jpg")
    write(tmp_path / "ctw1500_train_labels" / "0001.xml", XML.format(joined(POINTS), joined(POINTS)))
    assert [file.image.name for file in find_ctw1500(tmp_path, "train")] == ["0001.jpg"]
    words = read_ctw1500(tmp_path, "train").coco["annotations"]
    assert [(word["text"], word["iscrowd"]) for word in words] == [("EST, 1850", 0), ("###", 0)]
    assert words[1]["segmentation"] == [POINTS]


def test_the_first_version_has_offsets(tmp_path):
    for split in ("train", "test"):
        image(tmp_path / split / "text_image" / "0003.jpg")
        write(tmp_path / split / "text_label_curve" / "0003.txt", joined(OFFSETS) + "\n\n")
        assert has_ctw1500(tmp_path, split)
        words = read_ctw1500(tmp_path, split).coco["annotations"]
        assert [word["segmentation"] for word in words] == [[POINTS]]
        assert "text" not in words[0]


def test_images_may_lie_elsewhere(tmp_path):
    image(tmp_path / "photos" / "1001.jpg")
    write(tmp_path / "set" / "gt_ctw1500" / "0001001.txt", f"{joined(POINTS)},####a")
    files = find_ctw1500(tmp_path / "set", "test", tmp_path / "photos")
    assert files[0].image == tmp_path / "photos" / "1001.jpg"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("1.txt", joined(OFFSETS[:-1]), r"line 1: has 31 numbers, but must be xmin,ymin,xmax,ymax and 14 offsets"),
        ("1.txt", "1,2,3,4,5,####a", "line 1: has 5 numbers, but x and y of at least 3 points are needed"),
        ("1.txt", "\n1,2,x,4,5,6,####a", "line 2: 'x' is not a number"),
        ("1.xml", "<Annotations><image>", "is not complete XML"),
        ("1.xml", "<Annotations><image><box/></image></Annotations>", "box 1: has no `segs`"),
        ("1.xml", XML.format(joined(POINTS), "1,2,3"), "box 2: has 3 numbers"),
    ],
)
def test_a_broken_file_is_named(tmp_path, name, text, message):
    with pytest.raises(DataError, match=message):
        read_ctw1500_words(write(tmp_path / name, text))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"split test.*gt_ctw1500/0001001\.txt"):
        find_ctw1500(tmp_path, "test")
    write(tmp_path / "gt_ctw1500" / "0001001.txt", "")
    image(tmp_path / "test_images" / "1002.jpg")
    with pytest.raises(DataError, match=r"1 of 1 images have no file of their words: .*1002\.jpg"):
        find_ctw1500(tmp_path, "test")
