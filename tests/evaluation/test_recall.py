import contextlib
import io

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from maskrcnn.evaluation import recall
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.recall import average_recall, recall_table
from maskrcnn.structures.instances import Instances
from tests.builders.scoring import shown

SIZE = (400, 500)


def content(objects, count=1):
    """COCO's dict; an object is (image id, category, x, y, width, height, crowd)."""
    annotations = [
        {"id": n, "image_id": i, "category_id": c, "bbox": [x, y, w, h], "area": w * h, "iscrowd": crowd}
        for n, (i, c, x, y, w, h, crowd) in enumerate(objects, start=1)
    ]
    images = [{"id": i, "height": SIZE[0], "width": SIZE[1]} for i in range(1, count + 1)]
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
    }


def proposals(*boxes, scores=None):
    rows = torch.from_numpy(np.array(boxes, dtype=np.float64)).reshape(-1, 4)
    values = torch.linspace(1, 0.5, len(rows)) if scores is None else torch.tensor(scores)
    return Instances(size=SIZE, boxes=rows, labels=torch.zeros(len(rows), dtype=torch.int64), scores=values)


def score(objects, found, count=1, **options):
    return average_recall(Annotations.parse(content(objects, count)), found, **options)


def test_a_box_with_an_iou_of_08_is_recalled_at_seven_of_ten_thresholds():
    found = {1: proposals([0, 0, 80, 100])}
    numbers = score([(1, 2, 0, 0, 100, 100, 0)], found)
    assert numbers["AR@100"] == pytest.approx(0.7)
    assert numbers["ARl@1000"] == pytest.approx(0.7)
    assert numbers["ARs@100"] == -1


def test_only_as_many_proposals_as_the_limit_count_the_best_first():
    found = {1: proposals([200, 200, 300, 300], [0, 0, 100, 100], scores=[0.9, 0.8])}
    numbers = score([(1, 1, 0, 0, 100, 100, 0)], found, limits=(1, 2))
    assert (numbers["AR@1"], numbers["AR@2"]) == (0, 1)


def test_classes_and_crowds_do_not_count():
    objects = [(1, 1, 0, 0, 50, 50, 0), (1, 2, 100, 100, 50, 50, 0), (1, 2, 200, 200, 200, 200, 1)]
    numbers = score(objects, {1: proposals([0, 0, 50, 50], [100, 100, 150, 150])})
    assert numbers["AR@100"] == 1
    assert numbers["ARl@100"] == -1


def test_images_without_proposals_or_objects_are_legal():
    assert score([(1, 1, 0, 0, 50, 50, 0)], {}, count=2)["AR@100"] == 0
    assert score([(1, 1, 0, 0, 50, 50, 0)], {1: proposals()}, count=2)["AR@100"] == 0
    assert set(score([], {1: proposals([0, 0, 5, 5])}).values()) == {-1.0}


def random_boxes(random, count):
    corners = random.uniform(0, 300, (count, 2))
    return np.concatenate([corners, random.uniform(5, 100, (count, 2)) * random.choice([0.3, 1], (count, 1))], axis=1)


@pytest.mark.parametrize("together", [1, 4, 100])
def test_the_numbers_are_those_of_the_official_evaluation_without_classes(together, monkeypatch):
    monkeypatch.setattr(recall, "TOGETHER", together)
    random = np.random.default_rng(0)
    objects, found, records = [], {}, []
    for image_id in range(1, 10):
        boxes = random_boxes(random, int(random.integers(0, 12)))
        objects += [(image_id, n % 2 + 1, *box, int(n % 7 == 6)) for n, box in enumerate(boxes.tolist())]
        near = np.repeat(boxes, 20, axis=0) + random.normal(0, 6, (20 * len(boxes), 4))
        tried = np.concatenate([near, random_boxes(random, 40)]).clip(min=1)
        tried = random.permutation(tried)
        found[image_id] = proposals(*np.concatenate([tried[:, :2], tried[:, :2] + tried[:, 2:]], 1), scores=None)
        scores = found[image_id].scores.tolist()
        records += [
            {"image_id": image_id, "category_id": 1, "bbox": box, "score": value}
            for box, value in zip(tried.tolist(), scores, strict=True)
        ]
    whole = content(objects, count=9)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = whole | {"info": {}}
        truth.createIndex()
        official = COCOeval(truth, truth.loadRes(records), "bbox")
        official.params.maxDets = [10, 50, 100]
        official.params.useCats = 0
        official.evaluate()
        official.accumulate()
    numbers = average_recall(Annotations.parse(whole), found, limits=(10, 50, 100))
    for a, area in enumerate(("", "s", "m", "l")):
        for m, limit in enumerate((10, 50, 100)):
            values = official.eval["recall"][:, 0, a, m]
            assert numbers[f"AR{area}@{limit}"] == pytest.approx(values.mean(), abs=1e-12)
    assert 0.1 < numbers["AR@10"] < numbers["AR@100"] < 1


def test_the_table_has_a_row_for_each_size_and_a_dash_for_nothing():
    text = shown(recall_table(score([(1, 1, 0, 0, 100, 100, 0)], {1: proposals([0, 0, 80, 100])})))
    assert "AR@300" in text
    assert [line.split()[1:2] for line in text.splitlines() if "small" in line] == [["small"]]
    assert "70.0" in text
    assert "-" in next(line for line in text.splitlines() if "medium" in line)
