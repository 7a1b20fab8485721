"""Labelbox, V7 Darwin, SuperAnnotate and Supervisely: the same objects, written as each tool writes them."""

import base64
import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.formats import read_dataset, recognize
from maskrcnn.errors import DataError
from tests.builders.tools import BOX, HEIGHT, WIDTH, image, write
from tests.rules.source import ROOT

OUTSIDE = [[2, 2], [12, 2], [12, 12], [2, 12]]
HOLE = [[4, 4], [8, 4], [8, 8], [4, 8]]
RING = np.zeros((HEIGHT, WIDTH), dtype=bool)
RING[2:12, 2:12] = True
RING[4:8, 4:8] = False
PAINTED = np.zeros((HEIGHT, WIDTH), dtype=bool)
PAINTED[20:24, 10:16] = PAINTED[21, 20] = True
RED = 0xFF0000
FILES = ROOT.parent / "shared" / "files" / "annotations"


def points(ring):
    return [{"x": x, "y": y} for x, y in ring]


def flat(ring):
    return [value for point in ring for value in point]


def labelbox(folder, *more):
    """A polygon and a box; masks are elsewhere."""
    image(folder / "images" / "a.png")
    objects = [
        {"name": "ring", "annotation_kind": "ImagePolygon", "polygon": points(OUTSIDE)},
        {"name": "box", "annotation_kind": "ImageBoundingBox", "bounding_box": dict(zip(SIDES, BOX, strict=True))},
        *more,
    ]
    data = {"id": "x", "external_id": "a.png", "row_data": "https://host/a.png?token=y"}
    labels = {"label_kind": "Default", "annotations": {"objects": objects, "classifications": []}}
    size = {"height": HEIGHT, "width": WIDTH, "asset_type": "image"}
    row = {"data_row": data, "media_attributes": size, "projects": {"p": {"name": "p", "labels": [labels]}}}
    empty = {"data_row": {"id": "y", "external_id": "b.png"}, "projects": {"p": {"labels": []}}}
    write(folder / "export.ndjson", "".join(json.dumps(one) + "\n" for one in (row, empty)))


SIDES = ("left", "top", "width", "height")


def darwin(folder, *more):
    image(folder / "images" / "a.png")
    runs = [value for row in PAINTED.ravel() for value in (7 if row else 0, 1)]
    objects = [
        {"name": "ring", "polygon": {"paths": [points(OUTSIDE), points(HOLE)]}, "bounding_box": {}},
        {"name": "box", "bounding_box": dict(zip("xywh", BOX, strict=True))},
        {"name": "painted", "id": "m", "mask": {}},
        {"name": "__raster_layer__", "raster_layer": {"dense_rle": runs, "mask_annotation_ids_mapping": {"m": 7}}},
        {"name": "sunny", "tag": {}},
        *more,
    ]
    slots = [{"type": "image", "slot_name": "0", "width": WIDTH, "height": HEIGHT}]
    write(folder / "a.json", {"version": "2.0", "item": {"name": "a.png", "slots": slots}, "annotations": objects})


def superannotate(folder, *more):
    image(folder / "a.png")
    objects = [
        {"type": "polygon", "className": "ring", "points": flat(OUTSIDE), "exclude": [flat(HOLE)], "groupId": 0},
        {"type": "bbox", "className": "box", "points": {"x1": 20, "y1": 5, "x2": 30, "y2": 20}, "groupId": 0},
        *more,
    ]
    known = {"name": "a.png", "width": WIDTH, "height": HEIGHT, "status": "Completed"}
    write(folder / "a.png___objects.json", {"metadata": known, "instances": objects, "tags": [], "comments": []})


def pixels(folder, *more):
    """SuperAnnotate's pixel project."""
    image(folder / "a.png")
    colors = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    colors[RING] = (0, 1, 2)
    colors[PAINTED] = (255, 0, 0)
    colors[21, 20] = (0, 0, 9)
    Image.fromarray(colors).save(folder / "a.png___save.png")
    objects = [
        {"className": "ring", "parts": [{"color": "#000102"}]},
        {"className": "painted", "parts": [{"color": "#ff0000"}, {"color": "#000009"}]},
        *more,
    ]
    known = {"name": "a.png", "width": WIDTH, "height": HEIGHT}
    write(folder / "a.png___pixel.json", {"metadata": known, "instances": objects})


def supervisely(folder, *more):
    image(folder / "ds0" / "img" / "a.png")
    file, part = io.BytesIO(), Image.fromarray(PAINTED[20:24, 10:21].astype(np.uint8))
    part.putpalette((0, 0, 0, 255, 255, 255))
    part.save(file, "PNG", transparency=0)
    packed = base64.b64encode(zlib.compress(file.getvalue())).decode()
    objects = [
        {"classTitle": "ring", "geometryType": "polygon", "points": {"exterior": OUTSIDE, "interior": [HOLE]}},
        {"classTitle": "box", "geometryType": "rectangle", "points": {"exterior": [[20, 5], [30, 20]], "interior": []}},
        {"classTitle": "painted", "geometryType": "bitmap", "bitmap": {"data": packed, "origin": [10, 20]}},
        *more,
    ]
    size = {"height": HEIGHT, "width": WIDTH}
    write(folder / "ds0" / "ann" / "a.png.json", {"description": "", "tags": [], "size": size, "objects": objects})
    write(folder / "meta.json", {"classes": [{"title": name} for name in ("painted", "ring", "box")], "tags": []})


