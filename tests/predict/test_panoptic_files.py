import json
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.data.readers.coco import parse_coco, read_coco
from maskrcnn.data.shapes import write_shapes
from maskrcnn.errors import DataError
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.collect import to_segment_results
from maskrcnn.evaluation.panoptic_quality import panoptic_sections
from maskrcnn.predict.class_match import match_classes
from maskrcnn.predict.evaluation import predict_results, score
from maskrcnn.predict.panoptic_files import (
    has_segments,
    image_names,
    panoptic_truth,
    read_panoptic_results,
    score_segments,
    write_panoptic_results,
)
from maskrcnn.structures.batch import Scales
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.panoptic import Panoptic, Segment, encode_ids
from maskrcnn.structures.regions import find_regions

SHARED = Path(os.environ.get("MASKRCNN_SHARED", Path(__file__).parents[2] / "../shared"))
SAMPLE = SHARED / "data/panoptic_sample/sample_data"
CATEGORIES = [
    {"id": 1, "name": "cat", "isthing": 1},
    {"id": 3, "name": "sky", "isthing": 0},
    {"id": 7, "name": "grass", "isthing": 0},
]
IDS = np.array([[300, 300, 300, 300], [5, 5, 6, 0], [5, 5, 6, 70000]])
SEGMENTS = [
    {"id": 300, "category_id": 3, "area": 4, "iscrowd": 0},
    {"id": 5, "category_id": 1, "area": 4, "iscrowd": 0},
    {"id": 6, "category_id": 1, "area": 2, "iscrowd": 1},
    {"id": 70000, "category_id": 7, "area": 1, "iscrowd": 0},
]
NAMES = {2: "a", 4: "b"}
DAMAGED = {
    "PQ": 0.42161649170120624,
    "SQ": 0.5628073729021901,
    "RQ": 0.5758115094499533,
    "PQ_th": 0.20251185259052215,
    "SQ_th": 0.39579779917300667,
    "RQ_th": 0.30312738367658276,
    "PQ_st": 0.6954972905895613,
    "SQ_st": 0.7715693400636695,
    "RQ_st": 0.9166666666666666,
}
"""Of `damaged` sample images, by evalPanopticSemanticLabeling.py of cityscapesScripts 2.3.0."""
OWN_CATEGORIES = [{"id": 1, "name": "cat", "isthing": 1}, {"id": 3, "name": "sky", "isthing": 0}]
OWN_IDS = np.repeat([[9, 9, 9, 5, 0]], 4, axis=0)
OWN_SEGMENTS = [
    {"id": 5, "category_id": 1, "area": 4, "bbox": [3, 0, 1, 4], "iscrowd": 0},
    {"id": 9, "category_id": 3, "area": 12, "bbox": [0, 0, 3, 4], "iscrowd": 0},
]


def write(file: Path, lists: dict[int | str, tuple[np.ndarray, list[dict]]], **more: object) -> Path:
    file.with_suffix("").mkdir(exist_ok=True)
    annotations = []
    for image_id, (ids, segments) in lists.items():
        Image.fromarray(encode_ids(torch.from_numpy(ids))).save(file.with_suffix("") / f"{image_id}.png")
        annotations.append({"image_id": image_id, "file_name": f"{image_id}.png", "segments_info": segments})
    file.write_text(json.dumps({"annotations": annotations, **more}))
    return file


@pytest.fixture
def truth(tmp_path):
    images = [{"id": image_id, "file_name": f"{image_id}.jpg", "height": 3, "width": 4} for image_id in (2, 3, 4)]
    lists = {2: (IDS, SEGMENTS), 4: (np.full((3, 4), 8), [{"id": 8, "category_id": 7, "area": 12, "iscrowd": 0}])}
    file = write(tmp_path / "val.json", lists, images=images, categories=CATEGORIES)
    return panoptic_truth(file, parse_coco(file))


def predictions(folder: Path, **lists: tuple[np.ndarray, list[dict]]) -> Path:
    every = {2: (IDS, SEGMENTS), 4: (np.zeros((3, 4), dtype=int), [])}
    return write(folder / "found.json", every | {int(key[1:]): value for key, value in lists.items()})


