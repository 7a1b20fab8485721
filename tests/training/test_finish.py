import json

import pytest
import torch

from maskrcnn.config import ModelSettings
from maskrcnn.data.readers.coco import read_coco
from maskrcnn.data.shapes import write_shapes
from maskrcnn.model.build import build_model
from maskrcnn.training.finish import MOST_SHOWN, finish_run, shown_records, write_scores
from maskrcnn.weights.own import save_weights
from tests.conftest import CLASSES, TINY


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    write_shapes(folder, train=20, val=0, size=64, seed=0)
    return read_coco(folder / "train.json", folder / "images")


def test_scores_curves_and_a_sheet_are_written(data, tmp_path):
    settings = ModelSettings.model_validate({**TINY, "mask_head": None})
    torch.manual_seed(0)
    save_weights(tmp_path / "w.safetensors", build_model(settings, 5).state_dict(), settings, CLASSES)
    (tmp_path / "log.jsonl").write_text("")
    device = torch.device("cpu")
    report = finish_run(tmp_path / "w.safetensors", data, device=device, batch_size=4)
    assert report.facts["images"] == 20
    assert "segm" not in report
    assert {"scores.json", "curves.png", "sheet.png"} <= {path.name for path in tmp_path.iterdir()}


def test_a_run_that_trained_proposals_gets_its_recall_and_curves(tmp_path):
    (tmp_path / "log.jsonl").write_text("")
    write_scores(tmp_path, {"recall": {"AR@100": 0.25}})
    assert json.loads((tmp_path / "scores.json").read_text()) == {"recall": {"AR@100": 0.25}}
    assert (tmp_path / "curves.png").exists()


def test_images_with_objects_are_shown_from_all_over_the_data(data):
    shown = shown_records(data.records)
    assert [record.image_id for record in shown] == [1, 3, 5, 7, 9, 11, 13, 15]
    assert len(shown) == MOST_SHOWN


def test_images_without_objects_are_shown_where_there_are_no_others(data):
    empty = [type(one)(one.path, one.image_id, one.size, {}, one.instances[:0]) for one in data.records[:2]]
    assert shown_records(empty) == empty
    assert shown_records([*empty, data.records[5]]) == [data.records[5]]
    assert shown_records([]) == []
