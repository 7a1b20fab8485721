import numpy as np
import pytest

from maskrcnn.evaluation import coco as module
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.coco import coco_curves
from maskrcnn.evaluation.coco_input import boundary_of
from tests.builders.scoring import parsed

AREAS = [(0, 1e10), (0, 1024)]


def some_data(classes: int = 5) -> tuple:
    """A dataset with unequal classes, one of them empty, and predictions that fit more or less."""
    random = np.random.default_rng(0)
    boxes = np.concatenate([random.uniform(0, 50, (60, 2)), random.uniform(4, 40, (60, 2))], axis=1).round(1)
    objects = [
        {
            "image_id": 1 + n % 3,
            "category_id": int(random.integers(1, classes)),
            "bbox": box.tolist(),
            "iscrowd": n % 9 == 0,
        }
        for n, box in enumerate(boxes)
    ]
    results = []
    for found in [*objects, *objects[::2]]:
        x, y, width, height = found["bbox"] + random.normal(0, 1, 4) * [3, 3, 0, 0]
        polygon = [x, y, x + width, y, x + width, y + height, x, y + height]
        place = {"bbox": [x, y, width, height], "segmentation": [polygon]}
        results.append({"image_id": found["image_id"], "category_id": found["category_id"], **place})
        results[-1]["score"] = round(float(random.random()), 1)
    content = {
        "images": [{"id": n, "height": 90, "width": 120} for n in (3, 1, 2)],
        "categories": [{"id": n, "name": str(n)} for n in range(classes, 0, -1)],
        "annotations": objects,
    }
    return parsed(content, results)


@pytest.mark.parametrize("kind", ["bbox", "segm", "boundary"])
def test_classes_in_blocks_give_what_all_at_once_give(kind, monkeypatch):
    truth, results = some_data()
    seen = []
    whole = coco_curves(truth, results, kind, AREAS, [1, 100], seen.append)
    monkeypatch.setattr(module, "BLOCK", 25)
    parts = coco_curves(truth, results, kind, AREAS, [1, 100], seen.append)
    assert whole.precision.shape == (10, 101, 5, 2, 2)
    assert whole.recall.shape == (10, 5, 2, 2)
    assert np.array_equal(whole.precision, parts.precision)
    assert np.array_equal(whole.recall, parts.recall)
    assert (whole.recall[:, 4] == -1).all()
    assert 0 < whole.precision[:, :, :4].mean() < 1
    assert seen[0] == seen[-1] == 5
    assert len(seen) > 3


def decode(mask: dict) -> np.ndarray:
    from pycocotools import mask as oracle

    return oracle.decode(mask).astype(bool)


def slow_similarity(found: np.ndarray, wanted: np.ndarray, crowd: bool, size: tuple[int, int]) -> float:
    """Of masks as pixels; of a crowd only the mask counts, by the detection's own area."""
    common = (found & wanted).sum()
    if crowd:
        return common / found.sum()
    edges = [decode(boundary_of(encode(mask), size)) for mask in (found, wanted)]
    return min(common / (found | wanted).sum(), (edges[0] & edges[1]).sum() / (edges[0] | edges[1]).sum())


def encode(mask: np.ndarray) -> dict:
    from pycocotools import mask as oracle

    return oracle.encode(np.asfortranarray(mask.astype(np.uint8)))


def test_boundaries_match_by_the_smaller_of_both_similarities():
    truth, results = some_data(2)
    size = (90, 120)
    recalls = coco_curves(truth, results, "boundary", AREAS[:1], [100], print).recall[:, 0, 0, 0]
    hits, wanted = np.zeros(10), 0
    for image_id in (1, 2, 3):
        objects = [one for one in truth.objects if one["image_id"] == image_id]
        masks = [decode(mask) for mask, one in zip(truth.masks, truth.objects, strict=True) if one in objects]
        found = sorted((one for one in results if one["image_id"] == image_id), key=lambda one: -one["score"])
        table = [
            [
                slow_similarity(decode(one["segmentation"]), mask, bool(other["iscrowd"]), size)
                for mask, other in zip(masks, objects, strict=True)
            ]
            for one in found
        ]
        wanted += sum(not other["iscrowd"] for other in objects)
        for step, threshold in enumerate(np.linspace(0.5, 0.95, 10)):
            taken = set()
            for row in table:
                free = [
                    (s, n) for n, s in enumerate(row) if s >= threshold and n not in taken and not objects[n]["iscrowd"]
                ]
                if free:
                    taken.add(max(free)[1])
            hits[step] += len(taken)
    assert recalls == pytest.approx(hits / wanted, abs=1e-12)


def test_a_data_set_without_classes_has_no_curves():
    truth = Annotations.parse({"images": [], "categories": [], "annotations": []})
    assert coco_curves(truth, [], "bbox", AREAS, [1, 10], print).precision.shape == (10, 101, 0, 2, 2)
