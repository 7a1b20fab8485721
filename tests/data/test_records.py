from dataclasses import replace
from pathlib import Path

import pytest
import torch

from maskrcnn.data.records import CocoData, Record, common_folder, has_objects, require_objects
from maskrcnn.errors import DataError
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.instances import Instances


def record(*crowd: bool, known: bool = True) -> Record:
    """A picture with one object per truth value, which says whether it is a crowd."""
    count = len(crowd)
    objects = Instances(
        size=(10, 10),
        boxes=torch.zeros(count, 4),
        labels=torch.zeros(count, dtype=torch.int64),
        crowd=torch.tensor(crowd, dtype=torch.bool) if known else None,
    )
    return Record(Path("cat.jpg"), 1, (10, 10), {}, objects)


def data(*records: Record, skipped: tuple[str, ...] = ()) -> CocoData:
    return CocoData(Path("train.json"), list(records), Classes(("cat",), (1,)), dict, list(skipped))


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (record(), False),
        (record(False), True),
        (record(True), False),
        (record(True, False), True),
        (record(False, known=False), True),
        (record(known=False), False),
    ],
)
def test_a_picture_has_objects_if_one_is_no_crowd(one, expected):
    assert has_objects(one) is expected


def test_the_folder_of_all_pictures_is_found(tmp_path):
    one, other = (replace(record(), path=tmp_path / name) for name in ("a/x.png", "a/b/y.png"))
    assert common_folder([one]) == common_folder([one, other]) == tmp_path / "a"
    assert common_folder([other]) == tmp_path / "a" / "b"
    assert common_folder([]) == Path.cwd()


def test_one_object_in_any_picture_is_enough_to_train():
    require_objects(data(record(), record(True), record(False)))


def test_without_an_object_the_file_is_named_and_what_to_look_at():
    with pytest.raises(DataError, match=r"^train.json: none of the 2 pictures has an object .*`annotations`\.$"):
        require_objects(data(record(), record(True)))
    with pytest.raises(DataError, match=r"`annotations` and the objects that were skipped\.$"):
        require_objects(data(record(), skipped=("train.json: annotation 3 ...",)))
