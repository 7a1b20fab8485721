import re

import numpy as np

from maskrcnn.config import ModelSettings
from maskrcnn.doctor.detection_advice import find_in_numbers, find_in_overlaps, suppressed
from maskrcnn.doctor.objects import Pairs, overlapping_pairs
from tests.builders.made_set import MadeSet, named, names

SETTINGS = ModelSettings()


def test_images_with_few_objects_have_no_findings(tmp_path):
    assert find_in_numbers([MadeSet(tmp_path).table()], SETTINGS) == []
    assert find_in_numbers([], SETTINGS) == []


def test_an_image_with_more_objects_than_detections_is_reported(tmp_path):
    made = MadeSet(tmp_path, 2)
    for number in range(130):
        made.add_object(2, [number % 80, number // 3, 9, 9])
    found = named(find_in_numbers([made.table()], SETTINGS), "too-many-objects")
    assert found.severity == "warning"
    assert re.search(r"train: 1 of 2 \(50 %\) images .* 100 .* 131.* 31 objects", found.what)
    assert found.examples[0].words == "train_2.png: 131 objects"
    assert found.settings == ("box_head.detections_per_image=200",)


def test_more_detections_than_proposals_need_more_proposals(tmp_path):
    made = MadeSet(tmp_path, 1)
    for number in range(20):
        made.add_object(1, [number, number, 9, 9])
    settings = ModelSettings.model_validate({"box_head": {"detections_per_image": 10}, "rpn": {"post_nms_top_n": 60}})
    found = named(find_in_numbers([made.table()], settings), "too-many-objects")
    assert found.settings == ("box_head.detections_per_image=50", "rpn.post_nms_top_n=100")


def test_more_objects_than_samples_are_noted(tmp_path):
    made = MadeSet(tmp_path, 2)
    for number in range(20):
        made.add_object(1, [number, number, 9, 9])
    settings = ModelSettings.model_validate({"box_head": {"batch_size_per_image": 40, "positive_fraction": 0.25}})
    found = named(find_in_numbers([made.table()], settings), "more-than-samples")
    assert found.severity == "note"
    assert "`box_head.batch_size_per_image=80`" in found.advice


def test_suppression_drops_the_later_of_two_unless_the_earlier_is_dropped():
    pairs = Pairs(np.array([1, 0]), np.array([2, 1]), np.array([0.8, 0.6]))
    assert suppressed(pairs, 0.5) == [1]  # 0 drops 1, which then cannot drop 2
    assert suppressed(pairs, 0.7) == [2]
    assert suppressed(pairs, 0.9) == []


def overlapping(folder, label=1):
    made = MadeSet(folder, 10)
    made.add_object(1, [24, 16, 24, 20], label=label, polygon=[[24, 16, 48, 16, 24, 36]])  # IoU 20 / 28 with the first
    table = made.table()
    return table, overlapping_pairs(table, 0.5)


def test_neighbors_that_suppression_drops_are_reported(tmp_path):
    table, pairs = overlapping(tmp_path)
    found = named(find_in_overlaps(table, pairs, SETTINGS), "overlapping-objects")
    assert found.severity == "warning"
    assert re.match(r"train: 1 of 11 \(9\.1 %\) objects .* 0\.5", found.what)
    assert found.settings == ("box_head.nms_threshold=0.8",)
    assert "0 lost at 0.8" in found.advice


def test_neighbors_of_other_classes_matter_only_if_classes_suppress_each_other(tmp_path):
    table, pairs = overlapping(tmp_path, label=2)
    assert list(find_in_overlaps(table, pairs, SETTINGS)) == []
    across = ModelSettings.model_validate({"box_head": {"class_agnostic_nms": True}})
    assert names(find_in_overlaps(table, pairs, across)) == ["overlapping-objects"]


def test_objects_annotated_twice_are_no_neighbors(tmp_path):
    made = MadeSet(tmp_path, 3)
    made.add_object(1, [20, 16, 24, 20])
    table = made.table()
    assert list(find_in_overlaps(table, overlapping_pairs(table, 0.5), SETTINGS)) == []
