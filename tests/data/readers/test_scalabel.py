import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as oracle

from maskrcnn.data.formats import read_dataset, recognize
from maskrcnn.data.readers.scalabel import (
    Taxonomy,
    frames_contents,
    is_scalabel,
    label_fields,
    load_frames,
    poly2d_polygon,
    read_scalabel,
)
from maskrcnn.errors import DataError
from tests.builders.refusals import assert_refused_or_left_out

BITMAP = np.zeros((30, 40), dtype=np.uint8)
BITMAP[5:15, 10:20] = 1
RLE = {"counts": oracle.encode(np.asfortranarray(BITMAP))["counts"].decode(), "size": [30, 40]}
SQUARE = {"vertices": [[2, 2], [12, 2], [12, 12], [2, 12]], "types": "LLLL", "closed": True}
LANE = {"vertices": [[0, 0], [30, 20], [39, 29]], "types": "LLL", "closed": False}


def label(number: int = 1, category: str = "car", **more) -> dict:
    return {"id": str(number), "category": category, **more}


FRAMES = [
    {"name": "b.jpg", "labels": [label(3, "person", poly2d=[SQUARE], attributes={"crowd": True})]},
    {"name": "a.jpg", "labels": [label(1, rle=RLE), label(2, "lane", poly2d=[LANE]), label(4, box3d={})]},
    {"name": "c.jpg", "labels": None},
]


def lay_out(folder: Path, content: object = FRAMES) -> Path:
    (folder / "images").mkdir(parents=True)
    for name in ("a", "b", "c"):
        Image.new("RGB", (40, 30)).save(folder / "images" / f"{name}.jpg")
    (folder / "val.json").write_text(json.dumps(content))
    return folder


def test_rle_polygons_and_boxes_are_objects_of_images_sorted_by_name(tmp_path):
    data = read_dataset(lay_out(tmp_path), "val")
    assert [record.path.name for record in data.records] == ["a.jpg", "b.jpg", "c.jpg"]
    assert [record.image_id for record in data.records] == [1, 2, 3]
    assert data.classes.names == ("car", "lane", "person")
    first, second, third = (record.instances for record in data.records)
    assert first.boxes.tolist() == [[10, 5, 20, 15]]
    assert second.boxes.tolist() == [[2, 2, 12, 12]]
    assert (first.crowd.tolist(), second.crowd.tolist(), len(third)) == ([False], [True], 0)


def test_the_classes_of_the_files_config_are_its_leaves_in_order(tmp_path):
    tree = [{"name": "human", "subcategories": [{"name": "person"}]}, {"name": "car"}]
    content = {
        "frames": FRAMES,
        "groups": None,
        "config": {"imageSize": {"height": 30, "width": 40}, "categories": tree},
    }
    data = read_dataset(lay_out(tmp_path, content), "val")
    assert data.classes.names == ("person", "car")
    assert [len(record.instances) for record in data.records] == [1, 1, 0]


def test_a_mask_counts_more_than_polygons_and_these_more_than_a_box():
    box = {"x1": 3, "y1": 4, "x2": 12, "y2": 5.5}
    assert label_fields(label(box2d=box)) == {"bbox": [3, 4, 10, 2.5]}  # it ends with its last pixel
    assert label_fields(label(rle=RLE, poly2d=[SQUARE], box2d=box)) == {"segmentation": RLE}
    assert label_fields(label(poly2d=[SQUARE, LANE], box2d=box)) == {"segmentation": [[2, 2, 12, 2, 12, 12, 2, 12]]}
    assert label_fields(label(poly2d=[LANE])) == {}


def polygon(vertices: list, types: str) -> np.ndarray:
    return np.array(poly2d_polygon({"vertices": vertices, "types": types, "closed": True})).reshape(-1, 2)


def test_curves_are_drawn_close_to_the_bezier_curve():
    k = 4 / 3 * np.tan(np.pi / 8)  # four such curves are a circle, but for 0.03 % of its radius
    r = 100.0
    quarter = np.array([[r, k * r], [k * r, r], [0, r]])
    turn = np.array([[0, 1], [-1, 0]])
    curves = [quarter, quarter @ turn, quarter @ turn @ turn, quarter @ turn @ turn @ turn]
    points = np.concatenate([[[r, 0]], *curves])[:-1]  # the last end is the first point
    found = polygon(points.tolist(), "L" + "C" * 11)
    radii = np.linalg.norm(found, axis=1)
    assert radii.min() > 99.99
    assert radii.max() < 100.04
    middles = np.linalg.norm((found + np.roll(found, 1, axis=0)) / 2, axis=1)
    assert middles.min() > 99.9
    assert shoelace(found) == pytest.approx(np.pi * r**2, rel=2e-3)


def shoelace(points: np.ndarray) -> float:
    x, y = points.T
    return 0.5 * abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())


