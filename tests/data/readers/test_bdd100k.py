import json

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.formats import read_dataset, recognize
from maskrcnn.data.readers.bdd100k import find_labels, has_bdd100k, read_bdd100k, read_bitmask
from maskrcnn.errors import DataError
from tests.builders.bdd100k import encode, lay_out, objects


@pytest.mark.parametrize("kind", ["rles", "bitmasks", "polygons"])
def test_every_kind_of_label_gives_the_same_objects(kind, tmp_path):
    folder = lay_out(tmp_path, kind)
    assert recognize(folder, "val") == "bdd100k"
    data = read_dataset(folder, "val")
    assert [record.path.name for record in data.records] == ["a2.jpg", "b1.jpg"]
    assert data.classes.names[2] == "car"
    empty, full = (record.instances for record in data.records)
    assert len(empty) == 0
    assert sorted(zip(full.labels.tolist(), full.crowd.tolist(), strict=True)) == [(0, True), (2, False), (3, True)]
    assert sorted(full.boxes.tolist()) == [[5, 0, 15, 10], [5, 12, 27, 22], [5, 25, 40, 35]]
    contents = read_bdd100k(folder, "val").coco
    flags = {one["category_id"]: one["attributes"] for one in contents["annotations"]}
    assert (bool(flags[1].get("crowd")), bool(flags[1].get("ignored"))) == (True, False)
    assert (bool(flags[4].get("crowd")), bool(flags[4].get("ignored"))) == (False, True)
    assert not any(flags[3].values())


def test_rle_are_read_before_bitmasks_and_these_before_polygons(tmp_path):
    names = []
    for kinds in (("rles", "bitmasks", "polygons"), ("bitmasks", "polygons"), ("polygons",)):
        found = find_labels(lay_out(tmp_path / kinds[0], *kinds), "val")
        names.append(found.relative_to(tmp_path / kinds[0] / "labels" / "ins_seg").parts[0])
    assert names == ["rles", "bitmasks", "polygons"]
    assert not has_bdd100k(tmp_path, "val")


def test_other_names_of_categories_are_those_of_the_official_configuration(tmp_path):
    folder = lay_out(tmp_path, "rles")
    file = folder / "labels" / "ins_seg" / "rles" / "ins_seg_val.json"
    for name, (category, crowd) in {"van": (3, 0), "person": (1, 0), "trailer": (4, 1), "other person": (1, 1)}.items():
        label = {"id": "1", "category": name, "rle": encode(objects()[0]["mask"])}
        file.write_text(json.dumps({"frames": [{"name": "b1.jpg", "labels": [label]}], "config": None}))
        (found,) = read_bdd100k(folder, "val").coco["annotations"]
        assert (found["category_id"], found["iscrowd"]) == (category, crowd)


def test_missing_labels_and_bitmasks_that_cannot_be_used_are_named(tmp_path):
    folder = lay_out(tmp_path, "bitmasks")
    file = folder / "labels" / "ins_seg" / "bitmasks" / "val" / "a2.png"
    file.write_bytes(b"PNG")
    with pytest.raises(DataError, match="a2.png: "):
        read_bdd100k(folder, "val")
    Image.new("RGB", (4, 3)).save(file)
    with pytest.raises(DataError, match="a2.png: "):
        read_bitmask(file)
    pixels = np.zeros((2, 2, 4), dtype=np.uint8)
    for row, value in (
        ([[200, 0, 0, 7]] * 2, ".* 200, .*1 to 8"),
        ([[1, 0, 0, 7], [2, 0, 0, 7]], ".*several categories"),
    ):
        pixels[0] = row
        Image.fromarray(pixels).save(file)
        with pytest.raises(DataError, match=f"a2.png: instance 7: {value}"):
            read_bdd100k(folder, "val")
