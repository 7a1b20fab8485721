from pathlib import Path

import pytest
import torch

from maskrcnn.data.records import CocoData, Record
from maskrcnn.data.selection import select_records
from maskrcnn.errors import DataError, SettingError
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.instances import Instances

FIELDS = [
    {"gray": True, "modality": "Fluorescence", "zoom": 20},
    {"gray": True, "modality": "bright field"},
    {"gray": False, "modality": "Fluorescence", "zoom": 2.5},
]


@pytest.fixture
def data():
    nothing = Instances((8, 8), torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    records = [Record(Path(f"{i}.png"), i, (8, 8), fields, nothing) for i, fields in enumerate(FIELDS)]
    return CocoData(Path("cells.json"), records, Classes(("cell",), (1,)), dict)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], [0, 1, 2]),
        (["gray=true"], [0, 1]),
        (["gray=False"], [2]),
        (["modality=fluorescence"], [0, 2]),
        (["modality=fluorescence", "gray=true"], [0]),
        (["zoom=2.5"], [2]),
        (["zoom=null"], [1]),
    ],
)
def test_pictures_are_chosen_by_their_fields(data, conditions, expected):
    assert [record.image_id for record in select_records(data, conditions).records] == expected


def test_a_field_nobody_has_is_told_the_others(data):
    with pytest.raises(
        DataError, match=r"cells\.json: no image record has the field 'grey'.* are gray, modality, zoom"
    ):
        select_records(data, ["grey=true"])


def test_a_condition_that_nothing_fits_is_told_the_values(data):
    with pytest.raises(DataError, match=r"none of the 3 pictures fits zoom=3.*zoom=2\.5 or 20 or null"):
        select_records(data, ["zoom=3"])


def test_a_condition_without_a_value_is_told_how_to_write_it(data):
    with pytest.raises(SettingError, match="gray: conditions are written as field=value"):
        select_records(data, ["gray"])
