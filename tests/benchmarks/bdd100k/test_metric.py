from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as oracle

from maskrcnn.benchmarks.bdd100k.metric import bdd100k_sections, overlapping_images, separate_objects
from maskrcnn.benchmarks.bdd100k.submission import frames_records
from maskrcnn.data.readers.bdd100k import CLASSES, SIZE
from maskrcnn.data.readers.scalabel import frames_contents
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.results import Results
from tests.builders.vectors import load_vector, number, vector_files

ROUTES = {"rle_eval": "rle", "bitmask_eval": "bitmask"}


def read_frames(frames: list[dict]) -> tuple:
    """Ground truth, and image ids by name."""
    ordered = sorted(frames, key=lambda frame: frame["name"])
    contents = frames_contents(Path("frames.json"), ordered, CLASSES, Path("images"), size=SIZE)
    assert contents.skipped == ()
    ids = {image["file_name"]: image["id"] for image in contents.coco["images"]}
    return Annotations.parse(contents.coco), ids


@pytest.mark.parametrize("path", vector_files("bdd100k"))
def test_both_routes_equal_the_official_evaluators_on_the_vectors(path):
    vector = load_vector(path)
    truth, ids = read_frames(vector["input"]["gt"])
    names = {number: name for name, number in ids.items()}
    records = frames_records("results", vector["input"]["dt"], names, truth.categories)
    sections = {section.name: section for section in bdd100k_sections(truth, Results.parse(records, truth))}
    for route, expected in vector["expected"].items():
        section = sections[ROUTES[route]]
        for name, value in expected.items():
            place, _, category = name.partition("/")
            numbers = section.per_class[category] if category else section.numbers
            found = numbers[place]
            assert (float("nan") if found is None else 100 * found) == pytest.approx(
                number(value), abs=1e-9, nan_ok=True
            )


def mask_of(x: int, width: int = 20, height: int = 20) -> dict:
    """A rectangle at (x, 5) in an image of 100 x 40."""
    bitmap = np.zeros((40, 100), dtype=np.uint8)
    bitmap[5 : 5 + height, x : x + width] = 1
    rle = oracle.encode(np.asfortranarray(bitmap))
    return {"size": [40, 100], "counts": rle["counts"].decode()}


def data_set(*objects: dict, images: int = 1) -> dict:
    return {
        "images": [{"id": n, "height": 40, "width": 100} for n in range(1, images + 1)],
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "bus"}],
        "annotations": [{"image_id": 1, "category_id": 1, **one} for one in objects],
    }


def found(x: int, score: float = 0.9, category: int = 1, image_id: int = 1, **shape: int) -> dict:
    place = {"image_id": image_id, "category_id": category}
    return {**place, "score": score, "segmentation": mask_of(x, **shape)}


def routes(truth: dict, *records: dict) -> tuple:
    annotations = Annotations.parse(truth)
    rle, bitmask = bdd100k_sections(annotations, Results.parse(records, annotations))
    return rle, bitmask


def test_predictions_of_an_image_with_an_overlap_count_nothing():
    truth = data_set({"segmentation": mask_of(0)}, {"image_id": 2, "segmentation": mask_of(0)}, images=2)
    fine, overlap = [found(0), found(0, image_id=2)], found(19, 0.1, category=2)
    assert routes(truth, *fine)[0].numbers["AP"] == pytest.approx(1)
    rle, _ = routes(truth, *fine, overlap)
    assert rle.numbers["AR100"] == 0.5
    assert overlapping_images(Results((*fine, overlap))) == {1}
    assert overlapping_images(Results((found(0), found(20)))) == set()


def test_ignored_objects_need_not_be_found_and_crowds_only_on_one_route():
    ignored = {"segmentation": mask_of(40), "iscrowd": 1, "attributes": {"ignored": True}}
    crowd = {"segmentation": mask_of(40), "iscrowd": 1, "attributes": {"crowd": True}}
    car = {"segmentation": mask_of(0), "iscrowd": 0, "attributes": {}}
    assert [s.numbers["AP"] for s in routes(data_set(car, ignored), found(0))] == pytest.approx([1, 1])
    rle, bitmask = routes(data_set(car, crowd), found(0))
    assert (rle.numbers["AR100"], bitmask.numbers["AR100"]) == (1, 0.5)


def test_on_bitmasks_a_crowd_takes_several_detections_by_ordinary_iou():
    crowd = {"segmentation": mask_of(0, width=40), "iscrowd": 1, "attributes": {"crowd": True}}
    car = {"segmentation": mask_of(60), "iscrowd": 0, "attributes": {}}
    _, bitmask = routes(data_set(crowd, car), found(0, 0.9), found(20, 0.8), found(60, 0.7))  # both halves: IoU 0.5
    assert bitmask.numbers["AP50"] == pytest.approx(1)
    assert bitmask.numbers["AR100"] == pytest.approx((3 / 2 + 9 / 2) / 10)  # as the official code counts it
    _, bitmask = routes(data_set(crowd), found(0, 0.8, width=24), found(24, 0.9, width=16))  # IoU 0.6 and 0.4
    assert bitmask.numbers["AP50"] == pytest.approx(0.5)


def test_on_bitmasks_a_detection_takes_what_it_fits_best_though_that_is_ignored():
    wanted = {"segmentation": mask_of(0, width=30), "iscrowd": 0, "attributes": {}}
    ignored = {"segmentation": mask_of(10, width=30), "iscrowd": 1, "attributes": {"ignored": True}}
    between = found(6, width=30)  # IoU 24 / 36 with the first, 26 / 34 with the ignored one
    rle, bitmask = routes(data_set(wanted, ignored), between)
    assert (rle.numbers["AP50"], bitmask.numbers["AP50"]) == (pytest.approx(1), 0)


def test_nothing_is_none_and_no_predictions_are_nought():
    car = {"segmentation": mask_of(0), "iscrowd": 0, "attributes": {}}
    for section in routes(data_set(car)):
        assert section.numbers["AP"] == 0
        assert section.per_class["car"] == {"AP": 0, "AP50": 0, "AP75": 0}
        assert section.per_class["bus"] == {"AP": None, "AP50": None, "AP75": None}
    rle, bitmask = routes(data_set(car))
    assert (rle.numbers["APl"], bitmask.numbers["APl"]) == (0, None)  # as the official codes have it
    for section in routes(data_set()):
        assert set(section.numbers.values()) == {None}
    for section in routes(data_set(), found(0)):
        assert section.numbers["AP"] is None


def test_objects_without_a_mask_are_no_objects():
    boxed = {"bbox": [0, 0, 10, 10], "iscrowd": 0}
    assert routes(data_set(boxed))[0].numbers["AP"] is None


def test_separate_objects_keep_the_pixels_that_no_better_one_has():
    truth = Annotations.parse(data_set(images=2))
    records = [found(0, 0.5), found(10, 0.9), found(12, 0.4, width=3), found(0, 0.1, image_id=2)]
    separate = separate_objects(
        Results((*records, {"image_id": 1, "category_id": 1, "score": 1, "bbox": [0, 0, 1, 1]})), truth
    )
    assert [one["score"] for one in separate] == [0.9, 0.5, 0.1]
    assert [int(oracle.area(one["segmentation"])) for one in separate] == [400, 200, 400]
    assert overlapping_images(separate) == set()
    assert separate_objects(separate, truth) == separate
