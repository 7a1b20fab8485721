import json
import resource
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from maskrcnn.config import ModelSettings
from maskrcnn.errors import WeightsError
from maskrcnn.predict.predictor import Predictor
from maskrcnn.structures.classes import COCO_PERSON, Classes
from maskrcnn.weights.own import CLASS_BIAS, apply_weights, load_weights, save_weights
from maskrcnn.weights.reading import SHIPPED
from tests.builders.attacks import Attack

CLASSES = Classes(names=("cell", "Zelle ü"), category_ids=(3, 17))
SETTINGS = ModelSettings.model_validate({"backbone": {"name": "resnet18"}, "mask_head": None})
STATE = {"layer.weight": torch.tensor([[0.1, -2.0]]), "count": torch.tensor(3), "none": torch.zeros(0, 4)}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "cells.safetensors"
    save_weights(path, STATE, SETTINGS, CLASSES, notes={"data": "drawn"})
    return path


def test_weights_settings_classes_and_notes_come_back(path):
    weights = load_weights(path)
    assert all(torch.equal(weights.state[name], tensor) for name, tensor in STATE.items())
    assert weights.state.keys() == STATE.keys()
    assert (weights.settings, weights.classes, weights.notes) == (SETTINGS, CLASSES, {"data": "drawn"})


def test_a_keypoint_schema_comes_back_and_files_without_one_are_read(path, tmp_path):
    person = Classes(("person",), (1,), keypoint_schema=COCO_PERSON)
    save_weights(tmp_path / "w", STATE, SETTINGS, person)
    assert load_weights(tmp_path / "w").classes == person
    assert load_weights(path).classes.keypoint_schema is None


def test_tensors_of_another_library_are_kept_apart(tmp_path):
    extra = {"roi_heads.background": torch.tensor([1.0, 2.0]), "layer.weight": torch.tensor(7)}
    save_weights(tmp_path / "w", STATE, SETTINGS, CLASSES, extra=extra)
    weights = load_weights(tmp_path / "w")
    assert weights.state.keys() == STATE.keys()
    assert {name: tensor.tolist() for name, tensor in weights.extra.items()} == {
        "roi_heads.background": [1, 2],
        "layer.weight": 7,
    }


def test_the_shipped_weights_of_version_1_have_today_s_names_and_settings():
    weights = load_weights(SHIPPED["nuclei"])
    weights.check()
    settings = weights.settings
    assert (settings.input.min_size, settings.input.max_size, settings.input.scale_factor) == (800, 2600, 2)
    assert (settings.input.mean, settings.input.std) == ((0.5,) * 3, (0.25,) * 3)
    assert (settings.rpn.batch_size_per_image, settings.rpn.pre_nms_top_n_training, settings.rpn.pre_nms_top_n) == (
        *(256, 400, 1000),
    )
    assert (settings.rpn.post_nms_top_n_training, settings.rpn.post_nms_top_n) == (400, 1000)
    assert (settings.box_head.batch_size_per_image, settings.box_head.detections_per_image) == (128, 500)


def test_half_precision_is_stored_small_and_loaded_as_float32(tmp_path):
    large = {"weight": torch.rand(100_000), "count": torch.tensor(2**40)}
    for name, dtype in (("whole", None), ("half", torch.float16)):
        save_weights(tmp_path / name, large, SETTINGS, CLASSES, dtype=dtype)
    assert (tmp_path / "half").stat().st_size < 0.6 * (tmp_path / "whole").stat().st_size
    loaded = load_weights(tmp_path / "half").state
    assert loaded["weight"].dtype == torch.float32
    torch.testing.assert_close(loaded["weight"], large["weight"], atol=5e-4, rtol=0)
    assert loaded["count"] == 2**40


def test_a_value_beyond_half_precision_is_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"weight .*7e\+04.*6.55e\+04"):
        save_weights(tmp_path / "w", {"weight": torch.tensor([7e4])}, SETTINGS, CLASSES, dtype=torch.float16)


