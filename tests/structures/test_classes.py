import pickle

import pytest
import torch

from maskrcnn.structures.classes import (
    COCO_PERSON,
    CROWDPOSE_PERSON,
    USUAL_SIGMA,
    Classes,
    KeypointSchema,
    guess_flip_pairs,
    in_whole_pixels,
    keypoint_schema_of,
    shared_keypoint_schema,
)

DOG = {"name": "dog", "keypoints": ["nose", "left_ear", "right_ear", "tail"], "skeleton": [[1, 2], [1, 3], [3, 4]]}


@pytest.mark.parametrize(("keypoint_schema", "count"), [(COCO_PERSON, 17), (CROWDPOSE_PERSON, 14)])
def test_the_built_in_skeletons_agree_with_their_names(keypoint_schema, count):
    assert len(keypoint_schema) == count
    assert keypoint_schema.flip_pairs == guess_flip_pairs(keypoint_schema.names)
    assert {keypoint_schema.names[place] for place, other in enumerate(keypoint_schema.mirrored) if place == other} <= {
        *("nose", "head", "neck")
    }
    joined = {place for edge in keypoint_schema.edges for place in edge}
    assert joined == set(range(count))


def test_both_halves_of_a_pair_are_annotated_alike():
    for keypoint_schema in (COCO_PERSON, CROWDPOSE_PERSON):
        assert all(
            keypoint_schema.sigmas[left] == keypoint_schema.sigmas[right] for left, right in keypoint_schema.flip_pairs
        )


def test_a_mirror_image_of_a_mirror_image_is_the_image():
    order = torch.tensor(COCO_PERSON.mirrored)
    assert torch.equal(order[order], torch.arange(17))
    assert order[[0, 1, 2]].tolist() == [0, 2, 1]


def test_keypoints_named_as_cocos_have_cocos_sigmas_whatever_lines_the_file_has():
    category = {"keypoints": list(COCO_PERSON.names), "skeleton": [[1, 2]]}
    assert keypoint_schema_of(category) == COCO_PERSON
    crowd = {"keypoints": list(CROWDPOSE_PERSON.names), "skeleton": [[16, 14], [14, 12]]}
    assert keypoint_schema_of(crowd) == CROWDPOSE_PERSON


def test_what_is_described_can_be_read_again():
    assert keypoint_schema_of(COCO_PERSON.described()) == COCO_PERSON
    dog = keypoint_schema_of(DOG | {"sigmas": [0.1, 0.2, 0.2, 0.3]})
    assert keypoint_schema_of(dog.described()) == dog


def test_pairs_and_sigmas_are_guessed_where_the_file_has_none():
    dog = keypoint_schema_of(DOG)
    assert dog == KeypointSchema(tuple(DOG["keypoints"]), ((1, 2),), ((0, 1), (0, 2), (2, 3)), (USUAL_SIGMA,) * 4)
    assert keypoint_schema_of(DOG | {"flip_pairs": []}).flip_pairs == ()
    assert keypoint_schema_of({"name": "cat"}) is None


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (("L_paw", "R_paw"), ((0, 1),)),
        (("paw_r", "paw_l"), ((1, 0),)),
        (("Right Eye", "Left Eye", "lefty"), ((1, 0),)),
        (("nose", "left_eye"), ()),
    ],
)
def test_names_that_differ_in_their_side_are_pairs(names, pairs):
    assert guess_flip_pairs(names) == pairs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": "nose"}, "keypoints.*nose"),
        ({"keypoints": ["nose", "nose"]}, "nose"),
        ({"sigmas": [0.1]}, r"sigmas.*\[0.1\].* 0 .* 1"),
        ({"sigmas": [0.1, 0.1, 0.1, 0]}, "sigmas"),
        ({"sigmas": 0.1}, "sigmas.*0.1"),
        ({"flip_pairs": 7}, "flip_pairs.*int"),
        ({"flip_pairs": [[2, 2]]}, r"\[2, 2\]"),
        ({"flip_pairs": [[2, 3], [3, 4]]}, "flip pairs"),
    ],
)
def test_a_category_that_contradicts_itself_is_described(change, message):
    with pytest.raises(ValueError, match=message):
        keypoint_schema_of(DOG | change)


@pytest.mark.parametrize(
    ("skeleton", "edges"),
    [
        pytest.param([[1, 2], [3, 4]], ((0, 1), (2, 3)), id="counted from 1"),
        pytest.param([[0, 1], [2, 3]], ((0, 1), (2, 3)), id="counted from 0"),
        pytest.param([["nose", "tail"]], ((0, 3),), id="names"),
        pytest.param([[1.0, 2.0]], ((0, 1),), id="floats"),
        pytest.param([[1, 2], [4, 5], [3, 3], [1, 2, 3], 7, ["paw", 1], [None, 1]], ((0, 1),), id="odd lines"),
        pytest.param("none", (), id="text"),
        pytest.param(None, (), id="null"),
        pytest.param([[float("nan"), 1]], (), id="NaN"),
    ],
)
def test_lines_are_only_drawn_so_that_odd_ones_are_left_out(skeleton, edges):
    assert keypoint_schema_of(DOG | {"skeleton": skeleton}).edges == edges


def test_in_cocos_files_the_middle_of_the_first_pixel_is_at_0():
    found = in_whole_pixels(torch.tensor([[[0.5, 2.0, 0.75], [1.5, 0.5, 3.0]]]))
    assert found.tolist() == [[0, 1.5, 0.75, 1, 0, 3]]
    assert in_whole_pixels(torch.zeros(0, 2, 3)).shape == (0, 6)


def test_categories_share_one_skeleton():
    assert shared_keypoint_schema([{"name": "cat"}, DOG, DOG | {"name": "wolf"}]) == keypoint_schema_of(DOG)
    assert shared_keypoint_schema([DOG, DOG | {"name": "wolf", "skeleton": [[1, 4]]}]) == keypoint_schema_of(DOG)
    assert shared_keypoint_schema([{"name": "cat"}]) is None
    with pytest.raises(ValueError, match="dog, person"):
        shared_keypoint_schema([DOG, {"name": "person"} | COCO_PERSON.described()])


CLASSES = Classes(names=("cat", "dog", "owl"), category_ids=(17, 3, 90))


def test_labels_count_from_0_whatever_the_category_ids_are():
    assert [CLASSES.label_of(category_id) for category_id in (17, 3, 90)] == [0, 1, 2]
    assert len(CLASSES) == 3


def test_an_unknown_category_id_is_a_key_error():
    with pytest.raises(KeyError, match="4"):
        CLASSES.label_of(4)


def test_classes_are_equal_if_names_and_ids_are():
    other = Classes(names=("cat", "dog", "owl"), category_ids=(17, 3, 90))
    other.label_of(3)
    assert other == CLASSES
    assert hash(other) == hash(CLASSES)
    assert pickle.loads(pickle.dumps(other)) == CLASSES
    assert Classes(("cat", "dog", "owl"), (17, 3, 91)) != CLASSES


def test_a_data_set_may_have_no_classes():
    assert len(Classes((), ())) == 0


def test_stuff_has_names_and_ids_of_its_own():
    classes = Classes(("cat",), (17,), stuff=("sky", "grass"), stuff_ids=(187, 193))
    assert len(classes) == 1
    assert classes != Classes(("cat",), (17,))


def test_classes_may_have_a_skeleton():
    person = Classes(("person",), (1,), keypoint_schema=COCO_PERSON)
    assert (person.keypoint_count, CLASSES.keypoint_count) == (17, 0)
    assert pickle.loads(pickle.dumps(person)) == person != Classes(("person",), (1,))
