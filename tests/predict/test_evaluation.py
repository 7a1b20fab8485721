import json

import pytest
import torch

from maskrcnn.data.readers.coco import read_coco
from maskrcnn.data.shapes import write_shapes
from maskrcnn.errors import DataError
from maskrcnn.predict.evaluation import evaluate_predictor
from maskrcnn.predict.predictor import Predictor
from maskrcnn.structures.batch import Scales
from maskrcnn.structures.classes import Classes


@pytest.fixture
def folder(tmp_path):
    write_shapes(tmp_path, train=1, val=2, size=64, seed=1)
    return tmp_path


def data_of(folder):
    return read_coco(folder / "val.json", folder / "images")


class Knowing:
    """Stands in for a Predictor that finds every annotated object, and one of a class the data do not have."""

    notes = {"score_threshold": "0.3"}

    def __init__(self, data, settings, score: float = 0.9):
        self.known = {record.image_id: record.instances for record in data.records}
        self.classes = Classes(("unknown", *data.classes.names), tuple(range(50, 51 + len(data.classes))))
        self.settings = settings
        self.inputs = [settings.input]
        self.score = score

    def predict_scales(self, batch: Scales):
        return [self.found(self.known[image_id]) for image_id in batch.image_ids]

    def found(self, instances):
        doubled = instances[torch.tensor([0, *range(len(instances))])]
        doubled.labels = doubled.labels + 1
        doubled.labels[0] = 0
        doubled.scores, doubled.crowd = torch.full((len(doubled),), self.score), None
        return doubled


def test_a_model_that_knows_everything_scores_1(folder, tiny_settings):
    data = data_of(folder)
    counts = []
    found = evaluate_predictor(Knowing(data, tiny_settings), data, workers=0, on_progress=counts.append)
    assert found.report["bbox"]["AP"] == found.report["segm"]["AP"] == pytest.approx(1)
    assert set(found.report["accuracy"].values()) == {1}
    assert (found.report["accuracy_score_threshold"], found.report["accuracy_score_threshold_from"]) == (0.3, "weights")
    assert found.report["annotations"] == "val.json"
    assert len(found.results) == found.report["objects"] == sum(len(record.instances) for record in data.records)
    assert counts == [1, 1]


def test_words_that_are_all_known_are_all_found(folder, tiny_settings):
    data = data_of(folder)
    text = evaluate_predictor(Knowing(data, tiny_settings), data, workers=0, text=True).report["text"]
    assert text["icdar2015"]["recall"] > 0.5  # words here are shapes, which a rectangle does not always fit
    assert text["ctw1500"]["hmean"] > 0.9


def test_the_threshold_chosen_keeps_what_is_right(folder, tiny_settings):
    data = data_of(folder)
    unsure = Knowing(data, tiny_settings, score=0.2)
    assert evaluate_predictor(unsure, data, workers=0).report["accuracy"]["0.5"] == 0
    chosen = evaluate_predictor(unsure, data, workers=0, choose_score_threshold=True).report
    assert (chosen["accuracy"]["0.5"], chosen["accuracy_score_threshold_from"]) == (1, "chosen")
    assert chosen["accuracy_score_threshold"] <= 0.2


def test_a_file_that_lacks_sizes_names_and_areas_is_completed(folder, tiny_settings):
    content = json.loads((folder / "val.json").read_text())
    for image in content["images"]:
        del image["width"], image["height"]
    for found in content["annotations"]:
        del found["area"], found["iscrowd"]
    (folder / "val.json").write_text(json.dumps(content))
    data = data_of(folder)
    assert evaluate_predictor(Knowing(data, tiny_settings), data, workers=0).report["segm"]["AP"] == pytest.approx(1)


def test_a_real_model_s_own_limit_counts(folder, tiny_weights, tiny_settings):
    settings = tiny_settings.model_copy(deep=True)
    settings.box_head.detections = 8
    found = evaluate_predictor(Predictor(tiny_weights, settings=settings), data_of(folder), batch=2, workers=0)
    assert (found.report["max_detections"], len(found.results)) == (8, 16)
    assert "AR8" in found.report["segm"]


def test_classes_that_have_nothing_in_common_are_an_error(folder, tiny_settings):
    data = data_of(folder)
    stranger = Knowing(data, tiny_settings)
    stranger.classes = Classes(("a", "b"), (1, 2))
    with pytest.raises(DataError, match=r"val\.json: its categories are"):
        evaluate_predictor(stranger, data, workers=0)
