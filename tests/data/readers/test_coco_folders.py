import json
from pathlib import Path

import pytest

from maskrcnn.data.readers.coco_folders import find_coco, has_split, split_of
from maskrcnn.errors import DataError


def lay_out(root: Path, *files: str) -> Path:
    """Empty images, and annotation files that name one of them."""
    for file in files:
        path, _, image = file.partition(" > ")
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(json.dumps({"annotations": [], "images": [{"file_name": image}]} if image else ""))
    return root


@pytest.mark.parametrize(
    ("split", "annotations", "image"),
    [
        ("train", "train.json", "images/a.jpg"),
        ("val", "val.json", "images/a.jpg"),
        ("val", "valid.json", "a.jpg"),
        ("train", "instances_train2017.json", "train2017/a.jpg"),
        ("train", "annotations/instances_train2017.json", "train2017/a.jpg"),
        ("val", "annotations/instances_val2014.json", "images/val2014/a.jpg"),
        ("val", "annotations/val.json", "images/val/a.jpg"),
        ("train", "annotations/train.json", "images/a.jpg"),
        ("train", "train/_annotations.coco.json", "train/a.jpg"),
        ("val", "valid/_annotations.coco.json", "valid/a.jpg"),
        ("test", "test/_annotations.coco.json", "test/a.jpg"),
        ("train", "json/crowdpose_train.json", "images/a.jpg"),
    ],
)
def test_each_layout_is_found(tmp_path: Path, split: str, annotations: str, image: str):
    lay_out(tmp_path, f"{annotations} > a.jpg", image, "images/other.jpg")
    expected = (tmp_path / annotations, (tmp_path / image).parent)
    assert find_coco(tmp_path, split) == expected
    assert find_coco(tmp_path / annotations) == expected
    assert split_of(tmp_path / annotations) == split


@pytest.mark.parametrize(
    ("files", "split", "folder"),
    [
        (("val.json > a.jpg", "train.json > a.jpg", "val/a.jpg", "train/a.jpg"), "val", "val"),
        (("val.json > a.jpg", "train.json > a.jpg", "val/a.jpg", "train/a.jpg"), "train", "train"),
        (("train.json > images/a.jpg", "images/a.jpg"), "train", "."),
        (("train.json",), "train", "images/train"),
    ],
)
def test_the_folder_of_the_images_is_the_splits_or_that_of_the_first_name(tmp_path: Path, files, split, folder):
    assert find_coco(lay_out(tmp_path, *files), split).images == tmp_path / folder
    assert find_coco(tmp_path, split, images=tmp_path / "photos").images == tmp_path / "photos"


COCO = '{"images": [{"file_name": "a.jpg"}], "annotations": [], "categories": []}'


@pytest.mark.parametrize("name", ["result.json", "annotations/instances_default.json", "_annotations.coco.json"])
def test_the_only_file_of_coco_in_a_folder_may_have_any_name(tmp_path: Path, name):
    lay_out(tmp_path, "images/a.jpg")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(COCO)
    (tmp_path / "results.json").write_text("[]")
    (tmp_path / "notes.json").write_text('{"images": 3}')
    assert find_coco(tmp_path) == (tmp_path / name, tmp_path / "images")
    assert has_split(tmp_path, "train")
    assert not has_split(tmp_path, "val")
    (tmp_path / "other.json").write_text(COCO)
    assert not has_split(tmp_path, "train")


def test_a_file_name_that_is_no_json_is_named_with_its_file(tmp_path: Path):
    (tmp_path / "train.json").write_text(r'{"images": [{"file_name": "a\x.jpg"}]}')
    with pytest.raises(DataError, match=r"train.json: `file_name`"):
        find_coco(tmp_path)


def test_the_names_of_annotations_are_no_images(tmp_path: Path):
    lay_out(tmp_path, "images/a.jpg")
    contents = {"annotations": [{"file_name": "a.png"}], "images": [{"file_name": "a.jpg"}]}
    (tmp_path / "panoptic_train.json").write_text(json.dumps(contents))
    assert find_coco(tmp_path / "panoptic_train.json").images == tmp_path / "images"


def test_a_missing_split_says_what_was_looked_for(tmp_path: Path):
    lay_out(tmp_path, "train.json > a.jpg", "a.jpg")
    assert has_split(tmp_path, "train")
    assert not has_split(tmp_path, "val")
    with pytest.raises(DataError, match=r"`val` .* val.json, valid.json, .*annotations.coco"):
        find_coco(tmp_path, "val")


def test_what_is_missing_is_named_with_where_was_looked(tmp_path: Path):
    with pytest.raises(DataError, match="gone"):
        find_coco(tmp_path / "gone")
    with pytest.raises(DataError, match=r"train.json: .* a.jpg in .*images"):
        find_coco(lay_out(tmp_path, "train.json > a.jpg"))


def test_the_folder_is_found_where_the_first_image_is_missing(tmp_path: Path):
    lay_out(tmp_path, "images/1.jpg")
    (tmp_path / "train.json").write_text(json.dumps({"images": [{"file_name": f"{i}.jpg"} for i in range(50)]}))
    assert find_coco(tmp_path).images == tmp_path / "images"
