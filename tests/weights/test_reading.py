import pickle
import re

import pytest
import torch
from safetensors.torch import save_file

from maskrcnn.config.presets import read_preset
from maskrcnn.errors import WeightsError
from maskrcnn.weights import reading
from maskrcnn.weights.files import read_tensors
from maskrcnn.weights.foreign.names import DATASETS
from maskrcnn.weights.own import load_weights
from maskrcnn.weights.published import PUBLISHED, Published
from maskrcnn.weights.reading import read_weights, understand
from tests.builders.attacks import Attack
from tests.builders.checkpoints import detectron2_state, mmdetection_state, torchvision_state

STATE = {"weight": torch.arange(600.0), "count": torch.tensor(3)}


def test_a_file_of_our_own_is_read(tiny_weights):
    weights = read_weights(tiny_weights)
    assert weights.classes == load_weights(tiny_weights).classes
    assert weights.source == str(tiny_weights)


def test_a_name_stands_for_weights_that_came_with_the_library(tiny_weights, monkeypatch):
    monkeypatch.setattr(reading, "SHIPPED", {"tiny": tiny_weights})
    assert read_weights("tiny").source == str(tiny_weights)


@pytest.mark.parametrize("wrapped", ["model", "state_dict"])
def test_a_state_dict_inside_a_checkpoint_is_found(tmp_path, wrapped):
    torch.save({wrapped: STATE, "step": 7}, tmp_path / "file.pth")
    assert torch.equal(read_tensors(tmp_path / "file.pth")[0]["weight"], STATE["weight"])


@pytest.mark.parametrize("name", ["attack.pth", "attack.safetensors"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_would_run_code_never_does(tmp_path, name, protocol):
    (tmp_path / name).write_bytes(pickle.dumps(Attack(tmp_path / "executed"), protocol))
    with pytest.raises(WeightsError, match=rf"{name}: "):
        read_weights(tmp_path / name)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_torch_file_that_would_run_code_is_refused_and_the_code_is_named(tmp_path, zipped):
    path = tmp_path / "attack.pth"
    content = {**STATE, "attack": Attack(tmp_path / "executed")}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=r"attack\.pth: .*\w+\.mkdir") as error:
        read_weights(path)
    assert "weights_only" not in str(error.value)  # torch's own text advises to switch the protection off
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [[1, 2], {}, {"step": 3}, STATE], ids=["list", "empty", "numbers", "tensors"])
def test_a_torch_file_of_something_else_is_named(tmp_path, content):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=rf"other\.pth: .*{'weight, count' if content is STATE else ''}"):
        read_weights(tmp_path / "other.pth")


def test_safetensors_without_settings_are_named(tmp_path):
    save_file(STATE, tmp_path / "bare.safetensors")
    with pytest.raises(WeightsError, match=r"bare\.safetensors: .* count, weight"):
        read_weights(tmp_path / "bare.safetensors")


@pytest.mark.parametrize(("name", "near"), [("peer/none", ""), ("nucleii", " nuclei[ ?]")])
def test_an_unknown_name_is_named_with_the_nearest_known_one(name, near):
    with pytest.raises(WeightsError, match=rf"^{name}: .*{near}"):
        read_weights(name)


def test_a_folder_is_named(tmp_path):
    with pytest.raises(WeightsError, match=rf"{re.escape(str(tmp_path))}: "):
        read_weights(tmp_path)


