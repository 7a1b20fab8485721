import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as oracle

from maskrcnn.data.formats import read_data, recognise
from maskrcnn.data.readers.bdd100k import CLASSES, find_labels, has_bdd100k, read_bdd100k, read_bitmask
from maskrcnn.errors import DataError

SIZE = (40, 60)


def objects() -> list[dict]:
    """A car, a crowd of pedestrians and an ignored truck, as number, class, attributes and pixels."""
    found = []
    for number, (category, y, attributes) in enumerate(
        [("car", 0, {}), ("pedestrian", 12, {"crowd": True}), ("truck", 25, {"ignored": True, "occluded": True})],
        start=1,
    ):
        mask = np.zeros(SIZE, dtype=np.uint8)
        mask[y : y + 10, 5 : 15 + y] = 1
        found.append({"number": 250 + 4 * number, "category": category, "attributes": attributes, "mask": mask})
    return found


def encode(mask: np.ndarray) -> dict:
    rle = oracle.encode(np.asfortranarray(mask))
    return {"counts": rle["counts"].decode(), "size": list(mask.shape)}


def lay_out(folder: Path, *kinds: str) -> Path:
    """BDD100K's folder with two pictures, one of them empty, and labels of some kinds."""
    (folder / "images" / "10k" / "val").mkdir(parents=True)
    for name in ("b1", "a2"):
        Image.new("RGB", SIZE[::-1]).save(folder / "images" / "10k" / "val" / f"{name}.jpg")
    inside = folder / "labels" / "ins_seg"
    labels = [
        {"id": str(one["number"]), "category": one["category"], "attributes": one["attributes"]} for one in objects()
    ]
    size = {"height": SIZE[0], "width": SIZE[1]}
    for kind in kinds:
        (inside / kind / "val").mkdir(parents=True)
        if kind == "rles":
            shapes = [{"rle": encode(one["mask"])} for one in objects()]
        elif kind == "polygons":
            shapes = [{"poly2d": [polygon(one["mask"])]} for one in objects()]
        else:
            write_bitmask(inside / kind / "val" / "b1.png", objects())
            write_bitmask(inside / kind / "val" / "a2.png", [])
            continue
        frames = [
            {"name": "b1.jpg", "size": size, "labels": [{**one, **s} for one, s in zip(labels, shapes, strict=True)]},
            {"name": "a2.jpg", "size": size, "labels": []},
        ]
        (inside / kind / "ins_seg_val.json").write_text(json.dumps(frames))
    return folder


def polygon(mask: np.ndarray) -> dict:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x1, x2, y1, y2 = int(columns[0]), int(columns[-1]) + 1, int(rows[0]), int(rows[-1]) + 1
    return {"vertices": [[x1, y1], [x2, y1], [x2, y2], [x1, y2]], "types": "LLLL", "closed": True}


def write_bitmask(path: Path, found: list[dict]) -> None:
    pixels = np.zeros((*SIZE, 4), dtype=np.uint8)
    for one in found:
        bits = one["attributes"].get("crowd", 0) << 1 | one["attributes"].get("ignored", 0)
        bits |= one["attributes"].get("occluded", 0) << 2
        colour = [CLASSES.names.index(one["category"]) + 1, bits, one["number"] >> 8, one["number"] & 255]
        pixels[one["mask"] > 0] = colour
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("kind", ["rles", "bitmasks", "polygons"])
def test_every_kind_of_label_gives_the_same_objects(kind, tmp_path):
    folder = lay_out(tmp_path, kind)
    assert recognise(folder, "val") == "bdd100k"
    data = read_data(folder, "val")
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


def test_run_lengths_are_read_before_bitmasks_and_these_before_polygons(tmp_path):
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


def test_missing_labels_are_named_with_the_layout(tmp_path):
    with pytest.raises(DataError, match=r"ins_seg: the instances of BDD100K's val are not there.*bitmasks/val/\*.png"):
        read_bdd100k(tmp_path, "val")


def test_a_bitmask_that_cannot_be_used_is_named(tmp_path):
    folder = lay_out(tmp_path, "bitmasks")
    file = folder / "labels" / "ins_seg" / "bitmasks" / "val" / "a2.png"
    for content, problem in (
        (b"", "a2.png: .* empty"),
        (b"PNG", "a2.png: .*cannot be read"),
    ):
        file.write_bytes(content)
        with pytest.raises(DataError, match=problem):
            read_bdd100k(folder, "val")
    Image.new("RGB", (4, 3)).save(file)
    with pytest.raises(DataError, match="a2.png: must be a PNG file with four channels of 8 bits"):
        read_bitmask(file)
    pixels = np.zeros((2, 2, 4), dtype=np.uint8)
    pixels[0, 0] = [200, 0, 0, 7]
    Image.fromarray(pixels).save(file)
    with pytest.raises(
        DataError, match="a2.png: instance 7: its first channel is 200, but must be a category from 1 to 8"
    ):
        read_bdd100k(folder, "val")
    pixels[0, 0], pixels[0, 1] = [1, 0, 0, 7], [2, 0, 0, 7]
    Image.fromarray(pixels).save(file)
    with pytest.raises(DataError, match="a2.png: instance 7: its pixels have several categories"):
        read_bdd100k(folder, "val")
