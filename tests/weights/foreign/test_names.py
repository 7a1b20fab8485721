import pytest
import torch

from maskrcnn.errors import WeightsError
from maskrcnn.structures.classes import COCO_PERSON
from maskrcnn.weights.foreign.names import (
    DATASETS,
    STUFF,
    classes_of,
    find_origins,
    name_by_data,
    name_classes,
    name_keypoints,
    normed,
    rename,
    rename_back,
)
from maskrcnn.weights.published import PUBLISHED

TABLE = [("head.{i}.", "heads.{i+1}."), ("head.", "rest."), ("rows.{i*3+1}.", "norms.{i}."), ("deep.*", "below.*")]
CONVOLUTIONS = [*normed("fpn{i+2}.", "neck.{i}."), ("conv1.", "backbone.stem.convolution.")]
NAMES = {
    "head.2.weight": "heads.3.weight",
    "head.weight": "rest.weight",
    "rows.4.bias": "norms.1.bias",
    "deep.er.weight": "below.er.weight",
}


@pytest.mark.parametrize(("theirs", "ours"), NAMES.items())
def test_the_first_pair_that_fits_counts_in_both_directions(theirs, ours):
    assert rename(theirs, TABLE) == ours
    assert rename_back(ours, TABLE) == theirs


@pytest.mark.parametrize("name", ["backbone.head.2.weight", "head.head.weight", "rows.3.bias", "rows.0.bias", "head"])
def test_a_name_fits_as_a_whole_with_one_leaf_or_not_at_all(name):
    assert rename(name, TABLE) is None


def test_names_are_spelled_as_the_table_has_them_and_origins_as_the_file():
    assert find_origins(["HEAD.0.bias"], TABLE, "x", "", spell=str.lower) == {"heads.1.bias": "HEAD.0.bias"}


@pytest.mark.parametrize(
    ("names", "table", "left"),
    [
        pytest.param(["head.0.bias", "other.bias", "more.bias"], TABLE, "2 .*other.bias, more.bias", id="unknown"),
        pytest.param(["a1.w", "a2.w"], [("a{i}.", "b.")], "1 .*a2.w", id="a second for one place"),
    ],
)
def test_tensors_without_a_place_are_all_named(names, table, left):
    with pytest.raises(WeightsError, match=rf"^x\.pth: {left}.*plain ResNets"):
        find_origins(names, table, "x.pth", "plain ResNets")


def test_a_convolution_without_a_norm_is_a_plain_one_and_the_backbone_s_always_have_theirs():
    names = ["fpn4.weight", "fpn4.norm.weight", "fpn3.weight", "fpn3.bias", "conv1.weight"]
    origins = find_origins(names, CONVOLUTIONS, "x", "")
    assert list(origins) == [
        *("neck.2.convolution.weight", "neck.2.norm.weight", "neck.1.weight", "neck.1.bias"),
        "backbone.stem.convolution.weight",
    ]
    assert [rename_back(name, CONVOLUTIONS) for name in origins] == names


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


def test_every_known_dataset_is_one_that_published_checkpoints_were_trained_on():
    assert DATASETS.keys() <= {one.trained_on for one in PUBLISHED.values()}
