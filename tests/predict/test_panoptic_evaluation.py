import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.data.readers.coco import parse_coco, read_coco
from maskrcnn.data.shapes import write_shapes
from maskrcnn.errors import DataError
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.collect import to_segment_results
from maskrcnn.predict.class_match import match_classes
from maskrcnn.predict.evaluation import predict_results, score
from maskrcnn.predict.panoptic_files import (
    has_segments,
    image_names,
    panoptic_truth,
    read_panoptic_results,
    score_segments,
)
from maskrcnn.structures.batch import Scales
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.panoptic import Panoptic, Segment, encode_ids

CATEGORIES = [{"id": 1, "name": "cat", "isthing": 1}, {"id": 3, "name": "sky", "isthing": 0}]
IDS = np.repeat([[9, 9, 9, 5, 0]], 4, axis=0)
SEGMENTS = [
    {"id": 5, "category_id": 1, "area": 4, "bbox": [3, 0, 1, 4], "iscrowd": 0},
    {"id": 9, "category_id": 3, "area": 12, "bbox": [0, 0, 3, 4], "iscrowd": 0},
]


@pytest.fixture
def file(tmp_path) -> Path:
    """Two annotated images of a cat and sky."""
    (tmp_path / "val").mkdir()
    images, annotations = [], []
    for image_id in (1, 2):
        Image.new("RGB", (5, 4)).save(tmp_path / f"p{image_id}.png")
        Image.fromarray(encode_ids(torch.from_numpy(IDS))).save(tmp_path / "val" / f"p{image_id}.png")
        images.append({"id": image_id, "file_name": f"p{image_id}.png", "height": 4, "width": 5})
        annotations.append({"image_id": image_id, "file_name": f"p{image_id}.png", "segments_info": SEGMENTS})
    contents = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    (tmp_path / "val.json").write_text(json.dumps(contents))
    return tmp_path / "val.json"


def test_predictions_are_scored_on_the_images_of_the_data_only(file):
    data = read_coco(file, file.parent)
    assert has_segments(data)
    records = read_panoptic_results(file, {1: "p1", 2: "p2"})
    (section,) = score_segments(data, records)
    assert set(section.numbers.values()) == {1}
    first = replace(data, records=data.records[:1])
    (section,) = score_segments(first, [record for record in records if record["image_id"] == 1])
    assert set(section.numbers.values()) == {1}
    with pytest.raises(DataError, match="image_id 2 is not among the 1 images"):
        score_segments(first, records)


class Knowing:
    """Stands in for a Predictor that finds the annotated segments, and one of a class the data do not have."""

    classes = Classes(("dog", "cat"), (1, 2), stuff=("sea", "sky"), stuff_ids=(3, 4))

    def __init__(self, settings):
        self.inputs = [settings.input]

    def predict_scales(self, batch: Scales):
        ids = torch.tensor([[2, 2, 2, 1, 3]] * 4, dtype=torch.int32)
        segments = [
            Segment(1, 1, is_thing=True, area=4, score=0.9, instance=0),
            Segment(2, 1, is_thing=False, area=12),
            Segment(3, 0, is_thing=False, area=4),
        ]
        found = Instances((4, 5), torch.tensor([[3.0, 0, 4, 4]]), torch.tensor([1]), scores=torch.tensor([0.9]))
        return [replace(found, panoptic=Panoptic(ids, segments)) for _ in batch.image_ids]


def test_segments_that_a_model_finds_are_scored(file, tiny_settings):
    data = read_coco(file, file.parent)
    predictor = Knowing(tiny_settings)
    match = match_classes(predictor.classes, data.classes, source="val.json")
    known = Annotations("val.json", {1: (4, 5), 2: (4, 5)}, {1: "cat", 3: "sky"}, [])
    records = predict_results(predictor, data, match, known, describe=to_segment_results, workers=0)
    assert [record["category_id"] for record in records] == [1, 3, 1, 3]
    (section,) = score_segments(data, records)
    assert set(section.numbers.values()) == {1}


def test_saved_predictions_are_scored_without_images(file, tmp_path):
    for image in tmp_path.glob("p*.png"):
        image.unlink()
    report = score(file, file)
    assert (report.facts["predictions"], report.facts["objects"], set(report["panoptic"].values())) == (4, 4, {1})
    report.results.where(lambda record: record["category_id"] == 3).write(tmp_path / "found.json")
    found = score(tmp_path / "found.json", file)["panoptic"]
    assert (found["PQ"], found["PQ_th"], found["PQ_st"]) == (0.5, 0, 1)


def test_images_are_named_after_their_files(file):
    contents = parse_coco(file)
    assert image_names(contents, panoptic_truth(file, contents)) == {1: "p1", 2: "p2"}


def test_data_of_objects_have_no_segments(tmp_path):
    write_shapes(tmp_path, train=1, val=1, size=64, seed=1)
    assert not has_segments(read_coco(tmp_path / "val.json", tmp_path / "images"))
