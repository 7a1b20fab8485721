import numpy as np
import pytest

from maskrcnn.benchmarks.cells.nuclei import BOWL_IOUS, accuracy_sections, nuclei_sections
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.results import Results
from maskrcnn.structures.masks import Crop, encode_crop

SIZE = (20, 60)


def bar(image_id, left, right, **more):
    mask = encode_crop(Crop(left, 0, np.ones((10, right - left), bool)), SIZE)
    return {"image_id": image_id, "category_id": 1, "segmentation": mask, **more}


def truth(*objects, images=2):
    return Annotations.parse(
        {
            "images": [{"id": 1 + i, "height": SIZE[0], "width": SIZE[1]} for i in range(images)],
            "categories": [{"id": 1, "name": "nucleus"}],
            "annotations": list(objects),
        }
    )


def numbers(annotations, records, score_threshold=0.5):
    sections = accuracy_sections(annotations, Results(tuple(records)), score_threshold=score_threshold)
    return {section.name: section.numbers for section in sections}


def test_thresholds_of_the_bowl():
    assert BOWL_IOUS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def test_accuracy_is_pooled_and_the_bowls_is_a_mean_over_images():
    # the first image: one of two nuclei found with an IoU of .82; the second: its one nucleus found exactly
    annotations = truth(bar(1, 0, 10), bar(1, 20, 30), bar(2, 0, 10))
    records = [bar(1, 1, 11, score=0.9), bar(2, 0, 10, score=0.9)]
    found = numbers(annotations, records)
    assert found["accuracy"]["accuracy50"] == 2 / 3
    assert found["accuracy"]["accuracy85"] == 1 / 4  # a false positive and a false negative more
    assert found["accuracy"]["accuracy"] == pytest.approx((7 * 2 / 3 + 2 / 4) / 9)
    assert found["bowl"]["score"] == pytest.approx((7 / 10 * 1 / 2 + 1) / 2)


def test_predictions_below_the_score_threshold_do_not_count():
    annotations = truth(bar(1, 0, 10), images=1)
    records = [bar(1, 0, 10, score=0.6), bar(1, 30, 40, score=0.4)]
    assert numbers(annotations, records)["bowl"]["score"] == 1
    assert numbers(annotations, records, 0.4)["bowl"]["score"] == 1 / 2
    assert numbers(annotations, records, 0.7)["bowl"]["score"] == 0


def test_images_without_nuclei_count_only_if_some_are_found():
    annotations = truth(bar(1, 0, 10))
    right = bar(1, 0, 10, score=1)
    assert numbers(annotations, [right])["bowl"]["score"] == 1
    assert numbers(annotations, [right, bar(2, 0, 10, score=1)])["bowl"]["score"] == 1 / 2
    nothing = numbers(truth(), [])
    assert nothing["bowl"]["score"] is None
    assert set(nothing["accuracy"].values()) == {None}


def test_all_rules_of_nuclei_are_sections():
    annotations = truth(bar(1, 0, 10))
    said = []
    sections = nuclei_sections(annotations, Results((bar(1, 0, 10, score=0.8),)), score_threshold=0.5, say=said.append)
    assert [section.name for section in sections] == [
        *("accuracy", "bowl", "segm", "instances", "glas", "glas_pooled", "foreground")
    ]
    assert "at most 500 detections" in sections[2].protocol
    assert sections[2].numbers["AP"] == pytest.approx(1)
    assert said[0] == "instance accuracy"
