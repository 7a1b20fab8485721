import torch

from maskrcnn.structures.keypoint_schema import COCO_PERSON
from maskrcnn.weights.foreign.classes import DATA_SETS, STUFF, classes_of, name_by_data, name_classes, name_keypoints
from maskrcnn.weights.published import PUBLISHED


def test_80_classes_are_coco_s_in_the_order_of_their_ids():
    classes = name_classes(80)
    assert (classes.names[0], classes.names[11], classes.names[79]) == ("person", "stop sign", "toothbrush")
    assert (classes.category_ids[0], classes.category_ids[11], classes.category_ids[79]) == (1, 13, 90)
    assert "N/A" not in classes.names


def test_90_classes_are_coco_s_ids_themselves():
    classes = name_classes(90)
    assert classes.category_ids == tuple(range(1, 91))
    assert (classes.names[12], classes.names[89]) == ("stop sign", "toothbrush")


def test_other_numbers_have_no_names():
    classes = name_classes(2)
    assert (classes.names, classes.category_ids) == (("class 1", "class 2"), (1, 2))
    assert name_classes(1).names == ("class 1",)


def test_coco_s_stuff_has_its_ids():
    classes = name_classes(80, stuff=53)
    assert (classes.stuff[0], classes.stuff_ids[0]) == ("banner", 92)
    assert (classes.stuff[-1], classes.stuff_ids[-1]) == ("rug-merged", 200)
    assert len(STUFF) == len(set(STUFF.values())) == 53
    assert name_classes(2, stuff=2).stuff_ids == (3, 4)


def test_17_keypoints_are_a_person_s():
    assert name_keypoints(17) == COCO_PERSON
    assert name_keypoints(0) is None
    assert name_keypoints(2).names == ("keypoint 1", "keypoint 2")
    assert name_classes(1, keypoints=17).names == ("person",)


def test_all_counts_come_from_the_tensors():
    state = {
        "box_head.0.logits.weight": torch.zeros(3, 4),
        "semantic_head.logits.weight": torch.zeros(6, 4, 1, 1),
        "keypoint_head.upsample.weight": torch.zeros(4, 7, 4, 4),
    }
    classes = classes_of(state)
    assert (len(classes), len(classes.stuff), classes.keypoint_count) == (2, 5, 7)


def test_classes_have_the_names_and_ids_of_their_data_if_it_has_as_many():
    streets = name_by_data(name_classes(8), "Cityscapes")
    assert streets.names == ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
    assert streets.category_ids == (24, 25, 26, 27, 28, 31, 32, 33)
    things = name_by_data(name_classes(20), "Pascal VOC 2007")
    assert (things.names[0], things.names[14], things.names[19]) == ("aeroplane", "person", "tvmonitor")
    assert things.category_ids == tuple(range(1, 21))
    for classes, data in ((name_classes(7), "Cityscapes"), (name_classes(8), "COCO 2017"), (name_classes(0), "")):
        assert name_by_data(classes, data) == classes


def test_every_known_data_set_is_one_that_published_checkpoints_learned_from():
    assert DATA_SETS.keys() <= {one.trained_on for one in PUBLISHED.values()}
