import re

import pytest

from maskrcnn.config import ModelSettings
from maskrcnn.data.shapes import write_shape_segments, write_shapes
from maskrcnn.doctor.class_checks import class_counts, find_in_classes, find_in_heads
from maskrcnn.doctor.splits import read_split
from tests.builders.made_set import MadeSet, named, names


@pytest.fixture
def train(tmp_path):
    """Fifty images, 25 with a cat and 25 with a dog."""
    return MadeSet(tmp_path, 50)


@pytest.fixture
def val(tmp_path):
    return MadeSet(tmp_path, 40, split="val", seed=1)


def find(*sets):
    return find_in_classes([made.table() for made in sets])


def test_a_good_set_has_no_findings(train, val):
    assert find(train, val) == find() == []


def test_objects_of_each_class_are_counted_without_crowds(tmp_path):
    made = MadeSet(tmp_path, 3)
    made.annotations[0]["iscrowd"] = 1
    assert class_counts(made.table()).tolist() == [1, 1]


def test_a_set_without_objects_is_an_error(train):
    train.annotations = train.annotations[:1]
    train.annotations[0]["iscrowd"] = 1
    found = named(find(train), "no-objects")
    assert found.severity == "error"
    assert "50 images" in found.what


def test_few_images_are_a_warning(tmp_path):
    found = named(find(MadeSet(tmp_path, 10)), "few-images")
    assert (found.severity, found.what.split(" are")[0]) == ("warning", "train: 10 images")
    assert found.settings == ("backbone.frozen_stages=3",)


def test_classes_without_objects_and_with_few_are_named(train):
    train.categories += [{"id": 7, "name": "ghost"}, {"id": 8, "name": "yeti"}]
    train.add_object(3, [0, 0, 9, 9], label=8)
    findings = find(train)
    assert re.fullmatch(r"train: 1 of 4 \(25 %\) .*: ghost\.", named(findings, "unused-classes").what)
    rare = named(findings, "rare-classes")
    assert re.fullmatch(r"train: 1 of 4 \(25 %\) .* 20 .*: yeti \(1\)\.", rare.what)
    assert rare.examples[0].words == "train_3.png, annotation 51 (yeti)"


def test_imbalance_is_noted(train):
    for number in range(1225):
        train.add_object(1 + number % 50, [0, 0, 9, 9], label=1)
    found = named(find(train), "imbalanced-classes")
    assert found.severity == "note"
    assert re.search(r"train: cat .*1,250 of 1,275 \(98 %\).* 25", found.what)


def test_other_categories_in_another_split_are_an_error(train, val):
    val.categories[1]["name"] = "wolf"
    found = named(find(train, val), "other-classes")
    assert found.severity == "error"
    assert re.search("val: .* train: 2 wolf", found.what)


def test_a_class_that_only_validation_has_is_a_warning(train, val):
    for one in train.annotations:
        one["category_id"] = 1
    found = named(find(train, val), "unseen-classes")
    assert re.search(r"val: 1 class .* train: dog \(20\)", found.what)


def test_splits_with_objects_of_other_sizes_are_a_warning(train, val):
    val.annotations = []
    for number in range(40):
        val.add_object(number + 1, [0, 0, 60, 50], label=1 + number % 2)
    found = named(find(train, val), "shifted-sizes")
    assert re.search("val: .* 55 px.* train 22 px", found.what)


def test_crowds_are_noted_and_many_of_them_advised_against(train):
    train.annotations[4]["iscrowd"] = 1
    found = named(find(train), "crowds")
    assert found.what.startswith("train: 1 of 50 (2.0 %) objects")
    assert "These are many" not in found.advice
    for one in train.annotations[:5]:
        one["iscrowd"] = 1
    assert "These are many" in named(find(train), "crowds").advice


def test_empty_images_are_noted_and_most_of_them_a_warning(train):
    del train.annotations[10]
    found = named(find(train), "empty-images")
    assert (found.severity, found.count) == ("note", 1)
    assert found.examples[0].words == "train_11.png"
    train.annotations = train.annotations[:20]
    findings = find(train)
    assert named(findings, "empty-images").severity == "warning"
    assert "no-objects" not in names(findings)


def in_heads(split, **settings):
    return names(find_in_heads([split], ModelSettings.model_validate(settings)))


def test_keypoints_and_stuff_need_their_heads(tmp_path):
    made = MadeSet(tmp_path)
    assert in_heads(made.split()) == list(find_in_heads([], ModelSettings())) == []
    for category in made.categories:
        category["keypoints"] = ["nose", "tail"]
    assert in_heads(made.split()) == ["keypoints-not-trained"]
    assert in_heads(made.split(), keypoint_head={}) == []
    write_shapes(tmp_path / "panoptic", train=2, val=1, size=48, seed=0)
    write_shape_segments(tmp_path / "panoptic", train=2, val=1, size=48, seed=0)
    file = tmp_path / "panoptic" / "panoptic_train.json"
    split, _ = read_split(file, "train", images=file.parent / "images")
    assert in_heads(split) == ["stuff-not-trained"]
    assert in_heads(split, semantic_head={"classes": 2}) == []
