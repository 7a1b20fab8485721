import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.readers.coco import read_coco
from maskrcnn.errors import DataError
from maskrcnn.structures.panoptic import THING, UNKNOWN

SAMPLE = Path(os.environ.get("MASKRCNN_SHARED", Path(__file__).parents[3] / "../shared")) / "data/panoptic_sample"
CATEGORIES = [
    {"id": 3, "name": "sky", "isthing": 0},
    {"id": 1, "name": "cat", "isthing": 1},
    {"id": 9, "name": "dog", "isthing": 1},
    {"id": 7, "name": "grass", "isthing": 0},
]
IDS = np.array([[300, 300, 300, 300], [5, 5, 6, 0], [5, 5, 6, 70000]])
SEGMENTS = [
    {"id": 300, "category_id": 3, "area": 4, "bbox": [0, 0, 4, 1], "iscrowd": 0},
    {"id": 5, "category_id": 9, "area": 4, "bbox": [0, 1, 2, 2], "iscrowd": 0},
    {"id": 6, "category_id": 1, "area": 2, "bbox": [2, 1, 1, 2], "iscrowd": 1},
    {"id": 70000, "category_id": 7, "area": 1, "bbox": [3, 2, 1, 1], "iscrowd": 0},
]


def write(folder: Path, *segments: dict, **changed: object) -> Path:
    """A dataset of two images; only the first has segments."""
    (folder / "val").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (4, 3)).save(folder / name)
    colors = np.stack([IDS % 256, IDS // 256 % 256, IDS // 65536], axis=-1).astype(np.uint8)
    Image.fromarray(colors).save(folder / "val" / "a.png")
    images = [
        {"id": number, "file_name": f"{name}.png", "width": 4, "height": 3} for number, name in ((1, "a"), (2, "b"))
    ]
    annotation = {"image_id": 1, "file_name": "a.png", "segments_info": list(segments or SEGMENTS)}
    contents = {"images": images, "categories": CATEGORIES, "annotations": [annotation | changed]}
    (folder / "val.json").write_text(json.dumps(contents))
    return folder / "val.json"


def changed(place: int, **values: object) -> list[dict]:
    return [segment | values if i == place else segment for i, segment in enumerate(SEGMENTS)]


def test_things_are_objects_and_every_pixel_has_a_class(tmp_path):
    data = read_coco(write(tmp_path), tmp_path)
    assert (data.classes.names, data.classes.category_ids) == (("cat", "dog"), (1, 9))
    assert (data.classes.stuff, data.classes.stuff_ids) == (("sky", "grass"), (3, 7))
    objects = data.records[0].instances
    assert objects.boxes.tolist() == [[0, 1, 2, 3], [2, 1, 3, 3]]
    assert (objects.labels.tolist(), objects.crowd.tolist()) == ([1, 0], [False, True])
    np.testing.assert_array_equal(objects.masks.bitmap(0), IDS == 5)
    np.testing.assert_array_equal(objects.masks.bitmap(1), IDS == 6)
    assert (len(data.records[1].instances), data.records[1].segments) == (0, None)
    assert data.records[0].segments.semantic().tolist() == [
        [0, 0, 0, 0],
        [THING, THING, THING, UNKNOWN],
        [THING, THING, THING, 1],
    ]


@pytest.mark.parametrize(
    ("segments", "words"),
    [
        (changed(1, id=0), r"segment 0 \(a.png\): .*16777215"),
        (changed(1, id="5"), r"segment '5' \(a.png\)"),
        (changed(1, id=300), r"segment 300 \(a.png\)"),
        (changed(1, category_id=4), r"segment 5 \(a.png\): `category_id` is 4"),
        (changed(1, bbox=[0, 1, 0, 2]), r"segment 5 \(a.png\): box \[0, 1, 0, 2\]"),
        (changed(1, bbox=None), r"segment 5 \(a.png\): .*`bbox`"),
    ],
)
def test_a_segment_that_cannot_be_used_is_named_or_left_out(segments, words, tmp_path):
    file = write(tmp_path, *segments)
    with pytest.raises(DataError, match=rf"val.json: {words}.*--skip-invalid"):
        read_coco(file, tmp_path)
    data = read_coco(file, tmp_path, skip_invalid=True)
    assert len(data.skipped) == 1
    assert len(data.records[0].instances) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_id": 8}, "`image_id` 8"),
        ({"file_name": None}, "`file_name`"),
        ({"segments_info": [5]}, "`segments_info`"),
        ({"file_name": "c.png"}, "1 of its 1 .*c.png"),
    ],
)
def test_what_is_wrong_with_a_list_of_segments_is_said(change, words, tmp_path):
    with pytest.raises(DataError, match=rf"val.json: .*{words}"):
        read_coco(write(tmp_path, **change), tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda one: one | {"annotations": one["annotations"] * 2}, "image 1"),
        (lambda one: one | {"categories": [each | {"isthing": 0} for each in CATEGORIES]}, " 0 .* 4 "),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(change, words, tmp_path):
    file = write(tmp_path)
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    with pytest.raises(DataError, match=rf"val.json: .*{words}"):
        read_coco(file, tmp_path)


def test_the_folder_of_segment_files_has_the_name_of_the_file(tmp_path):
    file = write(tmp_path)
    (tmp_path / "val").rename(tmp_path / "other")
    with pytest.raises(DataError, match=rf"val.json: .*{tmp_path / 'val'}"):
        read_coco(file, tmp_path)


def test_coco_s_own_sample_is_read():
    folder = SAMPLE / "sample_data"
    if not folder.is_dir():
        pytest.skip(f"no sample of COCO's panoptic annotations at {folder}; set MASKRCNN_SHARED to what holds data/")
    data = read_coco(folder / "panoptic_examples.json", folder / "input_images")
    contents = json.loads((folder / "panoptic_examples.json").read_text())
    assert (len(data.classes), len(data.classes.stuff)) == (80, 53)
    for record, annotation in zip(data.records, contents["annotations"], strict=True):
        areas = {s["id"]: s["area"] for s in annotation["segments_info"]}
        things = [s for s in annotation["segments_info"] if s["category_id"] in data.classes.category_ids]
        masks = record.instances.masks
        assert [int(masks.crop(i).bitmap.sum()) for i in range(len(masks))] == [s["area"] for s in things]
        semantic = record.segments.semantic()
        assert int((semantic == THING).sum()) == sum(s["area"] for s in things)
        assert int((semantic != UNKNOWN).sum()) == sum(areas.values())