def test_a_curve_that_is_straight_stays_straight_and_corners_stay():
    found = polygon([[0, 0], [10, 0], [10, 3], [10, 6], [10, 9], [0, 9]], "LLCCCL")
    assert found[:2].tolist() == [[0, 0], [10, 0]]
    assert (found[2:-1, 0] == 10).all()
    assert found[-2:].tolist() == [[10, 9], [0, 9]]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        *(
            ({"poly2d": [{"vertices": vertices}]}, "`vertices`")
            for vertices in ([[0, 0], [1, 1]], [[0, 0], [1, 1], [2, "x"]], [[0, 0], [1, 1], [2, 3, 4]], None)
        ),
        *(({"poly2d": [{**SQUARE, "types": types}]}, f"`types` '{types}'") for types in ("LLL", "LLLX")),
        ({"poly2d": [{**SQUARE, "types": "LLLC"}]}, "curve"),
        ({"poly2d": SQUARE}, "`poly2d`"),
        ({"rle": "abc"}, "`rle` is 'abc'"),
        ({"box2d": {"x1": 1, "y1": 2, "x2": 3}}, "`box2d`"),
        ({"box2d": [1, 2, 3, 4]}, "`box2d`"),
        ({"rle": {"counts": "04", "size": [2, 2]}}, r"a.jpg.*`segmentation`.*\[2, 2\]"),
        ({"rle": RLE, "category": None}, "`category` is None"),
    ],
)
def test_a_label_that_cannot_be_used_is_named(change, problem, tmp_path):
    frames = [{"name": "a.jpg", "size": {"height": 30, "width": 40}, "labels": [label(7, rle=RLE), label(8) | change]}]
    assert_refused_or_left_out(lay_out(tmp_path, frames), "val.json: ", problem, split="val")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"frames": 3}, ".*`frames`"),
        ({"frames": [], "config": []}, ".*`frames`"),
        ([3], "frame 0: `name` None"),
        ([{"name": ""}], "frame 0: `name` ''"),
        ([{"name": "a.jpg"}, {"name": "a.jpg"}], "frame 1: `name` 'a.jpg'"),
        ([{"name": "a.jpg", "labels": {}}], "frame a.jpg: `labels`"),
        ([{"name": "a.jpg", "labels": [1]}], "frame a.jpg: `labels`"),
    ],
)
def test_a_file_that_is_none_of_scalabel_is_named(content, problem, tmp_path):
    (tmp_path / "val.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=f"val.json: {problem}"):
        load_frames(tmp_path / "val.json")


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("", "line 1, column"),
        ('[{"name": "a.jpg", "labels": [', "line 1, column"),
        (json.dumps({"frames": FRAMES, "config": {"categories": ["car"]}}), "`categories`"),
        (json.dumps({"frames": FRAMES, "config": {"imageSize": {"height": 0, "width": 5}}}), "config: the size"),
    ],
)
def test_a_cut_file_and_a_wrong_config_are_named(content, value, tmp_path):
    (tmp_path / "val.json").write_text(content)
    with pytest.raises(DataError, match=f"val.json: .*{value}"):
        read_scalabel(tmp_path / "val.json", "val")


def test_categories_are_renamed_ignored_or_refused():
    taxonomy = Taxonomy(("car",), {"van": "car"}, {"trailer": "car"})
    labels = [label(1, "van", rle=RLE), label(2, "trailer", rle=RLE), label(3, "boat", rle=RLE)]
    found = frames_contents(Path("x.json"), [{"name": "a.jpg", "labels": labels}], taxonomy, Path())
    assert [one["iscrowd"] for one in found.coco["annotations"]] == [0, 1]
    assert [one["attributes"] for one in found.coco["annotations"]] == [{}, {"ignored": True}]
    assert found.skipped == ("x.json: frame a.jpg: label '3': `category` 'boat' is not one of car, van, trailer",)


def test_files_are_recognized_by_their_first_bytes(tmp_path):
    lay_out(tmp_path)
    assert recognize(tmp_path, "val") == recognize(tmp_path / "val.json", "val") == "scalabel"
    for text in ('{"config": null, "frames": []}', ' [ {"labels": [], "name": "a"}]'):
        (tmp_path / "other.json").write_text(text)
        assert is_scalabel(tmp_path / "other.json", "val")
    for text in ('{"images": [{"file_name": "a"}], "annotations": [], "categories": [{"name": "x"}]}', "[]", "{}", ""):
        (tmp_path / "other.json").write_text(text)
        assert not is_scalabel(tmp_path / "other.json", "val")
    assert not is_scalabel(tmp_path, "train")
    (tmp_path / "images" / "a.jpg").unlink()  # by which the folder is looked for first
    assert read_scalabel(tmp_path, "val").images == tmp_path / "images"
