import json
from dataclasses import replace

import pytest
import torch

from maskrcnn.data.readers.coco import read_coco
from maskrcnn.data.shapes import write_shapes
from maskrcnn.errors import DataError
from maskrcnn.predict.evaluation import evaluate, score
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
    found = evaluate(Knowing(data, tiny_settings), data, workers=0, on_progress=counts.append)
    assert found["bbox"]["AP"] == found["segm"]["AP"] == pytest.approx(1)
    assert set(found["accuracy"].values()) == {1}
    assert (found.facts["score_threshold"], found.facts["score_threshold_from"]) == (0.3, "weights")
    assert found.facts["annotations"] == "val.json"
    assert len(found.results) == found.facts["objects"] == sum(len(record.instances) for record in data.records)
    assert counts == [1, 1]


def test_words_that_are_all_known_are_all_found(folder, tiny_settings):
    data = data_of(folder)
    text = evaluate(Knowing(data, tiny_settings), data, workers=0, text=True)
    assert text["icdar2015"]["recall"] > 0.5  # words here are shapes, which a rectangle does not always fit
    assert text["ctw1500"]["hmean"] > 0.9


def test_the_threshold_chosen_keeps_what_is_right(folder, tiny_settings):
    data = data_of(folder)
    unsure = Knowing(data, tiny_settings, score=0.2)
    assert evaluate(unsure, data, workers=0)["accuracy"]["0.5"] == 0
    chosen = evaluate(unsure, data, workers=0, score_threshold="best")
    assert (chosen["accuracy"]["0.5"], chosen.facts["score_threshold_from"]) == (1, "chosen")
    assert chosen.facts["score_threshold"] <= 0.2


def test_a_file_that_lacks_sizes_names_and_areas_is_completed(folder, tiny_settings):
    content = json.loads((folder / "val.json").read_text())
    for image in content["images"]:
        del image["width"], image["height"]
    for found in content["annotations"]:
        del found["area"], found["iscrowd"]
    (folder / "val.json").write_text(json.dumps(content))
    data = data_of(folder)
    assert evaluate(Knowing(data, tiny_settings), data, workers=0)["segm"]["AP"] == pytest.approx(1)


def test_a_real_model_s_own_limit_counts(folder, tiny_weights, tiny_settings):
    settings = tiny_settings.model_copy(deep=True)
    settings.box_head.detections_per_image = 8
    found = evaluate(Predictor(tiny_weights, settings=settings), data_of(folder), batch_size=2, workers=0)
    assert (found.max_detections, len(found.results)) == (8, 16)
    assert "AR8" in found["segm"]


def test_classes_that_have_nothing_in_common_are_an_error(folder, tiny_settings):
    data = data_of(folder)
    stranger = Knowing(data, tiny_settings)
    stranger.classes = Classes(("a", "b"), (1, 2))
    with pytest.raises(DataError, match=r"val\.json: its categories are"):
        evaluate(stranger, data, workers=0)


def test_data_and_weights_may_be_paths(folder, tiny_weights):
    found = evaluate(tiny_weights, folder, workers=0)
    assert found.facts["annotations"] == "val.json"
    assert found.to_dict() == evaluate(Predictor(tiny_weights), data_of(folder), workers=0).to_dict()


def test_predictions_of_whatever_origin_are_scored_in_one_call(folder, tiny_settings):
    data = data_of(folder)
    report = evaluate(Knowing(data, tiny_settings), data, workers=0)
    report.results.write(folder / "found.json")
    records = [dict(record) for record in report.results]
    content = json.loads((folder / "val.json").read_text())
    scored = [
        score(folder / "found.json", folder / "val.json"),
        score(records, folder),
        score(report.results, data),
        score(records, content),
        score(report.results, report.truth),
        score(
            [replace(record.instances, scores=torch.full((len(record.instances),), 0.9)) for record in data.records],
            data,
        ),
    ]
    assert [one["segm"] for one in scored] == [report["segm"]] * 6
    assert scored[0].facts["score_threshold_from"] == "default"
    with pytest.raises(DataError, match=r"found\.json: record \d+: image_id"):
        score(folder / "found.json", folder / "train.json")
