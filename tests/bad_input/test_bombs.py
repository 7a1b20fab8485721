"""Small files that ask for much memory or time, and values no reader expects: an error that names the file, at once."""

import json
import time
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from maskrcnn.config import RunSettings
from maskrcnn.data.formats import read_dataset
from maskrcnn.data.readers.polygons import join_parts
from maskrcnn.errors import DataError, SettingError
from maskrcnn.evaluation.annotations import rle
from maskrcnn.ops.yaml_text import parse_yaml
from tests.builders import ochuman

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
DEEP = "[" * 100_000
LONG = "9" * 5000


@pytest.fixture(autouse=True)
def bounded():
    tracemalloc.start()
    begin = time.process_time()
    yield
    assert time.process_time() - begin < 20
    assert tracemalloc.get_traced_memory()[1] < 1e9
    tracemalloc.stop()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    return tmp_path


@pytest.mark.parametrize("text", [LAUGHS, DEEP, "a: &a [*a]", "? [a]\n: b\n? {c: d}\n: e", "!!python/object:a.b {}"])
def test_yaml_that_cannot_be_used_is_a_value_error(text):
    with pytest.raises(ValueError, match="."):
        parse_yaml(text)


def test_yaml_of_people_is_read():
    text = "names: {0: cat, 1: 2024-13-45}\nbase: &base {a: 1}\nmore: {<<: *base, b: 2.5}\n"
    expected = {"names": {0: "cat", 1: "2024-13-45"}, "base": {"a": 1}, "more": {"a": 1, "b": 2.5}}
    assert parse_yaml(text) == expected
    assert parse_yaml("") is None


@pytest.mark.parametrize("text", [LAUGHS, DEEP, f"train: {{steps: {LONG}}}"])
def test_a_file_of_settings_is_refused_by_name(tmp_path, text):
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(SettingError, match=r"s.yaml"):
        RunSettings().changed(tmp_path / "s.yaml")


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS + "names: [a]",
        "nc: 1000000000\ntrain: images",
        "names: [a]\ntrain: /dev/zero",
        f"names: [a]\ntrain: {LONG}",
    ],
)
def test_a_description_of_yolo_is_refused_by_name(folder, text):
    (folder / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=r"data.yaml|/dev/zero"):
        read_dataset(folder)


def cvat(shape, **image):
    size = {"width": "8", "height": "8"} | image
    labels = "<meta><task><labels><label><name>a</name></label></labels></task></meta>"
    attributes = " ".join(f'{key}="{value}"' for key, value in ({"id": "0", "name": "a.png"} | size).items())
    return f"<annotations>{labels}<image {attributes}>{shape}</image></annotations>"


MASK = '<mask label="a" rle="900000000" left="0" top="0" width="30000" height="30000"/>'
BOX = '<box label="a" xtl="1" ytl="1" xbr="4" ybr="4"/>'


@pytest.mark.parametrize(
    "text",
    [
        cvat(MASK),
        cvat(BOX, width="100000000", height="100000000"),
        cvat(BOX, name="x" * 300 + ".png"),
        cvat('<box label="a" xtl="' + "9" * 400 + '" ytl="1" xbr="4" ybr="4"/>'),
        '<?xml version="1.0" encoding="nonsense"?>' + cvat(BOX),
        "<annotations>" + "<a>" * 100_000,
    ],
    ids=["window", "size", "name", "digits", "encoding", "depth"],
)
def test_xml_of_cvat_is_refused_by_name(folder, text):
    (folder / "annotations.xml").write_text(text)
    with pytest.raises(DataError, match=r"annotations.xml|a.png|File name too long"):
        read_dataset(folder, form="cvat")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("width", 10**18), ("height", 10**400), ("file_name", "x" * 300 + ".png"), ("file_name", "a\0.png"),
        ("file_name", "\ud800.png"),
    ],
)  # fmt: skip
def test_images_of_coco_with_values_nobody_has_are_refused_by_name(folder, key, value):
    image = {"id": 1, "file_name": "a.png", "height": 8, "width": 8} | {key: value}
    content = {"images": [image], "annotations": [], "categories": [{"id": 1, "name": "a"}]}
    (folder / "train.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"train.json|a.png"):
        read_dataset(folder / "train.json")


@pytest.mark.parametrize("bbox", [[1, 2, 9, 10**400], [1, 2, 9, float("inf")], [[1], 2, 9, 9], "1 2 3 4"])
def test_boxes_of_coco_that_are_no_numbers_are_refused_by_name(folder, bbox):
    image = {"id": 1, "file_name": "a.png", "height": 8, "width": 8}
    found = {"id": 1, "image_id": 1, "category_id": 1, "bbox": bbox}
    content = {"images": [image], "annotations": [found], "categories": [{"id": 1, "name": "a"}]}
    (folder / "train.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"annotation 1 \(a.png\)"):
        read_dataset(folder / "train.json")


HEADER = b"\x93NUMPY\x01\x00v\x00{'descr': '<i4', 'fortran_order': False, 'shape': (100000, 20000), }"


@pytest.mark.parametrize(
    "content", [HEADER.ljust(127) + b"\n", HEADER[:60], b"PK\x03\x04 no zip", b"\x93NUMPY\x01\x00\x05\x00{'(((\n"]
)
def test_arrays_that_promise_more_than_they_hold_are_refused_by_name(folder, content):
    (folder / "masks").mkdir()
    (folder / "masks" / "a.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"a.npy"):
        read_dataset(folder)


@pytest.mark.parametrize("far", [1e9, float("inf"), float("nan"), 10**400])
def test_polygons_that_reach_far_out_are_refused_by_name_before_they_are_drawn(tmp_path, far):
    polygon = [1, 1, 5, 1, far, 5]
    (tmp_path / "ochuman").mkdir()
    ochuman.lay_out(
        tmp_path / "ochuman", [ochuman.person(segms={"outer": [polygon], "inner": [], "height": 40, "width": 50})]
    )
    with pytest.raises(DataError, match=r"ochuman.json"):
        read_dataset(tmp_path / "ochuman", "train", form="ochuman")
    with pytest.raises(ValueError, match=r"polygon of `segmentation`"):
        join_parts([polygon, {"size": [8, 8], "counts": "0P2"}], (8, 8))
    with pytest.raises(ValueError, match=r"polygon of `segmentation`"):
        rle([polygon], (8, 8))
