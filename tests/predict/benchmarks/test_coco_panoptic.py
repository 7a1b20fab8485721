import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.errors import DataError
from maskrcnn.evaluation.sections import say_nothing
from maskrcnn.predict.benchmarks.coco_panoptic import COCO_PANOPTIC
from maskrcnn.structures.panoptic import encode_ids

CATEGORIES = [
    {"id": 1, "name": "person", "isthing": 1},
    {"id": 17, "name": "cat", "isthing": 1},
    {"id": 187, "name": "sky-other-merged", "isthing": 0},
]
IDS = np.repeat(np.repeat(np.array([[187, 187, 0], [70001, 18, 19]]), 10, axis=0), 10, axis=1)
SEGMENTS = [
    {"id": 187, "category_id": 187, "area": 200, "bbox": [0, 0, 20, 10], "iscrowd": 0},
    {"id": 70001, "category_id": 1, "area": 100, "bbox": [0, 10, 10, 10], "iscrowd": 0},
    {"id": 18, "category_id": 17, "area": 100, "bbox": [10, 10, 10, 10], "iscrowd": 0},
    {"id": 19, "category_id": 17, "area": 100, "bbox": [20, 10, 10, 10], "iscrowd": 1},
]


def write(folder: Path, *, pictures: bool = True) -> Path:
    """COCO with one picture whose pixels are annotated."""
    segments = folder / "annotations" / "panoptic_val2017"
    segments.mkdir(parents=True)
    Image.fromarray(encode_ids(torch.from_numpy(IDS))).save(segments / "000000000724.png")
    (folder / "annotations" / "panoptic_val2017.json").write_text(
        json.dumps(
            {
                "images": [{"id": 724, "file_name": "000000000724.jpg", "height": 20, "width": 30}],
                "annotations": [{"image_id": 724, "file_name": "000000000724.png", "segments_info": SEGMENTS}],
                "categories": CATEGORIES,
            }
        )
    )
    if pictures:
        (folder / "val2017").mkdir(exist_ok=True)
        Image.new("RGB", (30, 20)).save(folder / "val2017" / "000000000724.jpg")
    return folder


def score(opened, records):
    return {section.name: section for section in opened.score(records, say_nothing)}


def test_annotated_segments_against_themselves_are_perfect(tmp_path):
    folder = write(tmp_path, pictures=False)
    opened = COCO_PANOPTIC.open(folder, "val")
    assert opened.counts == {"pictures": 1, "objects": 4}
    records = COCO_PANOPTIC.read(folder / "annotations" / "panoptic_val2017.json", opened)
    section = score(opened, records)["panoptic"]
    assert set(section.numbers.values()) == {1}
    assert list(section.numbers)[:4] == ["PQ", "SQ", "RQ", "PQ_th"]
    assert section.per_class["sky-other-merged"] == {"PQ": 1, "SQ": 1, "RQ": 1}


def test_a_missing_segment_halves_what_depends_on_it(tmp_path):
    opened = COCO_PANOPTIC.open(write(tmp_path), "val")
    records = COCO_PANOPTIC.read(tmp_path / "annotations" / "panoptic_val2017.json", opened)
    numbers = score(opened, [record for record in records if record["category_id"] != 1])["panoptic"].numbers
    assert (numbers["PQ"], numbers["PQ_th"], numbers["PQ_st"]) == (pytest.approx(2 / 3), 0.5, 1)


def test_what_is_submitted_is_read_again_with_the_same_scores(tmp_path):
    opened = COCO_PANOPTIC.open(write(tmp_path), "val")
    records = COCO_PANOPTIC.read(tmp_path / "annotations" / "panoptic_val2017.json", opened)[1:]
    opened.submit(records, tmp_path / "panoptic_val2017_mine_results")
    file = tmp_path / "panoptic_val2017_mine_results.json"
    assert json.loads(file.read_text())["annotations"][0]["file_name"] == "000000000724.png"
    assert score(opened, COCO_PANOPTIC.read(file, opened)) == score(opened, records)


def test_pictures_have_things_and_stuff(tmp_path):
    classes = COCO_PANOPTIC.open(write(tmp_path), "val").pictures().classes
    assert (classes.names, classes.stuff, classes.stuff_ids) == (("person", "cat"), ("sky-other-merged",), (187,))


def test_missing_files_name_the_layout(tmp_path):
    with pytest.raises(DataError, match=r"panoptic_val2017.json: the panoptic annotations of COCO's val are not there"):
        COCO_PANOPTIC.open(tmp_path, "val")
    folder = write(tmp_path)
    (folder / "annotations" / "panoptic_val2017").rename(folder / "panoptic_val2017")
    with pytest.raises(DataError, match=r"belong into the folder .*annotations/panoptic_val2017, but it is not there"):
        COCO_PANOPTIC.open(folder, "val")


def test_unknown_classes_and_masks_of_another_size_are_errors(tmp_path):
    opened = COCO_PANOPTIC.open(write(tmp_path), "val")
    mask = {"size": [20, 30], "counts": [600]}
    with pytest.raises(DataError, match="category_id 2 is not one of"):
        score(opened, [{"image_id": 724, "category_id": 2, "score": 1.0, "segmentation": mask}])
    wrong = {"size": [9, 9], "counts": [81]}
    with pytest.raises(DataError, match=r"its mask is of size \[9, 9\]"):
        score(opened, [{"image_id": 724, "category_id": 1, "score": 1.0, "segmentation": wrong}])
