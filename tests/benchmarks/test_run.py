import pytest

from maskrcnn.benchmarks.benchmark import iou_types_given, require_any
from maskrcnn.benchmarks.run import run_benchmark
from maskrcnn.errors import DataError, SettingError
from maskrcnn.evaluation.results import Results
from maskrcnn.predict.predictor import Predictor
from tests.builders.coco import FOUND, lay_out

RECORDS = [{**FOUND, "image_id": image_id} for image_id in (139, 285)]


def test_records_are_scored_and_submitted_and_what_was_submitted_is_scored_again(tmp_path):
    folder = lay_out(tmp_path)
    report = run_benchmark("coco", folder, predictions=RECORDS, submission=tmp_path / "sent")
    assert report["segm"]["AP"] == pytest.approx(1)
    assert (report.facts["benchmark"], report.facts["split"], report.facts["objects"]) == ("coco", "val", 2)
    assert report.truth is not None
    again = run_benchmark("coco", folder, predictions=tmp_path / "sent")
    assert again["segm"] == report["segm"]


def test_a_model_predicts_the_images_of_a_split_that_is_not_public(tmp_path, tiny_weights):
    folder, sent = lay_out(tmp_path / "COCO"), tmp_path / "sent"
    file = folder / "annotations" / "image_info_test-dev2017.json"
    file.write_text(file.read_text().replace('"person"', '"circle"'))
    report = run_benchmark("coco", folder, "test-dev", predictions=Predictor(tiny_weights), submission=sent)
    assert (report.sections, report.truth) == ((), None)
    assert "objects" not in report.facts
    assert len(list(sent.iterdir())) == 2


def test_what_would_score_and_write_nothing_is_refused(tmp_path):
    with pytest.raises(SettingError, match="coco test-dev"):
        run_benchmark("coco", lay_out(tmp_path), "test-dev", predictions=RECORDS)
    with pytest.raises(SettingError, match="coco-boundary val"):
        run_benchmark("coco-boundary", tmp_path, predictions=RECORDS, submission=tmp_path / "sent")
    with pytest.raises(SettingError, match="score-threshold.*coco val"):
        run_benchmark("coco", tmp_path, predictions=RECORDS, score_threshold=0.5)


def test_a_score_threshold_counts_where_predictions_are_not_ranked(tmp_path):
    file = lay_out(tmp_path) / "annotations" / "instances_val2017.json"
    weak = [{**one, "score": 0.4} for one in RECORDS]
    found = {
        threshold: run_benchmark("nuclei", file, predictions=weak, score_threshold=threshold)
        for threshold in (None, 0.3)
    }
    assert [report["bowl"]["score"] for report in found.values()] == [0, 1]
    assert [report.facts["score_threshold"] for report in found.values()] == [0.5, 0.3]


def test_one_prediction_with_one_field_is_enough():
    require_any([{"bbox": [1]}, {"keypoints": [1]}], ["segmentation", "keypoints"], "Do it.")
    require_any([], ["keypoints"], "Do it.")


def test_nothing_of_what_is_scored_is_refused():
    with pytest.raises(DataError, match="`a` or `b`.*Do it."):
        require_any([{"bbox": [1], "a": None}], ["a", "b"], "Do it.")


def test_what_the_predictions_have_is_scored_and_all_of_it_without_any():
    boxes, masks = {"bbox": [1], "segmentation": None}, {"segmentation": {}}
    assert list(iou_types_given(Results((boxes, boxes)), ["bbox", "segm"])) == ["bbox"]
    assert list(iou_types_given(Results((boxes, masks)), ["bbox", "segm"])) == ["bbox", "segm"]
    assert list(iou_types_given(Results((masks,)), ["segm", "boundary"])) == ["segm", "boundary"]
    assert list(iou_types_given(Results(()), ["segm", "keypoints"])) == ["segm", "keypoints"]
    with pytest.raises(DataError, match="`keypoints`"):
        iou_types_given(Results((boxes,)), ["keypoints"])