def test_channels_last_weights_come_back_equal(tmp_path):
    weight = torch.rand(4, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    save_weights(tmp_path / "w", {"weight": weight}, SETTINGS, CLASSES)
    assert torch.equal(load_weights(tmp_path / "w").state["weight"], weight)


def test_a_full_disk_leaves_the_old_file(path):
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(WeightsError, match=r"cells.safetensors: .*File too"):
            save_weights(path, {"weight": torch.zeros(1_000_000)}, SETTINGS, CLASSES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"nowhere/w: .*No such file"):
        save_weights(tmp_path / "nowhere" / "w", STATE, SETTINGS, CLASSES)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(lambda whole: b"", "0 bytes", id="empty"),
        pytest.param(lambda whole: whole[: len(whole) // 100], "", id="cut off in its header"),
        pytest.param(lambda whole: whole[: len(whole) // 2], "", id="cut off in the middle"),
        pytest.param(lambda whole: whole[:-1], "", id="cut off at its end"),
        pytest.param(lambda whole: b"\xff\xd8\xff\xe0 an image" * 100, "", id="an image"),
    ],
)
def test_a_file_that_is_not_whole_is_named(path, spoil, says):
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(WeightsError, match=rf"cells\.safetensors: .*{says}"):
        load_weights(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_refused_and_never_run(tmp_path, zipped):
    marker = tmp_path / "ran"
    torch.save(Attack(marker), tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=r"w\.pth: "):
        load_weights(tmp_path / "w.pth")
    assert not marker.exists()


def test_safetensors_of_another_library_are_named_as_such(tmp_path):
    save_file(STATE, tmp_path / "other.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="other.safetensors: "):
        load_weights(tmp_path / "other.safetensors")


EMPTY = {"version": 3, "settings": {}, "classes": {"names": [], "category_ids": []}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (json.dumps(EMPTY | {"version": 4}), "version 4 .* version 3"),
        (json.dumps(EMPTY | {"version": 1, "settings": {"neck": 1}}), ""),
        (json.dumps(EMPTY | {"settings": {"neck": 1}}), "neck"),
        (json.dumps(EMPTY | {"classes": {"names": ["a"]}}), "category_ids"),
        (json.dumps(EMPTY | {"classes": 3}), "classes"),
        *(("{", ""), ("[]", ""), ("{}", "version"), ('{"version": "1"}', "")),
    ],
)
def test_a_description_that_is_damaged_or_of_another_version_is_refused(tmp_path, text, says):
    save_file(STATE, tmp_path / "odd.safetensors", metadata={"maskrcnn": text})
    with pytest.raises(WeightsError, match=rf"(?s)odd\.safetensors: .*{says}"):
        load_weights(tmp_path / "odd.safetensors")


def test_fitting_weights_are_applied():
    model = nn.Linear(2, 1)
    apply_weights(model, {"weight": torch.tensor([[1.0, 2.0]]), "bias": torch.tensor([3.0])}, source="w")
    assert model(torch.tensor([[1.0, 1.0]])).item() == 6


def test_weights_of_another_model_are_named_and_leave_the_model_unchanged():
    model = nn.Linear(2, 1)
    before = model.weight.clone()
    wrong = {"weight": torch.ones(1, 3), "extra": torch.ones(1)}
    with pytest.raises(WeightsError) as caught:
        apply_weights(model, wrong, source="w.safetensors")
    text = str(caught.value)
    assert text.startswith("w.safetensors: ")
    assert all(part in text for part in ("bias", "extra", "weight", "[1, 3]", "[1, 2]"))
    assert torch.equal(model.weight, before)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_of_a_training_that_diverged_are_refused_and_leave_the_model_unchanged(value):
    model = nn.Linear(2, 1)
    before = model.weight.clone()
    state = {"weight": torch.tensor([[1.0, 2.0]]), "bias": torch.tensor([value])}
    with pytest.raises(WeightsError, match="last: .*bias .* 1 "):
        apply_weights(model, state, source="last")
    assert torch.equal(model.weight, before)


def test_of_many_faults_the_first_are_named():
    with pytest.raises(WeightsError, match=r"w: .*weight .* 7 more"):
        apply_weights(nn.Linear(2, 1), {str(i): torch.ones(1) for i in range(9)}, source="w")


def test_another_number_of_classes_is_said_with_both_numbers():
    model = nn.Module()
    model.box_head = nn.ModuleList([nn.Module()])
    model.box_head[0].logits = nn.Linear(4, 3)
    state = {CLASS_BIAS: torch.zeros(81), "box_head.0.logits.weight": torch.zeros(81, 4)}
    with pytest.raises(WeightsError, match=r"coco: .*80 classes.* 2\."):
        apply_weights(model, state, source="coco")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"neck": {"channels": 10**9}}, r"neck\.channels"),
        ({"mask_head": {"convolutions": 10**6}}, r"mask_head\.convolutions"),
        ({"input": {"min_size": 10**6}}, r"input\.min_size"),
        ({"rpn": {"post_nms_top_n": 10**9}}, r"rpn\.post_nms_top_n"),
        ({"input": {"mean": [0.5] * 2000, "std": [0.5] * 2000}}, r"input\.mean"),
    ],
)
def test_a_file_may_not_ask_for_what_no_model_needs(tmp_path, settings, says):
    save_file(STATE, tmp_path / "w.safetensors", metadata={"maskrcnn": json.dumps(EMPTY | {"settings": settings})})
    with pytest.raises(WeightsError, match=rf"w\.safetensors.*{says}"):
        load_weights(tmp_path / "w.safetensors")


@pytest.fixture
def limited_memory():
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 30), limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.usefixtures("limited_memory")
def test_shapes_are_compared_before_memory_is_taken(tmp_path):
    settings = ModelSettings().changed({"box_head.channels": 16384, "neck.channels": 16384})  # 50 GB
    save_weights(tmp_path / "w.safetensors", STATE, settings, CLASSES)
    weights = load_weights(tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"w\.safetensors"):
        weights.build_model()
    with pytest.raises(WeightsError, match=r"w\.safetensors"):
        Predictor(weights, precision="float32")


@pytest.mark.parametrize("kind", [torch.int32, torch.bool])
def test_whole_numbers_are_no_weights(kind):
    layer = nn.Linear(2, 1)
    state = {name: one.to(kind) for name, one in layer.state_dict().items()}
    with pytest.raises(WeightsError, match=rf"w\.pth.*weight.*{str(kind).removeprefix('torch.')}"):
        apply_weights(layer, state, source="w.pth")


@pytest.mark.parametrize("state", [None, 5, [1], {"weight": "x"}, {"weight": None}])
def test_what_is_no_tensor_is_no_weight(state):
    with pytest.raises(WeightsError, match=r"w\.pth"):
        apply_weights(nn.Linear(2, 1), state, source="w.pth")
