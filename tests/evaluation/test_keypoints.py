import copy
import math
from collections.abc import Mapping

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from maskrcnn.errors import DataError
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.keypoints import keypoint_objects, keypoint_sigmas
from maskrcnn.evaluation.report import score_results
from maskrcnn.structures.classes import COCO_PERSON
from tests.builders.scoring import coco_scores, parsed

NAMES = ["AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl"]
OWL = {"id": 7, "name": "owl", "keypoints": ["left_eye", "right_eye"], "sigmas": [0.1, 0.05]}


def data_set(*objects: dict, categories: tuple[dict, ...] = (OWL,)) -> dict:
    return {
        "images": [{"id": 1, "width": 200, "height": 100}],
        "categories": list(categories),
        "annotations": [{"id": number, **found} for number, found in enumerate(objects, start=1)],
    }


def owl(keypoints: list[float] | None = None, **more) -> dict:
    """An object of 40 x 40 px, or a prediction of it."""
    points = [20, 20, 2, 40, 20, 2] if keypoints is None else keypoints
    return {"image_id": 1, "category_id": 7, "bbox": [10, 10, 40, 40], "area": 1600, "keypoints": points, **more}


def score(truth: dict, *results: dict) -> Mapping[str, float | None]:
    return coco_scores(truth, list(results), iou_types=["keypoints"])["keypoints"].numbers


def test_similarity_is_the_mean_over_annotated_keypoints_with_their_own_sigmas():
    # 8 px off each: exp(-64 / (2 * 1600 * 0.2^2)) = 0.607, and with half the sigma exp(-2) = 0.135; mean 0.371.
    moved = [28, 20, 1, 48, 20, 1]
    assert score(data_set(owl()), owl(moved, score=0.9))["AP50"] == 0
    only_first = [20, 20, 2, 0, 0, 0]
    found = score(data_set(owl(only_first)), owl(moved, score=0.9))
    assert math.exp(-0.5) == pytest.approx(0.607, abs=1e-3)
    assert (found["AP50"], found["AP75"], found["AP"]) == (1, 0, pytest.approx(0.3))


def test_any_skeleton_scores_as_pycocotools_with_its_sigmas(capsys):
    rng = np.random.default_rng(0)
    points = [rng.integers(10, 50, 4).tolist() for _ in range(30)]
    objects = [owl([x, y, 2, z, w, int(rng.integers(0, 3))]) for x, y, z, w in points[:12]]
    results = [owl([x + 3, y, 1, z, w - 2, 1], score=float(rng.random())) for x, y, z, w in points]
    truth = data_set(*objects)
    oracle = COCO()
    oracle.dataset = copy.deepcopy(truth)
    for found in oracle.dataset["annotations"]:
        found |= {"iscrowd": 0, "num_keypoints": sum(v > 0 for v in found["keypoints"][2::3])}
    oracle.createIndex()
    records = [{name: one[name] for name in ("image_id", "category_id", "keypoints", "score")} for one in results]
    evaluation = COCOeval(oracle, oracle.loadRes(records), "keypoints")
    evaluation.params.kpt_oks_sigmas = np.array(OWL["sigmas"])
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert list(score(truth, *results).values()) == pytest.approx(list(evaluation.stats), abs=1e-9)
    assert 0.1 < evaluation.stats[0] < 0.9


def test_only_twenty_detections_count():
    wrong = [owl([150, 90, 1, 150, 90, 1], score=0.9) for _ in range(20)]
    assert score(data_set(owl()), *wrong, owl(score=0.1))["AR"] == 0
    assert score(data_set(owl()), *wrong[1:], owl(score=0.1))["AR"] == 1


def test_objects_without_keypoints_are_ignored_and_classes_without_them_are_left_out():
    mouse = {"id": 8, "name": "mouse"}
    truth = data_set(owl(), owl([]), owl([], category_id=8), categories=(OWL, mouse))
    assert [found["num_keypoints"] for found in keypoint_objects(Annotations.parse(truth))] == [2, 0, 0]
    scores = coco_scores(truth, [owl(score=0.9)], iou_types=["keypoints"])["keypoints"]
    assert scores.numbers["AP"] == 1
    assert {name: found["AP"] for name, found in scores.per_class.items()} == {"owl": 1, "mouse": -1}


@pytest.mark.parametrize("stated", [0, 1, None, "2", math.nan])
def test_keypoints_are_counted_whatever_the_file_says_and_what_differs_is_named(stated):
    truth = data_set(owl(num_keypoints=stated, area=0))
    assert score(truth, owl(score=0.9))["AP"] == 1
    remarks = [words for words in Annotations.parse(truth).remarks if "num_keypoints" in words]
    assert len(remarks) == (stated is not None)
    assert all("annotation 1" in words and repr(stated) in words for words in remarks)


def test_nothing_annotated_and_nothing_found_are_legal():
    assert set(score(data_set()).values()) == {-1}
    assert score(data_set(), owl(score=0.5))["AP"] == -1
    assert score(data_set(owl()))["AP"] == 0


def test_annotations_that_cannot_be_scored_are_named():
    with pytest.raises(DataError, match="annotation 1 of image 1: `keypoints`.*6"):
        score(data_set(owl([1, 2, 3, 4])))
    with pytest.raises(DataError, match="annotations: .*`keypoints`"):
        keypoint_sigmas(Annotations.parse(data_set(categories=({"id": 7, "name": "owl"},))))
    with pytest.raises(DataError, match="annotations: category 'owl': sigmas"):
        Annotations.parse(data_set(categories=(OWL | {"sigmas": [1]},)))


def test_the_report_has_keypoints_beside_boxes():
    person = {"id": 7, "name": "person"} | COCO_PERSON.described()
    points = [20, 20, 2] * 17
    truth, found = data_set(owl(points), categories=(person,)), [owl(points, score=0.9)]
    report = score_results(*parsed(truth, found), iou_types=["bbox", "keypoints"])
    assert list(report["keypoints"]) == NAMES
    assert report["keypoints"]["AP"] == 1
    rows = [line.replace(" ", "").split("│")[1:-1] for line in str(report).splitlines()]
    assert ["AP", "100.0", "100.0"] in rows
    assert ["AR", "-", "100.0"] in rows
    assert ["APs", "-", "-"] in rows


def test_keypoints_whose_category_has_no_names_are_scored():
    truth = data_set(owl(), categories=({"id": 7, "name": "owl"},))
    assert keypoint_sigmas(Annotations.parse(truth)) == (0.05, 0.05)
    assert score(truth, owl(score=0.9))["AP"] == 1
