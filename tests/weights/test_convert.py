import pickle

import numpy as np
import pytest
import torch

from maskrcnn.config import ModelSettings
from maskrcnn.errors import WeightsError
from maskrcnn.weights.convert import LIBRARIES, check_form, convert_weights, find_setting, write_foreign
from maskrcnn.weights.foreign.detectron2 import read_detectron2
from maskrcnn.weights.foreign.names import name_classes
from maskrcnn.weights.own import Weights, load_weights
from maskrcnn.weights.reading import read_weights
from tests.builders.checkpoints import detectron2_state


def weights_of(**settings: object) -> Weights:
    return Weights({}, ModelSettings.model_validate(settings), name_classes(3), source="mine")


@pytest.mark.parametrize("suffix", [".pkl", ".pth"])
def test_a_file_of_detectron2_is_written_and_read_again(tmp_path, suffix):
    state = detectron2_state(norm="bn", convolutions=4)
    write_foreign(tmp_path / f"model{suffix}", read_detectron2(state, "x"), "detectron2")
    weights = read_weights(tmp_path / f"model{suffix}")
    again = read_detectron2(state, "x")
    assert weights.settings == again.settings
    assert all(torch.equal(weights.state[name], tensor) for name, tensor in again.state.items())


def test_a_pkl_file_holds_arrays_as_the_model_zoo_s_do(tmp_path):
    state = detectron2_state()
    write_foreign(tmp_path / "model.pkl", read_detectron2(state, "x"), "detectron2")
    content = pickle.loads((tmp_path / "model.pkl").read_bytes())
    assert content["__author__"] == "maskrcnn"
    assert content["model"].keys() == state.keys()
    assert all(isinstance(one, np.ndarray) for one in content["model"].values())


def test_every_setting_without_a_form_is_named_with_those_that_have_one():
    weights = weights_of(neck={"name": "c4"}, roi={"half_pixel": True}, cascade={}, rpn={"clamp_both_sides": True})
    with pytest.raises(WeightsError) as caught:
        check_form(weights, "torchvision", LIBRARIES["torchvision"][0])
    text = str(caught.value)
    assert text.startswith("mine: torchvision ")
    for setting in ("neck.name=c4", "fpn", "roi.half_pixel=true", "cascade=", "rpn.clamp_both_sides=true"):
        assert setting in text


@pytest.mark.parametrize(
    ("library", "settings", "fault"),
    [
        ("torchvision", {"semantic_head": {}}, "semantic_head="),
        ("torchvision", {"backbone": {"norm": "group"}}, "backbone.norm=group"),
        ("torchvision", {"mask_head": {"upsamples": 2}}, "mask_head.upsamples=2 .* 1"),
        ("torchvision", {"anchors": {"offset": 0.5}}, "anchors.offset=0.5 .* 0.0"),
        ("torchvision", {"anchors": {"shapes": [[[4, 8]]] * 5}}, "anchors.shapes=.*null"),
        ("torchvision", {"backbone": {"dilate_stage5": True}}, "backbone.dilate_stage5=true .*false"),
        ("detectron2", {}, "anchors.rounded=true"),
        ("detectron2", {"anchors": {"shapes": [[[4, 8]]] * 5}}, "anchors.shapes=.*null"),
        ("detectron2", {"backbone": {"name": "mobilenet_v3_large"}}, "backbone.name=mobilenet_v3_large"),
        ("detectron2", {"cascade": {"average": "logits"}}, "cascade.average=logits"),
    ],
)
def test_what_a_library_does_not_have_is_refused(library, settings, fault):
    with pytest.raises(WeightsError, match=fault):
        check_form(weights_of(**settings), library, LIBRARIES[library][0])


def test_our_defaults_are_torchvision_s():
    check_form(weights_of(), "torchvision", LIBRARIES["torchvision"][0])


def test_every_need_names_a_setting():
    settings = ModelSettings.model_validate({"cascade": {}, "keypoint_head": {}, "semantic_head": {}})
    for needs, _, _ in LIBRARIES.values():
        for key, allowed in needs.items():
            assert find_setting(settings, key)[0]
            assert isinstance(allowed, tuple)


def test_settings_of_a_part_that_is_off_do_not_count():
    assert find_setting(ModelSettings(mask_head=None), "mask_head.kind") == (False, None)
    assert find_setting(ModelSettings(mask_head=None), "mask_head") == (True, None)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    path = tmp_path_factory.mktemp("zoo") / "model_final.pth"
    torch.save({"model": detectron2_state(norm="bn")}, path)  # its counters are kept apart in our file
    return path


def test_converting_there_and_back_is_exact(zoo, tmp_path):
    ours, back = tmp_path / "ours.safetensors", tmp_path / "back.pth"
    assert convert_weights(zoo, ours).notes["format"] == "detectron2"
    convert_weights(str(ours), back, to="detectron2")
    before, after = (torch.load(path, weights_only=True)["model"] for path in (zoo, back))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_settings_that_a_file_cannot_tell_are_stored_with_the_numbers_asked_for(zoo, tmp_path):
    settings = read_weights(zoo).settings.model_copy(deep=True)
    settings.backbone.stride_in_1x1 = not settings.backbone.stride_in_1x1
    for name, dtype in (("whole", None), ("half", torch.float16)):
        convert_weights(zoo, tmp_path / f"{name}.safetensors", settings=settings, dtype=dtype)
    assert load_weights(tmp_path / "half.safetensors").settings == settings
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.55 * sizes[0]


def test_the_setting_that_asks_for_other_layers_is_named(zoo, tmp_path):
    settings = read_weights(zoo).settings.model_copy(deep=True)
    settings.rpn.post_nms_top_n, settings.neck.channels = 7, 16
    with pytest.raises(WeightsError, match=r"model_final\.pth: .* neck\.channels=16:"):
        convert_weights(zoo, tmp_path / "x.safetensors", settings=settings)
    assert list(tmp_path.iterdir()) == []


def test_weights_build_their_model():
    weights = read_detectron2(detectron2_state(), "x")
    weights.check()
    assert torch.equal(weights.build_model().rpn.logits.weight, weights.state["rpn.logits.weight"])


@pytest.mark.parametrize(
    ("name", "to"), [("x.safetensors", "torchvision"), ("x.pth", None), ("x.bin", "detectron2"), ("x", None)]
)
def test_another_kind_of_file_is_named_before_anything_is_read(tmp_path, name, to):
    with pytest.raises(WeightsError, match=rf"{name}: .*{to or 'safetensors'}"):
        convert_weights("no such weights", tmp_path / name, to=to)


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"nowhere/x.pkl: .*No such file"):
        write_foreign(tmp_path / "nowhere" / "x.pkl", read_detectron2(detectron2_state(), "x"), "detectron2")
