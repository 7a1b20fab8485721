import json

import pytest
import torch

from maskrcnn.config import RunSettings
from maskrcnn.data.shapes import SHAPES, write_shapes
from maskrcnn.errors import SettingError
from maskrcnn.model.build import build_model
from maskrcnn.training.alternating import PROPOSALS, STEPS, alternating_settings, is_alternating, train_alternating
from maskrcnn.training.dataset import read_training_data
from maskrcnn.training.loop import StopRequest
from maskrcnn.training.run_folder import DataArguments
from maskrcnn.weights.own import load_weights
from tests.training.tiny import changed_parts, shapes_settings


def settings(**train):
    return shapes_settings(**{"steps": 1, "warmup_steps": 0, "learning_rate": 0.5, **train}).changed(
        {"backbone.width": 32, "rpn": {"post_nms_top_n": 20, "pre_nms_top_n": 30}}
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    write_shapes(folder, train=2, val=1, size=64, seed=0)
    return read_training_data(DataArguments(folder), settings())


def run(data, folder, chosen=None):
    chosen = chosen or settings()
    torch.manual_seed(0)
    model = build_model(chosen.model, len(SHAPES))
    return train_alternating(model, data, chosen, folder=folder, device=torch.device("cpu"), quiet=True)


def state(path):
    return load_weights(path).state


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alternating") / "run"
    return folder, run(data, folder)


def test_each_step_trains_its_parts_from_the_weights_it_should(whole):
    folder, result = whole
    start = state(folder / "start.safetensors")
    ends = {step.folder: state(folder / step.folder / "best.safetensors") for step in STEPS}
    heads = {"box_head", "mask_head"}
    assert changed_parts(start, ends["1_rpn"]) == {"backbone", "neck", "rpn"}
    assert changed_parts(start, ends["2_heads"]) == {"backbone", "neck"} | heads
    assert changed_parts(ends["2_heads"], ends["3_rpn"]) == {"rpn"}
    assert changed_parts(ends["3_rpn"], ends["4_heads"]) == heads
    assert result.weights == folder / "best.safetensors"
    assert changed_parts(ends["4_heads"], state(result.weights)) == set()
    assert result.finished
    assert "segm" in result.scores


def test_proposals_are_those_of_the_steps_before(whole, data):
    folder, _ = whole
    for step in ("1_rpn", "3_rpn"):
        train, val = (
            [json.loads(line) for line in (folder / step / name).read_text().splitlines()]
            for name in PROPOSALS.values()
        )
        assert sorted(one["image_id"] for one in train) == sorted(record.image_id for record in data.train.records)
        assert {len(one["boxes"]) for one in val} == {20}
        assert min(len(one["boxes"]) for one in train) > 20
    logs = {step.folder: (folder / step.folder / "log.jsonl").read_text() for step in STEPS}
    assert ["AR@1000" in logs[step.folder] for step in STEPS] == [True, False, True, False]


def test_a_training_that_is_killed_goes_on_in_its_step_and_ends_the_same(whole, data, tmp_path, monkeypatch):
    stops = []

    def stop_in_the_second_step(self):
        stops.append(len(stops))
        self.received = len(stops) == 2
        return self

    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "__enter__", stop_in_the_second_step)
        assert not run(data, tmp_path).finished
    assert is_alternating(tmp_path)
    assert not (tmp_path / "3_rpn").exists()
    proposed = [(tmp_path / "1_rpn" / name).stat().st_mtime_ns for name in PROPOSALS.values()]
    again = run(data, tmp_path)
    assert again.finished
    assert [(tmp_path / "1_rpn" / name).stat().st_mtime_ns for name in PROPOSALS.values()] == proposed
    before, after = state(whole[1].weights), state(again.weights)
    assert changed_parts(before, after) == set()


def test_a_folder_knows_the_settings_it_was_started_with(whole, tmp_path):
    assert is_alternating(whole[0])
    assert not is_alternating(tmp_path)
    assert alternating_settings(whole[0]).train.layers == RunSettings().train.layers
    assert alternating_settings(whole[0]).model == settings().model


def test_other_settings_are_refused(whole, data, tmp_path):
    with pytest.raises(SettingError, match=r"train.seed=0.* 7"):
        run(data, whole[0], settings(seed=7))
    with pytest.raises(SettingError, match=r"train.layers=rpn"):
        run(data, tmp_path, settings(layers="rpn"))
