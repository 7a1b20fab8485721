import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from maskrcnn.data.dataset import Dataset, Record
from maskrcnn.data.proposals import read_proposals, write_proposals
from maskrcnn.data.readers.coco import read_coco
from maskrcnn.data.shapes import write_shapes
from maskrcnn.errors import DataError, WeightsError
from maskrcnn.evaluation.recall import average_recall
from maskrcnn.predict.evaluation import evaluate
from maskrcnn.predict.predictor import Predictor
from maskrcnn.predict.proposals import propose_for, read_proposal_file
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.instances import Instances

BOXES = np.array([[1, 2, 3, 4], [5, 5, 9, 9]], dtype=np.float32)


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
    settings = {"rpn.pre_nms_top_n": 2000, "rpn.post_nms_top_n": 2000, "rpn.nms_threshold": 1.0}
    return Predictor(tiny_weights, precision="float32", settings=settings)


def test_the_proposals_of_all_images_are_written_and_scored(data, with_all_anchors, tmp_path):
    counts = []
    report = propose_for(
        with_all_anchors, data, tmp_path / "p.jsonl", batch_size=2, workers=0, on_progress=counts.append
    )
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


def two_images():
    empty = Instances(size=(10, 10), boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64))
    records = [Record(Path(f"{i}.png"), i, (10, 10), {}, empty) for i in (3, 4)]
    return Dataset(Path("val.json"), records, Classes(("cell",), (1,)))


def found(path):
    return [record.proposals.tolist() for record in read_proposal_file(path, two_images(), most=10).records]


def pickled(tmp_path, content):
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(content, protocol=2))
    return tmp_path / "p.pkl"


@pytest.mark.parametrize("names", [("scores", "indexes"), ("objectness_logits", "ids")])
def test_files_of_detectron_and_detectron2_are_read_best_first(tmp_path, names):
    content = {
        "boxes": [BOXES, BOXES[:0]],
        names[0]: [np.array([-1.0, 2.5], dtype=np.float32), np.zeros(0, dtype=np.float32)],
        names[1]: [3, "4"],
    }
    assert found(pickled(tmp_path, content)) == [[[5, 5, 9, 9], [1, 2, 3, 4]], []]


def test_other_files_are_read_by_what_is_in_them(tmp_path):
    one = Instances((10, 10), torch.from_numpy(BOXES), torch.zeros(2, dtype=torch.int64), torch.tensor([0.9, 0.1]))
    write_proposals(tmp_path / "p.json", [(3, one), (4, one[:1])])
    assert found(tmp_path / "p.json") == [BOXES.tolist(), BOXES[:1].tolist()]


@pytest.mark.parametrize(
    "content", [[1, 2], {"boxes": [], "ids": []}, {"boxes": [], "ids": [], "scores": [], "bbox_mode": 1}]
)
def test_other_pickles_are_named(tmp_path, content):
    with pytest.raises(DataError, match=r"p\.pkl: .*`boxes`"):
        found(pickled(tmp_path, content))


class Command:
    def __reduce__(self):
        return print, ("executed",)


def test_nothing_in_a_pickle_is_executed(tmp_path, capsys):
    with pytest.raises(WeightsError, match="print"):
        found(pickled(tmp_path, {"boxes": [Command()]}))
    assert "executed" not in capsys.readouterr().out


def test_a_missing_pickle_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no\.pkl: "):
        found(tmp_path / "no.pkl")


def nested(depth):
    value = [1.0] * 9
    for _ in range(depth):
        value = [value] * 9
    return value


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"boxes": [nested(11)], "ids": [1], "scores": [[0.5]]}, id="lists that multiply"),
        pytest.param({"boxes": [["a"]], "ids": [1], "scores": [[0.5]]}, id="text"),
        pytest.param({"boxes": [[1, 2, 3, 4]], "ids": [None], "scores": [[0.5]]}, id="no id"),
        pytest.param({"boxes": [[1, 2, 3]], "ids": [1], "scores": [[0.5]]}, id="three numbers"),
        pytest.param({"boxes": [], "ids": [1], "scores": [[0.5]]}, id="other lengths"),
        pytest.param({"boxes": 5, "ids": 5, "scores": 5}, id="numbers"),
    ],
)
def test_columns_of_other_things_are_named(tmp_path, content):
    with pytest.raises(DataError, match=r"p\.pkl"):
        found(pickled(tmp_path, content))
