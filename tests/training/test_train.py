"""`maskrcnn.train`, the call that the verb makes; what only the verb does is in tests/cli."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.config import RunSettings
from maskrcnn.config.presets import FROM_RANDOM
from maskrcnn.data.formats import read_dataset
from maskrcnn.data.shapes import SHAPES, write_shapes
from maskrcnn.errors import SettingError
from maskrcnn.model.build import build_model
from maskrcnn.training.checkpoint import load_checkpoint
from maskrcnn.training.layers import require_trainable
from maskrcnn.training.loop import StopRequest, train_loop
from maskrcnn.training.train import train
from maskrcnn.weights.own import load_weights
from tests.training import small, tiny

SMALL = {
    "input": {"scale_factor": 1},
    "backbone": {"name": "resnet18", "width": 32},
    "neck": {"channels": 32},
    "anchors": {"sizes": [8, 16, 32, 48, 64]},
    "rpn": {"pre_nms_top_n_training": 50},
    "box_head": {"channels": 32, "batch_size_per_image": 16},
    "mask_head": None,
    "data": {"workers": 0},
    "train": {"steps": 1, "log_every": 1, "precision": "float32"},
}


def test_a_data_set_in_memory_is_trained_on_scored_and_resumed_when_given_again(shapes, tmp_path, monkeypatch, capsys):
    data, val = read_dataset(shapes), read_dataset(shapes, "val")
    how = {"output": tmp_path / "run", "val": val, "device": "cpu", "quiet": True}
    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "__enter__", lambda self: setattr(self, "received", True) or self)
        stopped = train(data, **how, weights="none", settings=SMALL)
    assert not stopped.finished
    with pytest.raises(SettingError, match=r"data.json.*in memory"):
        train(output=tmp_path / "run", resume=True)
    result = train(data, **how, resume=True)
    assert (result.finished, result.step, result.folder) == (True, 1, tmp_path / "run")
    assert result.scores["images"] == 2
    assert "AP50" in result.scores["bbox"]
    assert load_weights(result.weights).classes.names == SHAPES
    assert capsys.readouterr() == ("", "")


def test_a_model_and_an_augmentation_of_ones_own_are_trained(shapes, tmp_path):
    settings = RunSettings().changed(FROM_RANDOM, SMALL)
    torch.manual_seed(0)
    model = build_model(settings.model, len(SHAPES))
    seen = []

    def darker(image, instances):
        seen.append(tuple(image.shape))
        return image // 2, instances

    words = ["train.steps=1", "data.workers=0", "train.precision=float32"]
    result = train(shapes, output=tmp_path, model=model, augment=darker, settings=words, device="cpu", quiet=True)
    assert seen
    assert set(seen) == {(3, 64, 64)}
    assert load_checkpoint(tmp_path / "last.pt").settings.model == settings.model
    state = load_weights(result.weights).state
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("classes", "changes", "named"),
    [
        pytest.param(3, {}, "model: .* 3 classes.* 5: circle", id="other classes"),
        pytest.param(5, {"neck.channels": 64}, "neck.channels=64: ", id="a setting of its layers"),
        pytest.param(5, {"keypoint_head": {}}, "keypoint_head=", id="a head that it has not"),
        pytest.param(5, {"rpn.batch_size_per_image": 8}, "rpn.batch_size_per_image=8: ", id="a setting it has taken"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_before_the_first_step(shapes, tmp_path, classes, changes, named):
    settings = RunSettings().changed(FROM_RANDOM, SMALL)
    model = build_model(settings.model, classes)
    with pytest.raises(SettingError, match=named):
        train(shapes, output=tmp_path / "run", model=model, settings=changes, quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "--data"),
        ({"data": ".", "resume": True, "settings": ["train.steps=1"]}, "--resume"),
        ({"data": ".", "model": small.Small(), "weights": "none"}, "model: "),
        ({"data": ".", "alternating": True, "proposals": "p.jsonl"}, "--alternating"),
        ({"data": ".", "val_proposals": "p.jsonl"}, "--val-proposals"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(arguments, message):
    with pytest.raises(SettingError, match=message):
        train(**arguments)


@pytest.mark.parametrize(
    "backbone",
    [
        {"norm": "frozen_batch", "frozen_stages": 0},
        {"norm": "frozen_batch", "frozen_stages": 2},
        {"norm": "batch", "frozen_stages": 1},
        {"norm": "group", "frozen_stages": 2},
    ],
)
def test_the_loop_refuses_a_model_that_would_stay_random(backbone, tmp_path):
    settings = tiny.run_settings().changed({"backbone": backbone})
    model = build_model(settings.model, len(tiny.CLASSES))
    with pytest.raises(SettingError, match="backbone.frozen_stages"):
        train_loop(model, tiny.batches, settings, classes=tiny.CLASSES, folder=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
    for norm in (module for module in model.backbone.modules() if hasattr(module, "eps")):
        norm.bias.data.fill_(0.5)  # as if it had been trained
    require_trainable(model)


def test_losses_get_their_weights(tmp_path):
    plain = small.run(tmp_path / "plain", steps=1, log_every=1)
    weighted = small.run(tmp_path / "weighted", steps=1, log_every=1, loss_weights={"first": 3.0})
    losses = [json.loads((one.folder / "log.jsonl").read_text().splitlines()[1])["losses"] for one in (plain, weighted)]
    assert losses[1] == {"first": 3 * losses[0]["first"], "others": losses[0]["others"]}
    with pytest.raises(SettingError, match="train.loss_weights.*mask.*first, others"):
        small.run(tmp_path / "wrong", loss_weights={"mask": 2.0})


def test_the_range_of_deep_training_images_is_found_said_and_stored_with_the_weights(tmp_path, capsys):
    write_shapes(tmp_path / "data", train=4, val=2, size=64)
    for number, path in enumerate(sorted((tmp_path / "data").rglob("*.png"))):
        deep = np.array(Image.open(path).convert("L")).astype(np.uint16)
        Image.fromarray(deep * (16 if number % 2 else 3)).save(path)
    how = {"weights": "none", "device": "cpu"}
    result = train(tmp_path / "data", output=tmp_path / "run", settings=SMALL, **how)
    said = capsys.readouterr().err
    assert "input.range=0,4095" in said
    assert "4 images of more than 8 bits" in " ".join(said.split())
    assert load_weights(result.weights).settings.input.range == (0, 4095)
    assert load_checkpoint(tmp_path / "run" / "last.pt").settings.model.input.range == (0, 4095)
