import pytest
import torch

from maskrcnn.structures.keypoint_schema import (
    COCO_PERSON,
    CROWDPOSE_PERSON,
    USUAL_SIGMA,
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
        ({"keypoints": "nose"}, "`keypoints` is 'nose', but must be a list of names"),
        ({"keypoints": ["nose", "nose"]}, "must be some, all different"),
        ({"sigmas": [0.1]}, r"sigmas are \[0.1\], but there must be one per keypoint \(4\), between 0 and 1"),
        ({"sigmas": [0.1, 0.1, 0.1, 0]}, "one per keypoint"),
        ({"sigmas": 0.1}, "`sigmas` is 0.1, but must be a list of numbers"),
        ({"skeleton": [[4, 5]]}, r"skeleton lines contain \[4, 5\] \(counted from 1\)"),
        ({"skeleton": [[1, 2, 3]]}, r"`skeleton` contains \[1, 2, 3\], but must be a list of pairs"),
        ({"flip_pairs": 7}, "`flip_pairs` is a int"),
        ({"flip_pairs": [[2, 2]]}, r"flip pairs contain \[2, 2\]"),
        ({"flip_pairs": [[2, 3], [3, 4]]}, "name a keypoint twice"),
    ],
)
def test_a_category_that_contradicts_itself_is_described(change, message):
    with pytest.raises(ValueError, match=message):
        keypoint_schema_of(DOG | change)


def test_in_cocos_files_the_middle_of_the_first_pixel_is_at_0():
    found = in_whole_pixels(torch.tensor([[[0.5, 2.0, 0.75], [1.5, 0.5, 3.0]]]))
    assert found.tolist() == [[0, 1.5, 0.75, 1, 0, 3]]
    assert in_whole_pixels(torch.zeros(0, 2, 3)).shape == (0, 6)


def test_categories_share_one_skeleton():
    assert shared_keypoint_schema([{"name": "cat"}, DOG, DOG | {"name": "wolf"}]) == keypoint_schema_of(DOG)
    assert shared_keypoint_schema([{"name": "cat"}]) is None
    with pytest.raises(ValueError, match="the categories dog, person have different keypoints"):
        shared_keypoint_schema([DOG, {"name": "person"} | COCO_PERSON.described()])
