import copy

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_mask

from maskrcnn.benchmarks.lvis import LvisTruth, lvis_sections
from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.errors import DataError
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.results import Results, read_records
from tests.builders.lvis import OBJECTS, SQUARE, lay_out
from tests.builders.scoring import notched

NAMES = ["AP", "AP50", "AP75", "APs", "APm", "APl", "APr", "APc", "APf", "AR@300", "ARs@300", "ARm@300", "ARl@300"]
SIDE = 100


def perfect() -> list[dict]:
    return [
        {"image_id": i, "category_id": c, "score": 0.9, "bbox": box, "segmentation": SQUARE} for i, c, box in OBJECTS
    ]


@pytest.mark.parametrize(("name", "version"), [("lvis", "v1"), ("lvis-v0.5", "v0.5")])
def test_perfect_predictions_reach_one_and_a_submission_scores_the_same(tmp_path, name, version):
    lay_out(tmp_path, f"lvis_{version}_val.json")
    opened = open_benchmark(name, tmp_path)
    assert opened.counts == {"images": 2, "objects": 3}
    assert opened.truth is None  # COCO's rule would blame detections of classes nobody looked for
    assert [record.path.name for record in opened.dataset().records] == ["000000000005.jpg", "000000000009.jpg"]
    boxes, masks = opened.score(perfect())
    assert [boxes.numbers[key] for key in ("AP", "APr", "APf", "AR@300", "APc")] == [1, 1, 1, 1, None]
    assert masks.numbers["AP"] == 1
    opened.submit(perfect(), tmp_path / "sent.json")
    sent = read_records(tmp_path / "sent.json")
    assert "bbox" not in sent[0]
    assert [section.numbers for section in opened.score(sent)] == [masks.numbers]


def test_a_class_known_to_be_absent_costs_and_an_unknown_one_does_not(tmp_path):
    lay_out(tmp_path, "lvis_v1_val.json")
    score = open_benchmark("lvis", tmp_path).score
    assert score([*perfect(), perfect()[0] | {"category_id": 4, "score": 1.0}])[0].numbers["APf"] == 0.5


def test_of_the_tests_only_the_images_are_known(tmp_path):
    (tmp_path / "annotations").mkdir()
    lay_out(tmp_path, "annotations/lvis_v1_image_info_test_dev.json")
    opened = open_benchmark("lvis", tmp_path, "test-dev")
    assert not opened.public
    assert opened.counts == {"images": 2}
    assert len(opened.dataset().records) == 2
    opened.submit(perfect(), tmp_path / "sent.json")
    assert len(read_records(tmp_path / "sent.json")) == 3


def thing(image_id: int, category_id: int, box: list[int], **more) -> dict:
    return {"image_id": image_id, "category_id": category_id, "bbox": box, "segmentation": notched(SIDE, box), **more}


def data_set(images: list[dict], objects: list[dict]) -> dict:
    known = {"width": SIDE, "height": SIDE, "neg_category_ids": [], "not_exhaustive_category_ids": []}
    annotations = [
        {"id": number, "area": int(coco_mask.area(found["segmentation"])), **found}
        for number, found in enumerate(objects, start=1)
    ]
    categories = [{"id": number, "name": f"c{number}", "frequency": "rcf"[number % 3]} for number in range(1, 7)]
    return {"images": [known | image for image in images], "annotations": annotations, "categories": categories}


def random_case(seed: int) -> tuple[dict, list[dict]]:
    """Six images; some scores are equal, some masks and boxes empty, one image has more than 300 predictions."""
    generator = np.random.default_rng(seed)

    def box() -> list[int]:
        x, y = generator.integers(0, SIDE - 20, 2).tolist()
        return [x, y, int(generator.integers(0, SIDE - x)), int(generator.integers(1, SIDE - y))]

    images, objects, results = [], [], []
    for image_id in range(1, 7):
        truth = [thing(image_id, int(generator.integers(1, 6)), box()) for _ in range(generator.integers(0, 7))]
        objects += truth
        for found in truth:
            near = [max(1, value + int(generator.integers(-4, 5))) for value in found["bbox"]]
            category = found["category_id"] if generator.random() < 0.8 else int(generator.integers(1, 7))
            results.append(thing(image_id, category, near, score=round(float(generator.random()), 1)))
        for _ in range(320 if image_id == 4 else generator.integers(0, 30)):
            results.append(
                thing(image_id, int(generator.integers(1, 7)), box(), score=round(float(generator.random()), 1))
            )
        present = {found["category_id"] for found in truth}
        absent = [category for category in range(1, 7) if category not in present and generator.random() < 0.4]
        incomplete = [category for category in present if generator.random() < 0.4]
        images.append({"id": image_id, "neg_category_ids": absent, "not_exhaustive_category_ids": incomplete})
    return data_set(images, objects), results


