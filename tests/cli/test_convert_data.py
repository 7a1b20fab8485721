import json
import os
import shlex
from pathlib import Path

import pytest
from PIL import Image

from maskrcnn.data.formats import read_dataset
from tests.builders.exports import assert_equal, drawn_set, write_cvat, write_labelme, write_via, write_yolo

WRITERS = {"yolo": write_yolo, "labelme": write_labelme, "cvat": write_cvat, "via": write_via}


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


@pytest.fixture
def convert(run_cli):
    def run(*words, data="set", output="coco"):
        return run_cli("convert-data", "--data", data, "--output", output, *words)

    return run


@pytest.fixture
def yolo(photos):
    """Two splits whose images have the same names."""
    for split, seed in (("train", 0), ("val", 1)):
        write_yolo(drawn_set(photos / split, seed=seed), photos / split, photos.parent / "set", split)
    return photos.parent / "set"


@pytest.mark.parametrize("form", WRITERS)
def test_every_format_becomes_coco(convert, photos, tmp_path, form):
    WRITERS[form](drawn_set(photos), photos, tmp_path / "set")
    done = convert()
    assert done.code == 0, done.err
    assert_equal(read_dataset(tmp_path / "set"), read_dataset(tmp_path / "coco"))
    content = json.loads((tmp_path / "coco" / "train.json").read_text())
    assert all(
        {"id", "image_id", "category_id", "bbox", "area", "iscrowd"} <= set(one) for one in content["annotations"]
    )


def test_each_split_gets_a_file_and_its_own_images(convert, yolo, tmp_path):
    done = convert()
    assert done.code == 0, done.err
    assert sorted(os.listdir("coco")) == ["images", "train.json", "val.json"]
    for split in ("train", "val"):
        assert_equal(read_dataset(yolo, split), read_dataset(tmp_path / "coco", split))
        assert sorted(os.listdir(f"coco/images/{split}")) == ["p1.png", "p2.png", "p3.png"]


def test_what_was_found_and_what_to_do_next_is_said(convert, yolo):
    done = convert()
    assert ["train", "3", "1", "4", "0", "0", "0"] in [line.split() for line in done.out.splitlines()]
    assert "classes: 2 (cat, dog)" in done.out
    assert "maskrcnn train --data coco" in done.err


def test_images_can_be_left_alone_and_the_command_that_is_said_finds_them(convert, yolo):
    said = convert("--images-as", "none").err
    assert not os.path.exists("coco/images")
    words = shlex.split(next(line for line in said.splitlines() if line.startswith("  maskrcnn train")))
    assert words[:3] + words[4:5] == ["maskrcnn", "train", "--data", "--images"]
    assert_equal(read_dataset(yolo), read_dataset(words[3], images=Path(words[5])))


def test_splits_of_another_format_in_the_same_folder_are_not_meant(convert, yolo):
    (yolo / "test.json").write_text('{"images": [], "categories": [{"id": 1, "name": "cow"}]}')
    assert convert().code == 0
    assert sorted(os.listdir("coco")) == ["images", "train.json", "val.json"]


def test_images_can_be_linked_and_one_split_chosen(convert, yolo):
    assert convert("--images-as", "link", "--split", "val").code == 0
    assert os.listdir("coco/images") == ["val"]
    assert os.path.islink("coco/images/val/p1.png")
    assert not os.path.exists("coco/train.json")


def test_a_single_file_is_named_after_its_split(convert, photos, tmp_path):
    coco = drawn_set(photos)
    (tmp_path / "my_val.json").write_text(json.dumps(coco))
    assert convert("--images", "photos", data="my_val.json").code == 0
    assert len(read_dataset(tmp_path / "coco", "val").records) == 3


def test_objects_that_cannot_be_used_stop_it_or_are_left_out_and_counted(convert, yolo):
    with (yolo / "labels" / "train" / "p2.txt").open("a") as file:
        file.write("7 0.5 0.5 0.1 0.1\n" * 9)
    done = convert()
    assert (done.code, os.path.exists("coco")) == (1, False)
    assert "p2.txt: line 3: class 7" in done.err
    done = convert("--skip-invalid")
    assert done.err.count("Left out: ") == 6
    assert "Left out: 4 more objects of" in done.err
    assert ["train", "3", "1", "4", "0", "0", "9"] in [line.split() for line in done.out.splitlines()]


def test_nothing_is_written_over_without_force(convert, yolo):
    assert convert().code == 0
    again = convert()
    assert again.code == 1
    assert all(words in again.err for words in ("coco/train.json: ", "--force"))
    assert convert("--force").code == 0
    assert convert(output="set/data.yaml").err.startswith("Error: set/data.yaml: this is a file")


def test_what_is_read_is_not_written_over_even_with_force(convert, yolo):
    before = {path: path.read_bytes() for path in yolo.rglob("*") if path.is_file()}
    done = convert("--force", "--split", "train", output="set")
    assert done.code == 1
    assert {path: path.read_bytes() for path in yolo.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("data", "words", "named"),
    [
        ("nowhere", (), "nowhere"),
        ("photos", (), "`train`"),
        ("set", ("--format", "voc5"), "voc5"),
        ("set", ("--split", "test"), "`test`, but `train` (YOLO) and `val` (YOLO)"),
    ],
)
def test_what_cannot_be_read_is_said_before_anything_is_written(convert, yolo, data, words, named):
    (yolo.parent / "photos" / "train").rename(yolo.parent / "gone")
    (yolo.parent / "photos" / "val").rename(yolo.parent / "gone2")
    done = convert(*words, data=data)
    assert done.code == 1
    assert named in " ".join(done.err.split())
    assert not os.path.exists("coco")


def test_an_image_of_the_wrong_size_is_named(convert, photos, tmp_path):
    write_labelme(drawn_set(photos), photos, tmp_path / "set")
    (tmp_path / "set" / "p2.png").unlink()
    Image.new("L", (7, 9)).save(tmp_path / "set" / "p2.png")
    done = convert()
    assert (done.code, os.path.exists("coco/train.json")) == (1, False)
    assert all(word in done.err for word in ("p2.png", "7 px", "9 px", "60 x 40"))
