import json
import pickle

import pytest
import torch
from PIL import Image

from maskrcnn.cli.convert import summary
from maskrcnn.config import ModelSettings
from maskrcnn.weights.foreign.names import name_classes
from maskrcnn.weights.own import Weights, load_weights
from tests.builders.checkpoints import detectron2_state


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """A file as in detectron2's model zoo."""
    path = tmp_path_factory.mktemp("zoo") / "model_final.pkl"
    arrays = {name: tensor.numpy() for name, tensor in detectron2_state().items()}
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "Detectron2 Model Zoo"}))
    return path


def test_there_and_back_is_exact_and_what_was_recognized_is_printed(run_cli, zoo, tmp_path):
    ours, back = tmp_path / "ours.safetensors", tmp_path / "back.pkl"
    done = run_cli("convert", zoo, ours)
    assert done.code == 0
    assert "format: detectron2\nclasses: 3 (class 1, class 2, class 3)\n" in done.out
    assert "stride_in_1x1: true" in done.out
    assert f"written: {ours}" in done.out.replace("\n", "")
    assert run_cli("convert", ours, back, "--to", "detectron2").code == 0
    before, after = (pickle.loads(path.read_bytes())["model"] for path in (zoo, back))
    assert before.keys() == after.keys()
    assert all((before[name] == after[name]).all() for name in before)


def test_a_file_of_another_library_predicts(run_cli, zoo, tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "photo.jpg")
    done = run_cli(
        *("predict", tmp_path / "photo.jpg", "--weights", zoo, "--output", tmp_path / "out", "--no-draw"),
        *("input.min_size=64", "rpn.post_nms_top_n=20"),
    )
    assert done.code == 0, done.err


def test_settings_that_a_file_cannot_tell_are_stored(run_cli, zoo, tmp_path):
    done = run_cli("convert", zoo, tmp_path / "x.safetensors", "backbone.stride_in_1x1=false", "--half")
    assert done.code == 0
    assert load_weights(tmp_path / "x.safetensors").settings.backbone.stride_in_1x1 is False
    assert (tmp_path / "x.safetensors").stat().st_size < 0.6 * zoo.stat().st_size


def test_classes_get_their_names_from_words_or_from_a_coco_file(run_cli, zoo, tmp_path):
    target, coco = tmp_path / "named.safetensors", tmp_path / "train.json"
    assert run_cli("convert", zoo, target, "--classes", "cat, dog,cow").code == 0
    assert load_weights(target).classes.names == ("cat", "dog", "cow")
    categories = [{"id": number, "name": name} for number, name in ((7, "c"), (3, "a"), (5, "b, too"))]
    coco.write_text(json.dumps({"images": [], "annotations": [], "categories": categories}))
    assert run_cli("convert", zoo, target, "--classes", coco).code == 0
    classes = load_weights(target).classes
    assert (classes.names, classes.category_ids) == (("a", "b, too", "c"), (3, 5, 7))
    refused = run_cli("convert", zoo, target, "--classes", "cat,dog")
    assert refused.code == 1
    assert "has 3 classes" in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x.pth"], ".safetensors"),
        (["x.pth", "--to", "detectron2", "--half"], "--half"),
        (["x.safetensors", "train.steps=3"], "train.steps=3"),
        (["x.safetensors", "neck.channels=16"], "neck.channels=16"),
        (["x.pth", "--to", "torchvision"], "input.resize=pillow"),
        (["x.bin", "--to", "detectron2"], ".pkl or .pth"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(run_cli, zoo, tmp_path, words, message):
    done = run_cli("convert", zoo, tmp_path / words[0], *words[1:])
    assert done.code == 1
    assert message in " ".join(done.err.split())
    assert list(tmp_path.iterdir()) == []


def test_a_summary_of_our_own_weights():
    weights = Weights({"a": torch.zeros(1_500_000)}, ModelSettings(), name_classes(80))
    names = "person, bicycle, car, motorcycle, airplane, bus, train, truck"
    assert summary(weights) == [
        "format: maskrcnn",
        f"classes: 80 ({names} and 72 more)",
        "parameters: 1.5 million in 1 tensor",
        "settings: all as by default",
    ]