def reference(truth: dict, results: list[dict], iou_type: str) -> dict[str, float | None]:
    """LVIS's rules one after the other, as lvis 0.5.3 has them in lvis/results.py and lvis/eval.py."""
    field = "bbox" if iou_type == "bbox" else "segmentation"
    areas = {"": (0, 1e10), "s": (0, 32**2), "m": (32**2, 96**2), "l": (96**2, 1e10)}
    thresholds, recalls = np.linspace(0.5, 0.95, 10), np.linspace(0, 1, 101)
    chosen = []
    for image in truth["images"]:
        of_image = [record for record in results if record["image_id"] == image["id"]]
        chosen += sorted(of_image, key=lambda record: -record["score"])[:300]
    size = {
        id(record): record["bbox"][2] * record["bbox"][3] if iou_type == "bbox" else coco_mask.area(record[field])
        for record in chosen
    }
    precision = np.full((6, 4, 10, 101), -1.0)
    recall = np.full((6, 4, 10), -1.0)
    for category in range(1, 7):
        for place, (low, high) in enumerate(areas.values()):
            for level, threshold in enumerate(thresholds):
                counted, positives = [], 0
                for image in truth["images"]:
                    objects = [
                        found
                        for found in truth["annotations"]
                        if (found["image_id"], found["category_id"]) == (image["id"], category) and found["area"] > 0
                    ]
                    if not objects and category not in image["neg_category_ids"]:
                        continue
                    records = [
                        record
                        for record in chosen
                        if (record["image_id"], record["category_id"]) == (image["id"], category)
                        and size[id(record)] > 0
                    ]
                    records.sort(key=lambda record: -record["score"])
                    outside = [not low <= found["area"] <= high for found in objects]
                    order = sorted(range(len(objects)), key=lambda i: outside[i])
                    positives += outside.count(False)
                    used: set[int] = set()
                    for record in records:
                        best, match = min(threshold, 1 - 1e-10), None
                        for i in order:
                            if i in used:
                                continue
                            if match is not None and not outside[match] and outside[i]:
                                break
                            overlap = coco_mask.iou([record[field]], [objects[i][field]], [0])[0, 0]
                            if overlap >= best:
                                best, match = overlap, i
                        if match is not None:
                            used.add(match)
                            ignored = outside[match]
                        else:
                            ignored = (
                                not low <= size[id(record)] <= high or category in image["not_exhaustive_category_ids"]
                            )
                        if not ignored:
                            counted.append((record["score"], match is not None))
                if not positives:
                    continue
                counted.sort(key=lambda found: -found[0])
                hits = np.cumsum([hit for _, hit in counted])
                precisions = hits / np.arange(1, len(counted) + 1)
                reached = hits / positives
                recall[category - 1, place, level] = reached[-1] if len(counted) else 0
                precision[category - 1, place, level] = [
                    max(precisions[np.searchsorted(reached, least) :], default=0) for least in recalls
                ]

    def mean(values: np.ndarray) -> float | None:
        return values[values > -1].mean() if (values > -1).any() else None

    groups = np.array(["rcf"[category % 3] for category in range(1, 7)])
    numbers = {"AP": precision[:, 0], "AP50": precision[:, 0, 0], "AP75": precision[:, 0, 5]}
    numbers |= {f"AP{name}": precision[:, place] for place, name in enumerate(areas) if name}
    numbers |= {f"AP{group}": precision[groups == group][:, 0] for group in "rcf"}
    numbers |= {f"AR{name}@300": recall[:, place] for place, name in enumerate(areas)}
    return {name: mean(values) for name, values in numbers.items()}


def known(truth: dict) -> LvisTruth:
    return LvisTruth.parse(truth, Annotations.parse(truth, source="x.json"))


def results_of(truth: dict, records: list[dict]) -> Results:
    return Results.parse(records, Annotations.parse(truth))


