from dataclasses import replace

import pytest
import torch

from maskrcnn.errors import DataError
from maskrcnn.predict.class_match import match_classes
from maskrcnn.structures.classes import COCO_PERSON, CROWDPOSE_PERSON, Classes
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.panoptic import Panoptic, Segment

CATS = Classes(("person", "cat", "dog"), (1, 17, 18))


def found(*labels: int) -> Instances:
    boxes = torch.arange(4 * len(labels), dtype=torch.float32).reshape(-1, 4)
    return Instances((9, 9), boxes, torch.tensor(labels, dtype=torch.int64), torch.linspace(1, 0, len(labels)))


def test_classes_are_matched_by_name_and_others_are_left_out():
    match = match_classes(CATS, Classes(("Dog", "cat"), (5, 3)), source="pets.json")
    assert match.labels.tolist() == [-1, 1, 0]
    assert match.notes == ()
    translated = match.translate(found(0, 2, 1, 2))
    assert translated.labels.tolist() == [0, 1, 0]
    assert translated.boxes[:, 0].tolist() == [4, 8, 12]


def test_nothing_found_stays_nothing():
    assert len(match_classes(CATS, CATS, source="").translate(found())) == 0


def test_a_class_that_the_weights_do_not_know_is_noted():
    match = match_classes(CATS, Classes(("cat", "emu", "yak"), (1, 2, 3)), source="zoo.json")
    assert match.labels.tolist() == [-1, 0, -1]
    assert match.notes == ("zoo.json: the weights do not know emu, yak; nothing of it will be found",)


def test_one_class_on_both_sides_matches_whatever_the_names():
    match = match_classes(Classes(("nucleus",), (1,)), Classes(("cell",), (9,)), source="cells.json")
    assert match.labels.tolist() == [0]
    assert match.notes == ("'nucleus' of the weights is taken for 'cell' of cells.json",)
    assert match_classes(Classes(("cell",), (1,)), Classes(("Cell ",), (9,)), source="").notes == ()


def test_the_same_classes_match_also_where_names_repeat():
    twice = Classes(("cell", "cell"), (1, 2))
    assert match_classes(twice, twice, source="").labels.tolist() == [0, 1]


def test_nothing_in_common_names_both_lists():
    many = Classes(tuple(f"thing {n}" for n in range(14)), tuple(range(14)))
    with pytest.raises(DataError, match=r"a\.json: its categories are thing 0.* and 2 more, but.* person, cat, dog"):
        match_classes(CATS, many, source="a.json")


def test_keypoints_are_kept_where_the_data_set_has_the_same_ones():
    person = Classes(("person",), (1,), keypoint_schema=COCO_PERSON)
    objects = replace(found(0), keypoints=torch.ones(1, 17, 3))
    same = match_classes(person, replace(person, category_ids=(7,)), source="")
    assert (same.keypoints, same.notes) == (True, ())
    assert same.translate(objects).keypoints.shape == (1, 17, 3)
    other = match_classes(person, replace(person, keypoint_schema=CROWDPOSE_PERSON), source="crowd.json")
    assert not other.keypoints
    assert other.translate(objects).keypoints is None
    assert "crowd.json: its keypoints are left_shoulder, " in other.notes[0]
    assert match_classes(person, replace(person, keypoint_schema=None), source="").notes == ()


def test_segments_of_classes_that_the_data_set_does_not_have_become_free_pixels():
    model = replace(CATS, stuff=("sky", "sea", "grass"), stuff_ids=(3, 4, 5))
    data = Classes(("dog", "cat"), (8, 9), stuff=("Grass", "sky"), stuff_ids=(1, 2))
    segments = [
        Segment(1, 0, is_thing=True, area=1, score=0.9, instance=0),
        Segment(2, 2, is_thing=True, area=2, score=0.8, instance=1),
        Segment(3, 1, is_thing=False, area=1),
        Segment(4, 2, is_thing=False, area=2),
    ]
    panoptic = Panoptic(torch.tensor([[1, 2, 2], [3, 4, 4], [0, 0, 0]], dtype=torch.int32), segments)
    match = match_classes(model, data, source="")
    assert match.stuff == (1, -1, 0)
    translated = match.translate(replace(found(0, 2), panoptic=panoptic))
    assert translated.panoptic.map.tolist() == [[0, 1, 1], [0, 2, 2], [0, 0, 0]]
    assert translated.panoptic.segments == [
        Segment(1, 0, is_thing=True, area=2, score=0.8),
        Segment(2, 0, is_thing=False, area=2),
    ]
    assert translated.labels.tolist() == [0]
