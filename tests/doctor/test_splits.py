import re

import numpy as np
import pytest

from maskrcnn.data.shapes import write_shape_segments, write_shapes
from maskrcnn.doctor.splits import read_split, read_splits
from maskrcnn.errors import DataError, SettingError
from tests.builders.made_set import MadeSet, named


def test_all_splits_of_a_folder_are_read(tmp_path):
    MadeSet(tmp_path, 3).write()
    MadeSet(tmp_path, 2, split="val", seed=1).write()
    read = read_splits(tmp_path)
    assert [(split.name, len(split.data.records)) for split in read.splits] == [("train", 3), ("val", 2)]
    assert read.findings == []


def test_a_file_is_one_split_and_validation_data_another_also_the_same(tmp_path):
    first, second = MadeSet(tmp_path / "a", 3).write(), MadeSet(tmp_path / "b", 2, split="train", seed=1).write()
    for val, images in ((second, 2), (first, 3)):
        read = read_splits(first, val=val)
        assert [(split.name, len(split.data)) for split in read.splits] == [("train", 3), ("val", images)]
    MadeSet(tmp_path / "a", 2, split="val", seed=2).write()
    assert [split.name for split in read_splits(tmp_path / "a", names=["val"]).splits] == ["val"]


def test_boxes_and_ids_are_those_of_the_file_in_the_order_of_the_records(tmp_path):
    made = MadeSet(tmp_path, 2)
    made.add_object(1, [80, 50, 40, 10])  # reaches 24 px over the right border
    made.add_object(1, [0, 0, 0, 5])  # invalid
    del made.annotations[1]["bbox"]
    split = made.split()
    assert split.ids == (1, 3, 2)
    np.testing.assert_array_equal(split.boxes[:2], [[20, 16, 44, 36], [80, 50, 120, 60]])
    assert np.isnan(split.boxes[2]).all()
    assert split.data.records[0].instances.boxes[1].tolist() == [80, 50, 96, 60]


def test_objects_that_break_a_rule_are_reported_and_the_others_kept(tmp_path):
    made = MadeSet(tmp_path, 3)
    made.annotations[1]["bbox"] = [5, 5, -3, 4]
    made.annotations[2]["category_id"] = 77
    split, findings = read_split(made.write(), "train")
    found = named(findings, "invalid-objects")
    assert (found.severity, found.count) == ("error", 2)
    assert "--skip-invalid" in found.advice
    assert "annotation 2 (train_2.png): box [5, 5, -3, 4]" in found.examples[0].words
    assert [len(record.instances) for record in split.data.records] == [1, 0, 0]


def test_an_area_that_cannot_be_right_is_reported(tmp_path):
    made = MadeSet(tmp_path, 3)
    made.annotations[1]["area"] = 0
    found = named(read_split(made.write(), "train")[1], "derived-fields")
    assert found.severity == "warning"
    assert all(words in found.what for words in ("`area`", "annotation 2"))


def test_images_that_are_not_there_are_reported_and_the_others_kept(tmp_path):
    made = MadeSet(tmp_path, 4)
    (tmp_path / "images" / "train_3.png").unlink()
    split, findings = read_split(made.write(), "train")
    found = named(findings, "missing-images")
    assert (found.severity, found.count) == ("error", 1)
    assert found.what.startswith("train: 1 of 4 (25 %) images of train.json")
    assert found.examples[0].words.endswith("train_3.png")
    assert [record.image_id for record in split.data.records] == [1, 2, 4]
    assert split.data.skipped == []
    assert split.ids == (1, 2, 4)


def test_a_first_image_that_is_not_there_does_not_hide_the_others(tmp_path):
    made = MadeSet(tmp_path, 4)
    (tmp_path / "images" / "train_1.png").unlink()
    made.write()
    read = read_splits(tmp_path)
    assert named(read.findings, "missing-images").count == 1
    assert len(read.splits[0].data.records) == 3
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    assert "train.json" in named(read_splits(tmp_path).findings, "unreadable-split").what


def test_a_broken_image_whose_record_has_no_size_is_reported(tmp_path):
    made = MadeSet(tmp_path, 3)
    del made.images[1]["width"]
    (tmp_path / "images" / "train_2.png").write_bytes(b"no image")
    split, findings = read_split(made.write(), "train")
    assert "train_2.png" in named(findings, "unreadable-images").examples[0].words
    assert len(split.data.records) == 2


def test_a_split_that_cannot_be_read_does_not_hide_the_other(tmp_path):
    MadeSet(tmp_path, 3).write()
    (tmp_path / "val.json").write_text('{"images": [')
    read = read_splits(tmp_path)
    assert [split.name for split in read.splits] == ["train"]
    found = named(read.findings, "unreadable-split")
    assert found.severity == "error"
    assert re.search("val: .*val.json.*line 1", found.what)


def test_segments_of_a_panoptic_file_are_objects_without_boxes_of_the_file(tmp_path):
    write_shapes(tmp_path, train=2, val=1, size=48, seed=0)
    write_shape_segments(tmp_path, train=2, val=1, size=48, seed=0)
    split, findings = read_split(tmp_path / "panoptic_train.json", "train", images=tmp_path / "images")
    assert findings == []
    assert len(split.ids) == sum(len(record.instances) for record in split.data.records) > 0
    assert np.isnan(split.boxes).all()


def test_an_image_id_of_a_strange_kind_is_an_invalid_object(tmp_path):
    made = MadeSet(tmp_path, 2)
    made.annotations[0]["image_id"] = [1]
    (tmp_path / "images" / "train_2.png").unlink()
    split, findings = read_split(made.write(), "train")
    assert named(findings, "invalid-objects").count == 1
    assert len(split.data.records) == 1


def test_nothing_known_is_an_error_at_the_door(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        read_splits(tmp_path / "nowhere")
    with pytest.raises(DataError, match=re.escape(str(tmp_path))):
        read_splits(tmp_path)
    with pytest.raises(SettingError, match="betamax"):
        read_splits(tmp_path, form="betamax")


def test_a_split_that_is_asked_for_and_not_there_is_a_finding(tmp_path):
    MadeSet(tmp_path, 2).write()
    read = read_splits(tmp_path, names=["train", "test"])
    assert [split.name for split in read.splits] == ["train"]
    assert "test: " in named(read.findings, "unreadable-split").what
