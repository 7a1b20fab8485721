import json

import numpy as np
import pytest
import shapely
from PIL import Image

from maskrcnn import export_predictions, read_dataset, to_rle
from maskrcnn.errors import DataError, SettingError
from maskrcnn.structures.masks import encode_crop, tight_crop

SIZE = (40, 60)
RING = np.zeros(SIZE, dtype=bool)
RING[10:20, 5:25] = True
RING[14:16, 10:20] = False
TWO_PARTS = np.zeros(SIZE, dtype=bool)
TWO_PARTS[2:6, 40:50] = TWO_PARTS[8:10, 40:50] = True
KEYPOINTS = {"keypoints": ["left", "right"], "flip_pairs": [[1, 2]]}


def found(label, score, box, mask=None, **more):
    shape = {} if mask is None else {"mask": encode_crop(tight_crop(0, 0, mask), SIZE)}
    return {"box": box, "label": label, "class": "cd"[label], "category_id": 5 + label, "score": score, **shape, **more}


@pytest.fixture
def predictions(tmp_path, monkeypatch):
    """Two images of one name, with a ring, an object of two parts, a box, and an object with a low score."""
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", SIZE[::-1]).save(tmp_path / folder / "x y.png")
    first = [
        found(1, 0.9, [5, 10, 25, 20], RING),
        found(0, 0.8, [40, 2, 50, 10], TWO_PARTS),
        found(0, 0.1, [1, 1, 2, 2]),
    ]
    classes = [{"label": n, "name": name, "category_id": 5 + n} for n, name in enumerate(("cat & co", "dog"))]
    images = [("a/x y.png", first), ("b/x y.png", [found(1, 0.7, [30.5, 20, 35.25, 30])])]
    return write(tmp_path, classes, images)


def write(folder, classes, images):
    entries = [{"file": file, "size": list(SIZE), "drawn": None, "objects": objects} for file, objects in images]
    file = folder / "predictions.json"
    file.write_text(json.dumps({"classes": classes, "images": entries, "failed": []}))
    return file


@pytest.mark.parametrize("form", ["coco", "yolo", "labelme", "cvat"])
def test_the_folder_is_a_dataset_with_the_same_objects(predictions, tmp_path, form):
    assert export_predictions(predictions, form, "out", score_threshold=0.5) == 3
    data = read_dataset(tmp_path / "out", "train")
    second, first = sorted(data.records, key=lambda record: record.path.name)
    assert [first.path.name, second.path.name] == ["x y.png", "x y-2.png"]
    assert data.classes.names == ("cat & co", "dog")
    assert [data.classes.names[label] for label in first.instances.labels] == ["dog", "cat & co"]
    filled = RING.copy()
    filled[10:20, 5:25] = True
    largest = TWO_PARTS.copy()
    largest[8:10] = largest[8:10] & (form != "yolo")
    assert (first.instances.masks.bitmap(0) == filled).all()
    assert (first.instances.masks.bitmap(1) == largest).all()
    np.testing.assert_allclose(second.instances.boxes, [[30.5, 20, 35.25, 30]], atol=1e-4)


def test_coco_has_ids_scores_and_areas(predictions, tmp_path):
    export_predictions(predictions, "coco", "out")
    content = json.loads((tmp_path / "out" / "train.json").read_text())
    facts = [(one["category_id"], one["score"], one["area"], one["bbox"]) for one in content["annotations"]]
    assert facts[:2] == [(6, 0.9, 200, [5, 10, 20, 10]), (5, 0.8, 60, [40, 2, 10, 8])]
    assert facts[2] == (6, 0.7, 47.5, [30.5, 20, 4.75, 10])


def test_label_studio_has_a_labelling_setup_and_percent(predictions, tmp_path):
    export_predictions(predictions, "label-studio", "out")
    first, second = json.loads((tmp_path / "out" / "tasks.json").read_text())
    assert first["data"] == {"image": "/data/local-files/?d=images/x%20y.png"}
    assert first["predictions"][0]["score"] == pytest.approx(0.85)
    ring = first["predictions"][0]["result"][0]
    corners = {tuple(np.round(point, 6)) for point in ring["value"]["points"]}
    assert corners == {(8.333333, 25), (41.666667, 25), (41.666667, 50), (8.333333, 50)}
    assert (ring["type"], ring["value"]["polygonlabels"], ring["score"]) == ("polygonlabels", ["dog"], 0.9)
    box = second["predictions"][0]["result"][0]["value"]
    assert box["x"] == pytest.approx(100 * 30.5 / 60)
    assert box["rectanglelabels"] == ["dog"]
    assert 'value="cat &amp; co"' in (tmp_path / "out" / "label_config.xml").read_text()


def test_geojson_has_holes_and_parts(predictions, tmp_path):
    export_predictions(predictions, "geojson", "out")
    ring, parts = json.loads((tmp_path / "out" / "x y.geojson").read_text())["features"]
    assert shapely.from_geojson(json.dumps(ring["geometry"])).area == RING.sum() == 180
    assert parts["geometry"]["type"] == "MultiPolygon"
    assert shapely.from_geojson(json.dumps(parts["geometry"])).area == TWO_PARTS.sum()
    assert ring["properties"]["classification"] == {"name": "dog"}


@pytest.mark.parametrize("form", ["coco", "yolo"])
def test_keypoints_come_back(tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", SIZE[::-1]).save("x.png")
    classes = [{"label": 0, "name": "owl", "category_id": 1, **KEYPOINTS}]
    file = write(tmp_path, classes, [("x.png", [found(0, 0.9, [5, 10, 25, 20], keypoints=[6, 11, 0.5, 7, 12, 3])])])
    export_predictions(file, form, "out")
    data = read_dataset(tmp_path / "out", "train")
    np.testing.assert_allclose(data[0].instances.keypoints, [[[6.5, 11.5, 2], [7.5, 12.5, 2]]], atol=1e-4)
    assert data.classes.keypoint_schema.mirrored == (1, 0)


def test_a_large_mask_has_few_corners_and_almost_the_same_pixels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows, columns = np.mgrid[:200, :200]
    disk = (rows - 100) ** 2 + (columns - 90) ** 2 < 80**2
    Image.new("RGB", (200, 200)).save("x.png")
    one = {"box": [10, 20, 170, 180], "label": 0, "score": 0.9, "mask": to_rle(disk[None])[0]}
    content = {"classes": [{"label": 0, "name": "disk", "category_id": 1}], "failed": []}
    file = tmp_path / "p.json"
    file.write_text(json.dumps(content | {"images": [{"file": "x.png", "size": [200, 200], "objects": [one]}]}))
    export_predictions(file, "coco", "out")
    record = read_dataset(tmp_path / "out")[0]
    again = record.instances.masks.bitmap(0)
    assert (again & disk).sum() / (again | disk).sum() > 0.97
    assert len(json.loads((tmp_path / "out" / "train.json").read_text())["annotations"][0]["segmentation"][0]) < 2 * 60


def test_corrections_are_never_written_over(predictions):
    export_predictions(predictions, "labelme", "out")
    with pytest.raises(SettingError, match="^out: "):
        export_predictions(predictions, "yolo", "out")


def test_wrong_files_and_missing_images_are_named(predictions, tmp_path):
    (tmp_path / "b" / "x y.png").unlink()
    with pytest.raises(DataError, match=r"^b/x y\.png: "):
        export_predictions(predictions, "coco", "out")
    for number, wrong in enumerate(([], {"classes": [], "images": [{}], "failed": []})):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(wrong))
        with pytest.raises(DataError, match=rf"{number}\.json: "):
            export_predictions(file, "coco", "out")
