from dataclasses import replace

import numpy as np
import pytest

from maskrcnn.data.dataset import Dataset
from maskrcnn.data.proposals import read_proposals
from maskrcnn.data.readers.coco import read_coco
from maskrcnn.data.shapes import write_shapes
from maskrcnn.evaluation.recall import average_recall
from maskrcnn.predict.evaluation import evaluate
from maskrcnn.predict.predictor import Predictor
from maskrcnn.predict.proposals import propose_for
from maskrcnn.weights.own import load_weights


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Dataset:
    folder = tmp_path_factory.mktemp("shapes")
    write_shapes(folder, train=1, val=3, size=64, seed=1)
    return read_coco(folder / "val.json", folder / "images")


@pytest.fixture(scope="module")
def predictor(tiny_weights) -> Predictor:
    return Predictor(tiny_weights, precision="float32")


@pytest.fixture(scope="module")
def with_all_anchors(tiny_weights) -> Predictor:
    """Proposes so many boxes that some of them lie well."""
    settings = load_weights(tiny_weights).settings
    settings.rpn.pre_nms_top_n = settings.rpn.post_nms_top_n = 2000
    settings.rpn.nms_threshold = 1.0
    return Predictor(tiny_weights, precision="float32", settings=settings)


def test_the_proposals_of_all_images_are_written_and_scored(data, with_all_anchors, tmp_path):
    counts = []
    report = propose_for(with_all_anchors, data, tmp_path / "p.jsonl", batch=2, workers=0, on_progress=counts.append)
    assert sum(counts) == report["images"] == 3
    joined = read_proposals(tmp_path / "p.jsonl", data, most=5000)
    assert report["proposals"] == pytest.approx(sum(len(record.proposals) for record in joined.records), abs=3)
    assert report["objects"] == sum(len(record.instances) for record in data.records)
    recall = report["recall"]
    assert 0 <= recall["AR@100"] < recall["AR@1000"] < 1


def test_a_model_with_its_proposals_in_a_file_finds_what_it_finds_without(data, predictor, tmp_path):
    propose_for(predictor, data, tmp_path / "p.jsonl", workers=0)
    joined = read_proposals(tmp_path / "p.jsonl", data, most=1000)
    own, filed = (evaluate(predictor, which, workers=0).results for which in (data, joined))
    assert len(own) == len(filed) > 0
    for one in own[:10]:  # corners are rounded to hundredths, so neighbors in the order may swap, and far ones go
        other = min(filed[:20], key=lambda found: np.abs(np.subtract(found["bbox"], one["bbox"])).max())
        assert one["score"] == pytest.approx(other["score"], abs=1e-3)
        assert one["bbox"] == pytest.approx(other["bbox"], abs=0.05)


def test_images_without_objects_get_proposals_and_no_score(data, predictor, tmp_path):
    empty = replace(data, records=[])
    assert "recall" not in propose_for(predictor, empty, tmp_path / "p.json", workers=0)
    assert (tmp_path / "p.json").read_text() == "[]\n"


def test_the_score_is_that_of_the_written_proposals(data, predictor, tmp_path, monkeypatch):
    seen = {}

    def spy(truth, found, **options):
        seen.update(found)
        return average_recall(truth, found, **options)

    monkeypatch.setattr("maskrcnn.predict.proposals.average_recall", spy)
    propose_for(predictor, data, tmp_path / "p.jsonl", workers=0)
    for record in read_proposals(tmp_path / "p.jsonl", data, most=1000).records:
        assert (seen[record.image_id].boxes[:5] - record.proposals[:5]).abs().max() <= 0.005 + 1e-5
