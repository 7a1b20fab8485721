from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as oracle

from maskrcnn.benchmarks.bdd100k.dataset import frames_records
from maskrcnn.benchmarks.bdd100k.metric import (
    bdd100k_sections,
    bitmask_section,
    overlapping_images,
    separate_objects,
)
from maskrcnn.data.readers.bdd100k import CLASSES, SIZE
from maskrcnn.data.readers.scalabel import frames_contents
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.results import Results
from maskrcnn.evaluation.sections import Section, say_nothing
from tests.builders.scoring import coco, rectangle
from tests.builders.vectors import load_vector, number, vector_files

ROUTES = {"rle_eval": "rle", "bitmask_eval": "bitmask"}
LARGE = (120, 160)
AREAS = {"": (0, 1e10), "s": (0, 1024), "m": (1024, 9216)}


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
    return rectangle((40, 100), x, 5, width, height)


def data_set(*objects: dict, images: int = 1) -> dict:
    placed = [{"image_id": 1, "category_id": 1, **one} for one in objects]
    return coco(*placed, size=(40, 100), images=range(1, images + 1), classes={1: "car", 2: "bus"})


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
    car = {"segmentation": mask_of(0, width=30), "iscrowd": 0, "attributes": {}}
    ignored = {"segmentation": mask_of(10, width=30), "iscrowd": 1, "attributes": {"ignored": True}}
    between = found(6, width=30)  # IoU 24 / 36 with the first, 26 / 34 with the ignored one
    rle, bitmask = routes(data_set(car, ignored), between)
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


def some_data() -> tuple[dict, list[dict]]:
    """Objects on a grid of four cells in each of six images, some crowds, some ignored, and moved detections."""
    random = np.random.default_rng(3)
    objects, records = [], []
    for image_id in range(1, 7):
        for cell in range(4):
            y, x = 60 * (cell // 2), 80 * (cell % 2)
            height, width = int(random.integers(12, 50)), int(random.integers(12, 70))
            place = {"image_id": image_id, "category_id": int(random.integers(1, 3))}
            flags = {"crowd": bool(random.random() < 0.3), "ignored": bool(random.random() < 0.3)}
            shape = {"segmentation": rectangle(LARGE, x, y, width, height)}
            objects.append({**place, **shape, "attributes": flags, "iscrowd": any(flags.values())})
            half = width // 2 if random.random() < 0.4 else width
            for part in {half, width}:
                start = 0 if part == half else half
                rows = max(1, height - int(random.integers(0, 6)))
                score = round(float(random.random()), 1)
                mask = rectangle(LARGE, x + start, y, max(1, part - start), rows)
                records.append({**place, "score": score, "segmentation": mask})
    return coco(*objects, size=LARGE, images=range(1, 7), classes={1: "car", 2: "bus"}), records


def section_of(content: dict, records: list[dict]) -> Section:
    truth = Annotations.parse(content)
    return bitmask_section(truth, Results.parse(records, truth), say_nothing)


def slow_numbers(content: dict, records: list[dict], category: int, area: tuple[float, float], most: int) -> tuple:
    """AP and AR of one class, a detection after the other, pixel by pixel."""
    precisions, recalls = [], []
    for threshold in np.linspace(0.5, 0.95, 10):
        counted, positives = [], 0
        for image in content["images"]:
            objects = [one for one in content["annotations"] if place_of(one) == (image["id"], category)]
            masks = [oracle.decode(one["segmentation"]) > 0 for one in objects]
            optional = [
                o["attributes"]["ignored"] or not area[0] <= m.sum() <= area[1]
                for o, m in zip(objects, masks, strict=True)
            ]
            positives += len(objects) - sum(optional)
            taken = set()
            found = sorted(
                (one for one in records if place_of(one) == (image["id"], category)), key=lambda one: -one["score"]
            )
            for place, one in enumerate(found):
                mask = oracle.decode(one["segmentation"]) > 0
                ious = [0 if n in taken else (mask & m).sum() / (mask | m).sum() for n, m in enumerate(masks)]
                best = int(np.argmax(ious)) if ious else -1
                if best >= 0 and ious[best] >= threshold:
                    if not objects[best]["attributes"]["crowd"]:
                        taken.add(best)
                    match = None if optional[best] else True
                else:
                    match = False if area[0] <= mask.sum() <= area[1] else None
                if match is not None and place < most:
                    counted.append((one["score"], match))
        if not positives:
            return None, None
        matches = [match for _, match in sorted(counted, key=lambda one: -one[0])]
        right = np.cumsum(matches)
        points = [(r / positives, r / n) for n, r in enumerate(right, start=1)]
        best = [max((p for r, p in points if r >= least), default=0.0) for least in np.linspace(0, 1, 101)]
        precisions.append(np.mean(best))
        recalls.append(right[-1] / positives if len(right) else 0)
    return np.mean(precisions), np.mean(recalls)


def place_of(one: dict) -> tuple[int, int]:
    return one["image_id"], one["category_id"]


def test_every_number_equals_a_slow_count():
    content, records = some_data()
    section = section_of(content, records)
    for name, area in AREAS.items():
        slow = [slow_numbers(content, records, category, area, 100) for category in (1, 2)]
        assert section.numbers[f"AP{name}"] == pytest.approx(np.mean([ap for ap, _ in slow if ap is not None]))
        number = f"AR{name}" if name else "AR100"
        assert section.numbers[number] == pytest.approx(np.mean([ar for _, ar in slow if ar is not None]))
    slow = [slow_numbers(content, records, category, AREAS[""], 1) for category in (1, 2)]
    assert section.numbers["AR1"] == pytest.approx(np.mean([ar for _, ar in slow]))
    assert section.per_class["bus"]["AP"] == pytest.approx(slow_numbers(content, records, 2, AREAS[""], 100)[0])
    assert 0.2 < section.numbers["AP"] < 0.9


def test_more_than_a_hundred_objects_in_an_image_are_scored():
    objects = [
        {
            "image_id": 1,
            "category_id": 1,
            "segmentation": rectangle(LARGE, x, y, 8, 8),
            "iscrowd": 0,
            "attributes": {},
        }
        for y in range(0, 120, 10)
        for x in range(0, 160, 10)
    ]
    content = {**some_data()[0], "annotations": objects}
    records = [{**one, "score": 0.5} for one in objects]
    section = section_of(content, records)
    assert section.numbers["AR100"] == pytest.approx(100 / 192)


def test_a_detection_without_a_pixel_is_left_out():
    content, _ = some_data()
    empty = {"image_id": 1, "category_id": 1, "score": 1.0, "segmentation": {"size": [120, 160], "counts": [19200]}}
    section = section_of(content, [empty])
    assert section.numbers["AP"] == 0
