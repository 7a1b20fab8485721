import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from maskrcnn.data.dataset import Dataset, Record, common_folder, has_objects, require_objects
from maskrcnn.data.formats import read_dataset
from maskrcnn.data.readers.coco import read_coco
from maskrcnn.data.shapes import write_shape_segments, write_shapes
from maskrcnn.errors import DataError, SettingError
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.instances import Instances


def record(*crowd: bool, known: bool = True, number: int = 1, **fields) -> Record:
    """An image with one object per truth value, which says whether it is a crowd."""
    count = len(crowd)
    objects = Instances(
        size=(10, 10),
        boxes=torch.zeros(count, 4),
        labels=torch.zeros(count, dtype=torch.int64),
        crowd=torch.tensor(crowd, dtype=torch.bool) if known else None,
    )
    return Record(Path("cat.jpg"), number, (10, 10), fields, objects)


def data_of(*records: Record, skipped: tuple[str, ...] = ()) -> Dataset:
    return Dataset(Path("train.json"), list(records), Classes(("cat",), (1,)), skipped=list(skipped))


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    write_shapes(folder, train=12, val=0, size=32, seed=0)
    return read_coco(folder / "train.json", folder / "images")


def ids(data):
    return [one.image_id for one in data]


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
def test_an_image_has_objects_if_one_is_no_crowd(one, expected):
    assert has_objects(one) is expected


def test_the_folder_of_all_images_is_found(tmp_path):
    one, other = (replace(record(), path=tmp_path / name) for name in ("a/x.png", "a/b/y.png"))
    assert common_folder([one]) == common_folder([one, other]) == tmp_path / "a"
    assert common_folder([other]) == tmp_path / "a" / "b"
    assert common_folder([]) == Path.cwd()


def test_training_needs_an_object_in_any_image():
    require_objects(data_of(record(), record(True), record(False)))
    with pytest.raises(DataError, match=r"^train.json: none of the 2 "):
        require_objects(data_of(record(), record(True)))
    with pytest.raises(DataError, match="skipped"):
        require_objects(data_of(record(), skipped=("train.json: annotation 3 ...",)))


def test_a_data_set_is_a_sequence_of_records(shapes):
    assert len(shapes) == 12
    assert ids(shapes) == list(range(1, 13))
    assert shapes[2].image_id == 3
    assert shapes[-1].image_id == 12
    assert ids(shapes[2:5]) == [3, 4, 5]
    assert ids(shapes.subset([4, 0])) == [5, 1]
    assert ids(shapes.subset([])) == []


@pytest.mark.parametrize(("fraction", "held"), [(0.25, 3), (0.001, 1), (0.999, 11)])
def test_every_image_is_either_trained_on_or_held_out_and_the_seed_chooses(shapes, fraction, held):
    train, val = shapes.split(fraction, seed=3)
    assert (len(train), len(val)) == (12 - held, held)
    assert sorted(ids(train) + ids(val)) == ids(shapes)
    assert ids(val) == ids(shapes.split(fraction, seed=3)[1])
    if held == 3:  # of which there are several with all classes
        assert len({tuple(ids(shapes.split(fraction, seed=seed)[1])) for seed in range(5)}) > 1


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_cannot_be_split(shapes, count):
    with pytest.raises(DataError, match=f"train.json: has {count}"):
        shapes[:count].split(0.1)


FIELDS = [
    {"gray": True, "modality": "Fluorescence", "zoom": 20},
    {"gray": True, "modality": "bright field"},
    {"gray": False, "modality": "Fluorescence", "zoom": 2.5},
]
CELLS = data_of(*(record(number=number, **fields) for number, fields in enumerate(FIELDS)))


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
def test_images_are_chosen_by_their_fields(conditions, expected):
    assert ids(CELLS.where(conditions)) == expected


@pytest.mark.parametrize(
    ("condition", "kind", "value"),
    [
        ("grey=true", DataError, "train.json.*'grey'.*gray, modality, zoom"),
        ("zoom=3", DataError, r"train.json.*zoom=3.*zoom=2\.5 or 20 or null"),
        ("gray", SettingError, "gray: .*field=value"),
    ],
)
def test_a_condition_that_chooses_nothing_is_an_error(condition, kind, value):
    with pytest.raises(kind, match=value):
        CELLS.where([condition])


def test_what_was_parsed_is_kept_and_no_file_is_read_again(tmp_path):
    write_shapes(tmp_path, train=3, val=1, size=32, seed=0)
    data = read_dataset(tmp_path)
    (tmp_path / "train.json").unlink()
    assert len(data.to_coco()["annotations"]) == sum(len(one.instances) for one in data)
    assert ids(data[:1]) == [image["id"] for image in data[:1].to_coco()["images"]]


def test_a_part_reads_as_what_it_was(shapes, tmp_path):
    _, held = shapes.split(0.25, seed=0)
    contents = held.to_coco()
    (tmp_path / "val.json").write_text(json.dumps(contents))
    again = read_coco(tmp_path / "val.json", shapes[0].path.parent)
    assert ids(again) == ids(held)
    assert [len(one.instances) for one in again] == [len(one.instances) for one in held]
    assert {annotation["image_id"] for annotation in contents["annotations"]} == set(ids(held))


def test_without_what_was_parsed_the_objects_are_said_anew(shapes, tmp_path):
    contents = shapes.without_coco().to_coco()
    (tmp_path / "train.json").write_text(json.dumps(contents))
    again = read_coco(tmp_path / "train.json", shapes[0].path.parent)
    assert again.classes == shapes.classes
    for one, other in zip(again, shapes, strict=True):
        assert torch.equal(one.instances.boxes, other.instances.boxes)
        for i in range(len(one.instances)):
            crop, expected = one.instances.masks.crop(i), other.instances.masks.crop(i)
            assert (crop.x, crop.y) == (expected.x, expected.y)
            assert (crop.bitmap == expected.bitmap).all()


def test_skipped_objects_are_left_out_of_a_written_part(shapes, tmp_path):
    contents = json.loads(shapes.source.read_text())
    contents["annotations"][1] |= {"bbox": [0, 0, 0, 5], "segmentation": []}
    contents["annotations"][2]["image_id"] = ["not", "an", "id"]
    (tmp_path / "train.json").write_text(json.dumps(contents))
    again = read_coco(tmp_path / "train.json", shapes[0].path.parent, skip_invalid=True)
    assert (len(again.skipped), again.skipped_places) == (2, {1, 2})
    kept = [found["id"] for found in again.to_coco()["annotations"]]
    assert kept == [found["id"] for place, found in enumerate(contents["annotations"]) if place not in (1, 2)]


def test_things_of_a_panoptic_file_are_written_as_objects(tmp_path):
    arguments = {"train": 4, "val": 0, "size": 48, "seed": 2}
    write_shapes(tmp_path, **arguments)
    write_shape_segments(tmp_path, **arguments)
    objects = read_coco(tmp_path / "train.json", tmp_path / "images")
    contents = read_coco(tmp_path / "panoptic_train.json", tmp_path / "images")[1:3].to_coco()
    (tmp_path / "val.json").write_text(json.dumps(contents))
    assert read_coco(tmp_path / "val.json", tmp_path / "images").classes == objects.classes
    expected = json.loads((tmp_path / "train.json").read_text())["annotations"]
    expected = [one for one in expected if one["image_id"] in (2, 3)]
    assert [{**one, "id": None} for one in contents["annotations"]] == [{**one, "id": None} for one in expected]