TOOLS = {
    "labelbox": (labelbox, {"ring": None, "box": BOX}),
    "darwin": (darwin, {"ring": RING, "box": BOX, "painted": PAINTED}),
    "superannotate": (superannotate, {"ring": RING, "box": BOX}),
    "superannotate pixels": (pixels, {"ring": RING, "painted": PAINTED}),
    "supervisely": (supervisely, {"ring": RING, "box": BOX, "painted": PAINTED}),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_objects_are_those_that_were_drawn(tmp_path, tool):
    builder, expected = TOOLS[tool]
    builder(tmp_path)
    assert recognize(tmp_path) == tool.split()[0]
    data = read_dataset(tmp_path)
    assert (len(data), data[0].path.name) == (1, "a.png")
    names = [data.classes.names[label] for label in data[0].instances.labels]
    assert names == list(expected)
    filled = RING.copy()
    filled[2:12, 2:12] = True
    for place, (name, shape) in enumerate(expected.items()):
        if name == "box":
            assert data[0].instances.boxes[place].tolist() == [20, 5, 30, 20]
        else:
            assert (data[0].instances.masks.bitmap(place) == (filled if shape is None else shape)).all(), name


WRONG = [
    ("labelbox", {"name": "box", "annotation_kind": "ImageSegmentationMask", "mask": {"url": "x"}}, "Mask"),
    ("labelbox", {"name": "box", "bounding_box": {"top": 1, "left": None, "width": 1, "height": 1}}, "`left`"),
    ("darwin", {"name": "box", "line": {"path": points(HOLE)}}, "box"),
    ("darwin", {"name": "box", "id": "q", "mask": {}}, "box"),
    ("darwin", {"name": "box", "polygon": {"paths": [[{"x": 1}]]}}, "`y`"),
    ("superannotate", {"type": "polyline", "className": "box", "points": flat(HOLE)}, "polyline"),
    ("superannotate", {"type": "polygon", "className": "box", "points": [1, 2, None]}, "points"),
    ("superannotate pixels", {"className": "ring", "parts": [{"color": "red"}]}, "red"),
    ("superannotate pixels", {"className": "ring", "parts": [{"color": "#123456"}]}, "ring"),
    ("supervisely", {"classTitle": "box", "geometryType": "line", "points": {"exterior": HOLE}}, "line"),
    (
        "supervisely",
        {"classTitle": "box", "geometryType": "bitmap", "bitmap": {"data": "x", "origin": [1, 2]}},
        "PNG",
    ),
    ("supervisely", {"classTitle": "dog", "geometryType": "rectangle", "points": {"exterior": HOLE[::2]}}, "dog"),
]


@pytest.mark.parametrize(("tool", "wrong", "named"), WRONG)
def test_what_cannot_be_used_is_refused_or_left_out(tmp_path, tool, wrong, named):
    builder, expected = TOOLS[tool]
    builder(tmp_path, wrong)
    with pytest.raises(DataError, match=rf"(a\.png|export|a\.json).*object \d.*{named}"):
        read_dataset(tmp_path)
    data = read_dataset(tmp_path, skip_invalid=True)
    assert len(data[0].instances) == len(expected)
    assert named in data.skipped[0]


def test_shapes_of_one_group_are_one_object_of_superannotate(tmp_path):
    parts = [{"type": "polygon", "className": "box", "groupId": 3, "points": flat(ring)} for ring in (OUTSIDE, HOLE)]
    superannotate(tmp_path, *parts)
    assert len(read_dataset(tmp_path)[0].instances) == 3


def test_the_first_version_of_darwin_has_one_path_and_additional_ones(tmp_path):
    image(tmp_path / "a.png")
    polygon = {"path": points(OUTSIDE), "additional_paths": [points(HOLE)]}
    known = {"width": WIDTH, "height": HEIGHT, "filename": "a.png", "original_filename": "a.png", "workview_url": ""}
    write(tmp_path / "a.json", {"image": known, "annotations": [{"name": "ring", "polygon": polygon}]})
    assert (read_dataset(tmp_path)[0].instances.masks.bitmap(0) == RING).all()


@pytest.mark.parametrize("tool", ["darwin", "superannotate", "supervisely", "labelbox"])
def test_splits_share_their_classes(tmp_path, tool):
    builder = TOOLS[tool][0]
    for split in ("train", "val"):
        builder(tmp_path / split)
    if tool == "supervisely":
        for split in ("train", "val"):
            for kind in ("img", "ann"):
                (tmp_path / split / "ds0" / kind).rename(tmp_path / split / kind)
        (tmp_path / "train" / "meta.json").rename(tmp_path / "meta.json")
    assert recognize(tmp_path, "val") == tool
    train, val = (read_dataset(tmp_path, split) for split in ("train", "val"))
    assert train.classes.names == val.classes.names
    assert "val" in val[0].path.parts


def test_real_files_of_superannotate_are_read():
    if not FILES.is_dir():
        pytest.skip(f"{FILES} is not there")
    assert recognize(FILES / "superannotate" / "sample_project_vector") == "superannotate"
    data = read_dataset(FILES / "superannotate" / "pixel_with_holes")
    assert [len(record.instances) for record in data] == [4, 1]