def test_annotated_segments_are_read(truth):
    assert (truth.source, truth.sizes) == ("val.json", {2: (3, 4), 4: (3, 4)})
    assert [(known.name, known.is_thing) for known in truth.classes.values()] == [
        ("cat", True),
        ("sky", False),
        ("grass", False),
    ]
    ids, segments = truth.read(2)
    np.testing.assert_array_equal(ids, IDS)
    assert segments == SEGMENTS


def test_of_some_images_only_and_without_sizes_and_areas(tmp_path):
    segments = [{"id": 5, "category_id": 1}]
    file = write(tmp_path / "val.json", {2: (IDS, segments)}, images=[{"id": 2}, {"id": 3}], categories=CATEGORIES[:1])
    truth = panoptic_truth(file, parse_coco(file), image_ids=[2])
    assert truth.sizes == {2: (3, 4)}
    assert truth.read(2)[1] == [{"id": 5, "category_id": 1, "area": 4, "iscrowd": 0}]
    assert panoptic_truth(file, parse_coco(file), image_ids=[3]).sizes == {}


def test_predicted_segments_are_records_whose_score_is_1(tmp_path):
    records = read_panoptic_results(predictions(tmp_path), NAMES)
    assert [(record["image_id"], record["category_id"], record["score"]) for record in records] == [
        (2, 1, 1.0),
        (2, 1, 1.0),
        (2, 3, 1.0),
        (2, 7, 1.0),
    ]
    assert records[2]["segmentation"] == find_regions(IDS)[3].rle()


def test_what_is_written_is_read_again_with_the_same_scores(tmp_path, truth):
    records = read_panoptic_results(predictions(tmp_path), NAMES)
    for by_name, name in ((False, "sent.v1"), (True, "sent.v1.json")):
        write_panoptic_results(tmp_path / "out" / name, records, truth.sizes, NAMES, by_name=by_name)
        sent = json.loads((tmp_path / "out" / "sent.v1.json").read_text())["annotations"]
        assert [one["image_id"] for one in sent] == (["a", "b"] if by_name else [2, 4])
        assert sent[0]["file_name"] == "a.png"
        again = read_panoptic_results(tmp_path / "out", NAMES)
        scores = [panoptic_sections(truth, truth.parse(found))[0] for found in (records, again)]
        assert scores[0] == scores[1]
        assert scores[0].per_class["cat"]["PQ"] == 1


def test_a_list_of_coco_results_is_returned_as_it_is(tmp_path):
    (tmp_path / "found.json").write_text('[{"image_id": 2}]')
    assert read_panoptic_results(tmp_path / "found.json", NAMES) == [{"image_id": 2}]


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ({"p2": (IDS, SEGMENTS[:3])}, r"image 2: segment 70000 "),
        ({"p2": (IDS, [*SEGMENTS, {"id": 9, "category_id": 1}])}, r"image 2: segment 9 "),
        ({"p9": (IDS, SEGMENTS)}, r"image_id 9 "),
        ({"p2": (IDS, [{"id": 0, "category_id": 1}])}, r"image 2: .* id 0 .* 1 to 16777215"),
        ({"p2": (IDS, [{"id": 5, "category_id": "x"}])}, r"image 2: .* id 5 .* category_id 'x'"),
    ],
)
def test_segments_that_cannot_be_used_are_named(tmp_path, lists, words):
    with pytest.raises(DataError, match=rf"found.json: {words}"):
        read_panoptic_results(predictions(tmp_path, **lists), NAMES)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param(lambda lists: {"annotations": lists[:1]}, "image b", id="an image without a prediction"),
        pytest.param(lambda lists: {"annotations": lists + lists[:1]}, "image_id 2", id="an image with two"),
        pytest.param(lambda lists: {"images": []}, "`annotations`", id="no list of images"),
    ],
)
def test_lists_that_do_not_fit_the_images_are_named(tmp_path, change, named):
    file = predictions(tmp_path)
    file.write_text(json.dumps(change(json.loads(file.read_text())["annotations"])))
    with pytest.raises(DataError, match=f"found.json: .*{named}"):
        read_panoptic_results(file, NAMES)