def numbers_of(truth: dict, results: list[dict], iou_type: str = "bbox") -> dict:
    return dict(lvis_sections(known(truth), results_of(truth, results), iou_types=[iou_type])[0].numbers)


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(2))
def test_all_numbers_equal_the_official_rules_one_by_one(seed, iou_type):
    truth, results = random_case(seed)
    before = copy.deepcopy(truth), copy.deepcopy(results)
    found = numbers_of(truth, results, iou_type)
    assert list(found) == NAMES
    assert found == pytest.approx(reference(truth, results, iou_type), abs=1e-12)
    assert (truth, results) == before


def test_detections_of_classes_nobody_looked_for_are_dropped():
    truth = data_set([{"id": 1, "neg_category_ids": [2]}, {"id": 2}], [thing(1, 1, [0, 0, 50, 50])])
    right = thing(1, 1, [0, 0, 50, 50], score=0.5)
    unknown = [thing(2, 1, [0, 0, 50, 50], score=0.9), thing(1, 3, [0, 0, 50, 50], score=0.9)]
    assert numbers_of(truth, [right, *unknown])["AP"] == 1
    absent = data_set([{"id": 1}, {"id": 2, "neg_category_ids": [1]}], [thing(1, 1, [0, 0, 50, 50])])
    assert numbers_of(absent, [right, *unknown])["AP"] == 0.5


def test_unmatched_detections_of_incomplete_classes_do_not_count():
    wrong = thing(1, 1, [40, 40, 50, 50], score=0.9)
    right = thing(1, 1, [0, 0, 30, 30], score=0.5)
    objects = [thing(1, 1, [0, 0, 30, 30])]
    assert numbers_of(data_set([{"id": 1}], objects), [wrong, right])["AP"] == 0.5
    assert numbers_of(data_set([{"id": 1, "not_exhaustive_category_ids": [1]}], objects), [wrong, right])["AP"] == 1


def test_three_hundred_detections_count_over_all_classes():
    truth = data_set([{"id": 1}], [thing(1, 1, [0, 0, 50, 50])])
    others = [thing(1, 2, [0, 0, 5, 5], score=0.9) for _ in range(300)]
    right = thing(1, 1, [0, 0, 50, 50], score=0.5)
    assert numbers_of(truth, [*others[1:], right])["AP"] == 1
    assert numbers_of(truth, [*others, right])["AP"] == 0


def test_frequent_and_rare_classes_have_their_own_numbers():
    truth = data_set([{"id": 1}], [thing(1, 1, [0, 0, 50, 50]), thing(1, 3, [50, 50, 40, 40])])
    section = lvis_sections(
        known(truth), results_of(truth, [thing(1, 3, [50, 50, 40, 40], score=0.5)]), iou_types=["segm"]
    )[0]
    assert {name: section.numbers[name] for name in ("AP", "APr", "APc", "APf", "APl")} == {
        "AP": 0.5,
        "APr": 1,
        "APc": 0,
        "APf": None,
        "APl": None,
    }
    assert section.per_class == {
        "c1": dict.fromkeys(("AP", "AP50", "AP75"), 0),
        "c3": dict.fromkeys(("AP", "AP50", "AP75"), 1),
    }


def test_no_predictions_give_zero_and_no_objects_nothing():
    truth = data_set([{"id": 1}], [thing(1, 1, [0, 0, 50, 50])])
    assert (numbers_of(truth, [])["AP"], numbers_of(truth, [])["AR@300"], numbers_of(truth, [])["APs"]) == (0, 0, None)
    assert set(numbers_of(data_set([{"id": 1}], []), [thing(1, 1, [0, 0, 9, 9], score=1.0)]).values()) == {None}
    assert set(numbers_of(data_set([], []), []).values()) == {None}


def test_what_is_scored_is_said():
    said: list[str] = []
    lvis_sections(known(data_set([{"id": 1}], [thing(1, 4, [0, 0, 50, 50])])), Results(()), say=said.append)
    assert said == ["boxes: class 4 of 6", "masks: class 4 of 6"]


def test_files_of_other_data_sets_are_refused():
    truth = data_set([{"id": 7}], [])
    truth["images"][0]["neg_category_ids"] = None
    with pytest.raises(DataError, match="x.json: image 7: `neg_category_ids`.*None"):
        known(truth)
    truth = data_set([], [])
    truth["categories"][1]["frequency"] = "often"
    with pytest.raises(DataError, match="x.json: category 2 .*`frequency`.*often"):
        known(truth)
