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
from tests.builders.checkpoints import detectron2_state, mmdetection_state

STATE = {"weight": torch.arange(600.0), "count": torch.tensor(3)}


def test_a_file_of_our_own_is_read(tiny_weights):
    weights = read_weights(tiny_weights)
    assert weights.classes == load_weights(tiny_weights).classes
    assert weights.source == str(tiny_weights)


def test_a_name_stands_for_weights_that_came_with_the_library(tiny_weights, monkeypatch):
    monkeypatch.setattr(reading, "SHIPPED", {"tiny": tiny_weights})
    assert read_weights("tiny").source == str(tiny_weights)


def test_a_torchvision_state_dict_is_read_with_its_settings_and_coco_s_names(tmp_path):
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    peer = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    torch.save(peer.state_dict(), tmp_path / "peer.pth")
    weights = read_weights(tmp_path / "peer.pth")
    assert (len(weights.classes), weights.classes.names[0], weights.classes.category_ids[-1]) == (90, "person", 90)
    assert weights.settings.backbone.name == "resnet50"
    assert torch.equal(weights.state["rpn.logits.weight"], peer.state_dict()["rpn.head.cls_logits.weight"])


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
    with pytest.raises(WeightsError, match=r"attack\.pth: .*\w+\.mkdir") as raised:
        read_weights(path)
    assert "weights_only" not in str(raised.value)  # torch's own text advises to switch the protection off
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds no state dict"),
        ({}, "holds no state dict"),
        ({"step": 3}, "holds no state dict"),
        (
            STATE,
            "not a detector of a library that is known here; its first tensors are weight, count.*use best.safetensors",
        ),
    ],
)
def test_a_torch_file_of_something_else_is_named(tmp_path, content, message):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=rf"other\.pth: {message}"):
        read_weights(tmp_path / "other.pth")


def test_safetensors_without_settings_are_named(tmp_path):
    save_file(STATE, tmp_path / "bare.safetensors")
    with pytest.raises(WeightsError, match=r"bare\.safetensors: .* count, weight"):
        read_weights(tmp_path / "bare.safetensors")


def test_an_unknown_name_says_what_lists_the_known_ones():
    with pytest.raises(WeightsError, match="peer/none: .*`maskrcnn models`"):
        read_weights("peer/none")
    with pytest.raises(WeightsError, match="nucleii: .* nuclei\\?"):
        read_weights("nucleii")


def test_a_folder_is_told_which_file_in_it_is_meant(tmp_path):
    with pytest.raises(WeightsError, match=rf"{re.escape(str(tmp_path))}: .*folder"):
        read_weights(tmp_path)


def test_a_published_name_brings_the_settings_that_tensors_do_not_tell(tmp_path, monkeypatch):
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    peer = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    torch.save(peer.state_dict(), tmp_path / "model.pth")
    published = Published("http://127.0.0.1:9/model.pth", preset="torchvision/maskrcnn_resnet50_fpn", alias="peer/m")
    monkeypatch.setitem(PUBLISHED, "peer/mask_rcnn", published)
    monkeypatch.setenv("MASKRCNN_WEIGHTS", str(tmp_path))
    assert read_weights(tmp_path / "model.pth").settings.backbone.norm_epsilon == 1e-5  # its norms count batches
    for name in ("peer/mask_rcnn", "peer/M"):
        assert read_weights(name).settings == read_preset("torchvision/maskrcnn_resnet50_fpn")


def test_a_published_name_brings_the_classes_of_its_data(tmp_path, monkeypatch):
    torch.save({"model": detectron2_state()}, tmp_path / "model.pth")
    monkeypatch.setitem(DATASETS, "Streets", {24: "person", 26: "car", 33: "bicycle"})
    monkeypatch.setitem(PUBLISHED, "peer/streets", Published("http://127.0.0.1:9/model.pth", trained_on="Streets"))
    monkeypatch.setenv("MASKRCNN_WEIGHTS", str(tmp_path))
    assert read_weights(tmp_path / "model.pth").classes.names == ("class 1", "class 2", "class 3")
    assert read_weights("peer/streets").classes.names == ("person", "car", "bicycle")
    assert read_weights("peer/streets").classes.category_ids == (24, 26, 33)


def test_the_configuration_in_a_published_file_wins_over_its_preset(tmp_path, monkeypatch):
    """As in MMDetection's files; here beside torchvision's tensors."""
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    state = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
    text = "model = dict(test_cfg=dict(rcnn=dict(score_thr=0.3, max_per_img=7)))"
    torch.save({"state_dict": state, "meta": {"config": text}}, tmp_path / "model.pth")
    preset = "torchvision/maskrcnn_resnet50_fpn"
    monkeypatch.setitem(PUBLISHED, "peer/mask_rcnn", Published("http://127.0.0.1:9/model.pth", preset=preset))
    monkeypatch.setenv("MASKRCNN_WEIGHTS", str(tmp_path))
    settings = read_weights("peer/mask_rcnn").settings
    assert (settings.box_head.score_threshold, settings.box_head.detections_per_image) == (0.3, 7)
    assert settings.backbone == read_preset(preset).backbone


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


@pytest.mark.parametrize("wrapper", ["module.", "model.", "module._orig_mod."])
def test_names_of_a_wrapped_model_are_understood(wrapper):
    state = detectron2_state()
    weights = understand({f"{wrapper}{name}": tensor for name, tensor in state.items()}, "run.pth")
    assert weights.state.keys() == understand(state, "plain.pth").state.keys()
