import json
from dataclasses import replace

import pytest

from maskrcnn.data.readers.coco import read_coco
from maskrcnn.data.shapes import write_shape_segments, write_shapes
from maskrcnn.data.split import hold_out, subset_contents
from maskrcnn.errors import DataError


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    write_shapes(folder, train=12, val=0, size=32, seed=0)
    return read_coco(folder / "train.json", folder / "images")


def ids(data):
    return [record.image_id for record in data.records]


def test_every_picture_is_either_learnt_from_or_held_out(data):
    learnt, held = hold_out(data, 0.25, seed=0)
    assert (len(learnt.records), len(held.records)) == (9, 3)
    assert sorted(ids(learnt) + ids(held)) == ids(data)


def test_the_seed_chooses_the_pictures(data):
    assert ids(hold_out(data, 0.25, seed=3)[1]) == ids(hold_out(data, 0.25, seed=3)[1])
    assert len({tuple(ids(hold_out(data, 0.25, seed=seed)[1])) for seed in range(5)}) > 1


@pytest.mark.parametrize(("part", "held"), [(0.001, 1), (0.999, 11)])
def test_at_least_one_picture_is_on_each_side(data, part, held):
    assert len(hold_out(data, part, seed=0)[1].records) == held


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pictures_are_named(data, count):
    with pytest.raises(DataError, match=f"train.json: has {count} picture, but at least 2 are needed"):
        hold_out(replace(data, records=data.records[:count]), 0.1, seed=0)


def test_the_written_part_reads_as_the_pictures_held_out(data, tmp_path):
    _, held = hold_out(data, 0.25, seed=0)
    contents = subset_contents(held)
    (tmp_path / "val.json").write_text(json.dumps(contents))
    again = read_coco(tmp_path / "val.json", data.records[0].path.parent)
    assert ids(again) == ids(held)
    assert [len(record.instances) for record in again.records] == [len(record.instances) for record in held.records]
    assert {annotation["image_id"] for annotation in contents["annotations"]} == set(ids(held))


def test_skipped_objects_are_left_out_of_the_written_part(data, tmp_path):
    contents = json.loads(data.source.read_text())
    contents["annotations"][1] |= {"bbox": [0, 0, 0, 5], "segmentation": []}
    contents["annotations"][2]["image_id"] = ["not", "an", "id"]
    (tmp_path / "train.json").write_text(json.dumps(contents))
    again = read_coco(tmp_path / "train.json", data.records[0].path.parent, skip_invalid=True)
    assert (len(again.skipped), again.skipped_places) == (2, {1, 2})
    kept = [found["id"] for found in subset_contents(again)["annotations"]]
    assert kept == [found["id"] for place, found in enumerate(contents["annotations"]) if place not in (1, 2)]


def test_things_of_a_panoptic_file_are_written_as_objects(tmp_path):
    arguments = {"train": 4, "val": 0, "size": 48, "seed": 2}
    write_shapes(tmp_path, **arguments)
    write_shape_segments(tmp_path, **arguments)
    objects = read_coco(tmp_path / "train.json", tmp_path / "images")
    segments = read_coco(tmp_path / "panoptic_train.json", tmp_path / "images")
    part = replace(segments, records=segments.records[1:3])
    contents = subset_contents(part)
    (tmp_path / "val.json").write_text(json.dumps(contents))
    again = read_coco(tmp_path / "val.json", tmp_path / "images")
    assert again.classes == objects.classes
    expected = json.loads((tmp_path / "train.json").read_text())["annotations"]
    wanted = [one for one in expected if one["image_id"] in (2, 3)]
    assert [{**one, "id": None} for one in contents["annotations"]] == [{**one, "id": None} for one in wanted]