PRESET = "torchvision/maskrcnn_resnet50_fpn"


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Writes a file that is known as peer/model, with alias peer/m, and needs no network."""
    monkeypatch.setenv("MASKRCNN_WEIGHTS", str(tmp_path))

    def write(content, **row):
        torch.save(content, tmp_path / "model.pth")
        monkeypatch.setitem(PUBLISHED, "peer/model", Published("http://127.0.0.1:9/model.pth", alias="peer/m", **row))
        return tmp_path / "model.pth"

    return write


def test_a_published_name_brings_the_settings_that_tensors_do_not_tell(publish):
    path = publish(torchvision_state(norm_layer=torch.nn.BatchNorm2d), preset=PRESET)
    assert read_weights(path).settings.backbone.norm_epsilon == 1e-5  # its norms count batches
    for name in ("peer/model", "peer/M"):
        assert read_weights(name).settings == read_preset(PRESET)


def test_a_published_name_brings_the_classes_of_its_data(publish, monkeypatch):
    path = publish({"model": detectron2_state()}, trained_on="Streets")
    monkeypatch.setitem(DATASETS, "Streets", {24: "person", 26: "car", 33: "bicycle"})
    assert read_weights(path).classes.names == ("class 1", "class 2", "class 3")
    assert read_weights("peer/model").classes.names == ("person", "car", "bicycle")
    assert read_weights("peer/model").classes.category_ids == (24, 26, 33)


def test_the_configuration_in_a_published_file_wins_over_its_preset(publish):
    """As in MMDetection's files; here beside torchvision's tensors."""
    text = "model = dict(test_cfg=dict(rcnn=dict(score_thr=0.3, max_per_img=7)))"
    publish({"state_dict": torchvision_state(), "meta": {"config": text}}, preset=PRESET)
    settings = read_weights("peer/model").settings
    assert (settings.box_head.score_threshold, settings.box_head.detections_per_image) == (0.3, 7)
    assert settings.backbone == read_preset(PRESET).backbone


@pytest.mark.parametrize("name", ["model.pth", "model.onnx", "model"])
@pytest.mark.parametrize("kind", ["torch", "old torch", "pickle", "safetensors"])
def test_a_file_is_read_by_what_is_in_it_whatever_it_is_called(tmp_path, name, kind):
    state = detectron2_state()
    path = tmp_path / name
    if kind == "pickle":
        path.write_bytes(pickle.dumps({"model": {key: one.numpy() for key, one in state.items()}}))
    elif kind == "safetensors":
        save_file(state, path)
    else:
        torch.save({"model": state}, path, _use_new_zipfile_serialization=kind == "torch")
    assert read_weights(path).notes == {"format": "detectron2", "source": name}


@pytest.mark.parametrize("name", ["model.pth", "model.pkl", "model.safetensors"])
def test_empty_files_and_web_pages_are_named_whatever_they_are_called(tmp_path, name):
    path = tmp_path / name
    path.touch()
    with pytest.raises(WeightsError, match=rf"{name}: .*0 bytes"):
        read_weights(path)
    for page in (b"\n <!DOCTYPE html><html><body>Log in</body></html>", b"<html lang=en>" + b" " * 2000):
        path.write_bytes(page)
        with pytest.raises(WeightsError, match=rf"{name}: .*web page"):
            read_weights(path)


def test_a_run_of_mmengine_is_read_without_its_objects(tmp_path):
    run = {
        "meta": {"cfg": "model = dict(backbone=dict(style='caffe'))", "dataset_meta": {"CLASSES": ("a", "b", "c")}},
        "state_dict": mmdetection_state(),
        "message_hub": {"runtime_info": Attack(tmp_path / "executed")},
    }
    torch.save(run, tmp_path / "epoch_12.pth")
    weights = read_weights(tmp_path / "epoch_12.pth")
    assert weights.classes.names == ("a", "b", "c")
    assert weights.settings.backbone.stride_in_1x1
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "wrapper",
    ["module.", "model.", "detector.", "module._orig_mod.", "_orig_mod.module.", "module.module.", "net.model.module."],
)
def test_names_of_a_wrapped_model_are_understood(wrapper):
    state = detectron2_state()
    weights = understand({f"{wrapper}{name}": tensor for name, tensor in state.items()}, "run.pth")
    assert weights.state.keys() == understand(state, "plain.pth").state.keys()


@pytest.mark.parametrize("key", ["model_state_dict", "model_state", "net", "weights", "ema", "model_ema"])
def test_a_checkpoint_of_a_training_script_is_read_from_the_key_of_its_model(tmp_path, key):
    state = detectron2_state()
    wrapped = {f"detector.{name}": tensor for name, tensor in state.items()} | {"criterion.weight": torch.ones(3)}
    torch.save({"epoch": 3, key: wrapped, "optimizer_state_dict": {}, "loss": 0.5}, tmp_path / "run.pth")
    assert read_weights(tmp_path / "run.pth").state.keys() == understand(state, "plain.pth").state.keys()
