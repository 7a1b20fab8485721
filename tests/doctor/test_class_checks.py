from maskrcnn.config import ModelSettings
from maskrcnn.data.shapes import write_shape_segments, write_shapes
from maskrcnn.doctor.class_checks import class_counts, find_in_classes, find_in_heads
from maskrcnn.doctor.splits import read_split
from tests.builders.made_set import MadeSet, named, names


def sound(folder, split="train", images=50, seed=0):
    return MadeSet(folder, images, split=split, seed=seed)


def test_a_sound_set_has_no_findings(tmp_path):
    assert find_in_classes([sound(tmp_path).table(), sound(tmp_path, "val", 40, 1).table()]) == []
    assert find_in_classes([]) == []


def test_objects_of_each_class_are_counted_without_crowds(tmp_path):
    made = MadeSet(tmp_path, 3)
    made.annotations[0]["iscrowd"] = 1
    assert class_counts(made.table()).tolist() == [1, 1]


def test_a_set_without_objects_is_an_error(tmp_path):
    made = sound(tmp_path)
    made.annotations = made.annotations[:1]
    made.annotations[0]["iscrowd"] = 1
    found = named(find_in_classes([made.table()]), "no-objects")
    assert found.severity == "error"
    assert "none of its 50 images has an object that is no crowd" in found.what


def test_few_images_are_a_warning(tmp_path):
    found = named(find_in_classes([MadeSet(tmp_path, 10).table()]), "few-images")
    assert found.severity == "warning"
    assert found.what == "train: 10 images are few to learn from."
    assert found.settings == ("backbone.frozen_stages=3",)


def test_classes_without_objects_and_with_few_are_named(tmp_path):
    made = sound(tmp_path)
    made.categories += [{"id": 7, "name": "ghost"}, {"id": 8, "name": "yeti"}]
    made.add_object(3, [0, 0, 9, 9], label=8)
    findings = find_in_classes([made.table()])
    assert named(findings, "unused-classes").what == "train: 1 of 4 (25 %) classes have no object: ghost."
    rare = named(findings, "rare-classes")
    assert rare.what == "train: 1 of 4 (25 %) classes have fewer than 20 objects: yeti (1)."
    assert rare.examples[0].words == "train_3.png, annotation 51 (yeti)"


def test_imbalance_is_noted(tmp_path):
    made = sound(tmp_path)
    for number in range(1225):
        made.add_object(1 + number % 50, [0, 0, 9, 9], label=1)
    found = named(find_in_classes([made.table()]), "imbalanced-classes")
    assert found.severity == "note"
    assert found.what == "train: cat has 1,250 objects, 1,250 of 1,275 (98 %), and the rarest class 25."


def test_other_categories_in_another_split_are_an_error(tmp_path):
    other = sound(tmp_path, "val", 40, 1)
    other.categories[1]["name"] = "wolf"
    found = named(find_in_classes([sound(tmp_path).table(), other.table()]), "other-classes")
    assert found.severity == "error"
    assert found.what == "val: its categories differ from those of train: 2 wolf."


def test_a_class_that_only_validation_has_is_a_warning(tmp_path):
    train, val = sound(tmp_path), sound(tmp_path, "val", 40, 1)
    for one in train.annotations:
        one["category_id"] = 1
    found = named(find_in_classes([train.table(), val.table()]), "unseen-classes")
    assert found.what == "val: 1 class has objects here, but none in train: dog (20)."


def test_splits_with_objects_of_other_sizes_are_a_warning(tmp_path):
    val = sound(tmp_path, "val", 40, 1)
    val.annotations = []
    for number in range(40):
        val.add_object(number + 1, [0, 0, 60, 50], label=1 + number % 2)
    found = named(find_in_classes([sound(tmp_path).table(), val.table()]), "shifted-sizes")
    assert found.what == "val: the median object is 55 px large, in train 22 px."


def test_crowds_are_noted_and_many_of_them_advised_against(tmp_path):
    made = sound(tmp_path)
    made.annotations[4]["iscrowd"] = 1
    found = named(find_in_classes([made.table()]), "crowds")
    assert found.what == "train: 1 of 50 (2.0 %) objects are crowds (`iscrowd` 1)."
    assert "These are many" not in found.advice
    for one in made.annotations[:5]:
        one["iscrowd"] = 1
    assert "These are many" in named(find_in_classes([made.table()]), "crowds").advice


def test_empty_images_are_noted_and_most_of_them_a_warning(tmp_path):
    made = sound(tmp_path)
    del made.annotations[10]
    found = named(find_in_classes([made.table()]), "empty-images")
    assert (found.severity, found.what) == ("note", "train: 1 of 50 (2.0 %) images have no object to learn from.")
    assert found.examples[0].words == "train_11.png"
    made.annotations = made.annotations[:20]
    findings = find_in_classes([made.table()])
    assert named(findings, "empty-images").severity == "warning"
    assert "no-objects" not in names(findings)


def test_objects_and_masks_need_no_other_head(tmp_path):
    assert list(find_in_heads([MadeSet(tmp_path).split()], ModelSettings())) == []
    assert list(find_in_heads([], ModelSettings())) == []


def test_keypoints_want_their_head(tmp_path):
    made = MadeSet(tmp_path)
    for category in made.categories:
        category["keypoints"] = ["nose", "tail"]
    (found,) = find_in_heads([made.split()], ModelSettings())
    assert found.what == "train: objects have 2 keypoints each, but the network has no head for them."
    assert list(find_in_heads([made.split()], ModelSettings.model_validate({"keypoint_head": {}}))) == []


def test_stuff_wants_its_head(tmp_path):
    write_shapes(tmp_path, train=2, val=1, size=48, seed=0)
    write_shape_segments(tmp_path, train=2, val=1, size=48, seed=0)
    split, _ = read_split(tmp_path / "panoptic_train.json", "train", images=tmp_path / "images")
    (found,) = find_in_heads([split], ModelSettings())
    assert found.name == "stuff-not-learned"
    assert list(find_in_heads([split], ModelSettings.model_validate({"semantic_head": {"classes": 2}}))) == []
