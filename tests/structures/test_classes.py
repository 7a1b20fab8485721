import pickle

import pytest

from maskrcnn.structures.classes import Classes
from maskrcnn.structures.keypoint_schema import COCO_PERSON

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