def test_missing_files_are_named(tmp_path, truth):
    file = predictions(tmp_path)
    (tmp_path / "found" / "4.png").unlink()
    with pytest.raises(DataError, match=r"found/4\.png"):
        read_panoptic_results(file, NAMES)
    with pytest.raises(DataError, match="2 JSON files"):
        read_panoptic_results(tmp_path, NAMES)
    (tmp_path / "found").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"found\.json: .*found"):
        read_panoptic_results(file, NAMES)


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ({5: (IDS, SEGMENTS)}, "image_id 5"),
        ({2: (IDS, [{"id": 5, "category_id": 4}])}, "image 2: .*category_id 4"),
        ({2: (IDS, None)}, "image 2: `file_name`"),
    ],
)
def test_annotations_that_cannot_be_used_are_named(tmp_path, lists, words):
    file = write(tmp_path / "val.json", lists, images=[{"id": 2, "height": 3, "width": 4}], categories=CATEGORIES)
    with pytest.raises(DataError, match=words):
        panoptic_truth(file, parse_coco(file))


@pytest.mark.skipif(not SAMPLE.is_dir(), reason=f"no panoptic sample at {SAMPLE}")
def test_real_annotations_against_themselves_are_perfect_and_a_damaged_copy_has_the_official_numbers(tmp_path):
    file = SAMPLE / "panoptic_examples.json"
    truth = panoptic_truth(file, parse_coco(file))
    names = {image_id: str(image_id) for image_id in truth.sizes}
    records = read_panoptic_results(file, names)
    (section,) = panoptic_sections(truth, truth.parse(records))
    assert (len(records), set(section.numbers.values())) == (50, {1})
    lists = {image_id: damaged(*truth.read(image_id), truth.classes) for image_id in truth.sizes}
    found = read_panoptic_results(write(tmp_path / "damaged.json", lists), names)
    (section,) = panoptic_sections(truth, truth.parse(found))
    assert len(found) == 40
    assert section.numbers == pytest.approx(DAMAGED, abs=1e-12)


def damaged(ids: np.ndarray, segments: list[dict], classes: dict) -> tuple[np.ndarray, list[dict]]:
    """Without every fifth segment; the first thing is of the next kind, and all others have lost 3 pixels of edge."""
    things = sorted(category for category, known in classes.items() if known.is_thing)
    first = next(segment["id"] for segment in segments if segment["category_id"] in things)
    left, kept = np.zeros_like(ids), []
    for place, segment in enumerate(segments, start=1):
        mask, category = ids == segment["id"], segment["category_id"]
        if segment["id"] == first:
            category = things[(things.index(category) + 1) % len(things)]
        else:
            mask = cv2.erode(np.pad(mask, 1).astype(np.uint8), np.ones((7, 7)))[1:-1, 1:-1] > 0
        if place % 5 and mask.any():
            left[mask] = segment["id"]
            kept.append({"id": segment["id"], "category_id": category})
    return left, kept


@pytest.fixture
def file(tmp_path) -> Path:
    """Two annotated images of a cat and sky."""
    (tmp_path / "val").mkdir()
    images, annotations = [], []
    for image_id in (1, 2):
        Image.new("RGB", (5, 4)).save(tmp_path / f"p{image_id}.png")
        Image.fromarray(encode_ids(torch.from_numpy(OWN_IDS))).save(tmp_path / "val" / f"p{image_id}.png")
        images.append({"id": image_id, "file_name": f"p{image_id}.png", "height": 4, "width": 5})
        annotations.append({"image_id": image_id, "file_name": f"p{image_id}.png", "segments_info": OWN_SEGMENTS})
    contents = {"images": images, "annotations": annotations, "categories": OWN_CATEGORIES}
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
    with pytest.raises(DataError, match="image_id 2 "):
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
