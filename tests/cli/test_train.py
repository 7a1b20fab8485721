import json
import shlex
import shutil
from dataclasses import replace

import pytest
import torch

from maskrcnn.config import ModelSettings
from maskrcnn.data.shapes import SHAPES, write_shapes
from maskrcnn.model.build import build_model
from maskrcnn.structures.classes import Classes
from maskrcnn.training.checkpoint import load_checkpoint
from maskrcnn.training.loop import StopRequest
from maskrcnn.weights.own import load_weights, save_weights
from maskrcnn.weights.published import PUBLISHED, Published
from tests.builders.exports import drawn_set, write_labelme, write_yolo
from tests.conftest import CLASSES, TINY

SMALL = (
    "input.scale_factor=1",
    "backbone.name=resnet18",
    "backbone.width=32",
    "neck.channels=32",
    "anchors.sizes=8,16,32,48,64",
    "rpn.pre_nms_top_n_training=50",
    "box_head.channels=32",
    "box_head.batch_size_per_image=16",
    "mask_head.channels=16",
    "mask_head.convolutions=1",
    "data.workers=0",
    "train.steps=2",
)
SCRATCH = ("--weights", "none", *SMALL)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards") / "cards"
    write_shapes(folder, train=8, val=2, size=64, seed=0)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    settings = ModelSettings.model_validate(TINY)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, build_model(settings, len(CLASSES)).state_dict(), settings, CLASSES)
    return path


@pytest.fixture
def train(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: run_cli("train", *words)


def commands(text):
    """The commands a run ends with."""
    return [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("  maskrcnn")]


def test_a_run_leaves_weights_scores_curves_and_a_sheet_and_its_commands_run(train, run_cli, data, tmp_path):
    done = train("--data", data, *SCRATCH)
    assert done.code == 0, done.err
    run = tmp_path / "runs" / "cards"
    assert {"best.safetensors", "last.pt", "log.jsonl", "curves.png", "sheet.png", "scores.json"} <= {
        path.name for path in run.iterdir()
    }
    assert load_weights(run / "best.safetensors").classes.names == SHAPES
    assert {"bbox", "segm", "accuracy"} <= set(json.loads((run / "scores.json").read_text()))
    assert "AP50" in done.out
    predict, evaluate = commands(done.err)
    assert (predict[0], evaluate[0]) == ("predict", "evaluate")
    for words in (predict, evaluate):
        assert run_cli(*words).code == 0


def test_what_will_happen_is_said_first(train, data):
    said = train("--data", data, *SCRATCH).err
    expected = ["8 images with", "5: circle, square", "2 images each", "resnet18", "adamw", "0.0001", "on cpu"]
    assert [words for words in expected if words not in said] == []


def test_a_part_is_held_out_said_and_written(train, run_cli, data, tmp_path):
    done = train("--data", data / "train.json", "--output", "run", "data.val_fraction=0.25", *SCRATCH)
    assert "6 images with" in done.err
    assert "held out" in done.err
    assert len(json.loads((tmp_path / "run" / "held_out.json").read_text())["images"]) == 2
    assert run_cli(*commands(done.err)[1]).code == 0


def test_a_run_that_was_stopped_says_how_to_go_on_and_ends_the_same(train, run_cli, data, tmp_path, monkeypatch):
    train("--data", data, "--output", "whole", *SCRATCH, "train.steps=3")
    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "__enter__", lambda self: setattr(self, "received", True) or self)
        stopped = train("--data", data, "--output", "cut", *SCRATCH, "train.steps=3")
    assert stopped.code == 130
    assert commands(stopped.err) == [["train", "--resume", "--output", "cut"]]
    assert load_checkpoint(tmp_path / "cut" / "last.pt").progress.step == 0
    resumed = run_cli(*commands(stopped.err)[0])
    assert resumed.code == 0, resumed.err
    whole, cut = (load_weights(tmp_path / name / "last.safetensors").state for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_a_detector_brings_its_settings_and_those_of_the_user_win(train, data, weights, tmp_path):
    words = ("--weights", weights, "data.workers=0", "train.steps=1", "input.min_size=64")
    done = train("--data", data, "--output", "run", *words)
    assert done.code == 0, done.err
    settings = load_weights(tmp_path / "run" / "best.safetensors").settings
    assert settings.neck.channels == TINY["neck"]["channels"]
    assert (settings.input.min_size, settings.input.max_size) == (64, 192)
    assert "tiny.safetensors: from the file: stem" in done.err


@pytest.fixture
def unreachable(monkeypatch, tmp_path):
    """No network: nobody listens at the address of the published weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in PUBLISHED:
        address = f"http://127.0.0.1:9/{name.rpartition('/')[2]}-12345678.pth"
        monkeypatch.setitem(PUBLISHED, name, Published(address))


def test_without_a_network_a_run_warns_and_starts_from_random_weights(train, data, unreachable):
    done = train("--data", data, *SMALL)
    assert done.code == 0, done.err
    assert [words for words in ("cannot be fetched", "random: resnet18") if words not in done.err] == []


def test_weights_that_were_asked_for_are_not_replaced(train, data, unreachable, tmp_path):
    done = train("--data", data, *SMALL, "--weights", "torchvision/maskrcnn_resnet50_fpn")
    assert done.code == 1
    assert "cannot be fetched" in done.err
    assert not (tmp_path / "runs").exists()


def test_cocos_weights_are_the_default(train, data, monkeypatch, tmp_path):
    """Under the published name lies a small file of the same kind, with random weights."""
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    name = "torchvision/maskrcnn_resnet50_fpn"
    monkeypatch.setitem(PUBLISHED, name, replace(PUBLISHED[name], checksum=None, preset=None))
    path = tmp_path / "torch" / "hub" / "checkpoints" / PUBLISHED[name].address.rpartition("/")[2]
    path.parent.mkdir(parents=True)
    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(backbone_name="resnet18", weights=None)
    backbone.body.bn1.running_mean.fill_(0.1)  # statistics, as what was trained has
    torch.save(MaskRCNN(backbone, num_classes=91).state_dict(), path)
    words = ("input.min_size=64", "data.workers=0", "data.batch_size=1", "train.steps=1")
    done = train("--data", data, *words)
    assert done.code == 0, done.err
    said = " ".join(done.err.split())
    assert f"{name}: from the file: stem, stage 2 (layer1)" in said
    assert "random: class layers of the box head, class layer of the mask head" in said
    assert "sgd, learning rate 0.0013" in said


def test_objects_that_cannot_be_used_are_named_and_left_out_of_both_parts(train, data, tmp_path):
    contents = json.loads((data / "train.json").read_text())
    for found in contents["annotations"]:
        if found["image_id"] % 2:
            found["bbox"], found["segmentation"] = [1, 2, 0, 4], []
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(contents))
    words = ("--data", path, "--images", data / "images", "--output", "run", "data.val_fraction=0.5", *SCRATCH)
    refused = train(*words)
    assert refused.code == 1
    assert "skip_invalid" in refused.err
    assert not (tmp_path / "run").exists()
    done = train(*words, "--skip-invalid")
    assert done.code == 0, done.err
    assert "Left out: " in done.err
    assert "is 0 px wide" in done.err


def test_objects_without_a_polygon_are_counted(train, data, tmp_path):
    contents = json.loads((data / "train.json").read_text())
    for found in contents["annotations"][:3]:
        del found["segmentation"]
    (tmp_path / "boxes.json").write_text(json.dumps(contents))
    done = train("--data", tmp_path / "boxes.json", "--images", data / "images", *SCRATCH)
    assert "3 objects without a polygon" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "(--data)"),
        (("--resume",), "(--data)"),
        (("--resume", "--output", "nothing"), "nothing: "),
        (("--data", "nowhere"), "nowhere: "),
        (("--data", ".", "train.stps=3"), "train.steps"),
        (("--data", "DATA", "--weights", "nucleii"), "nucleii: "),
        (("--data", "DATA", "--weights", "none", "backbone.norm=frozen_batch"), "backbone.norm"),
        (("--data", "DATA", "--weights", "none", "backbone.frozen_stages=1"), "backbone.frozen_stages"),
        (("--data", ".", "--device", "abacus"), "device abacus"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_written(train, data, words, message, tmp_path):
    done = train(*(data if word == "DATA" else word for word in words))
    assert done.code == 1
    assert message in " ".join(done.err.split())
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_not_overwritten_but_goes_on_with_more_steps_and_data_that_moved(train, data, tmp_path):
    copied, moved = tmp_path / "copied", tmp_path / "moved"
    shutil.copytree(data, copied)
    train("--data", copied, "--output", "run", *SCRATCH)
    copied.rename(moved)
    again = train("--data", moved, "--output", "run", *SCRATCH)
    assert again.code == 1
    assert "maskrcnn train --resume --output run" in again.err
    assert train("--resume", "--output", "run", "--preset", "coco").code == 1
    longer = train("--resume", "--output", "run", "--data", moved, "train.steps=4", "train.learning_rate=0.001")
    assert longer.code == 0, longer.err
    assert "train.steps=4 (before: " in longer.err
    assert load_checkpoint(tmp_path / "run" / "last.pt").progress.step == 4
    other = train("--resume", "--output", "run", "box_head.channels=16")
    assert other.code == 1
    assert "box_head.channels" in other.err


def test_a_run_on_other_formats_is_validated_and_scored_again_by_its_command(run_cli, tmp_path, monkeypatch):
    """Learns from YOLO's format; the validation data is a folder of LabelMe's, which has no splits."""
    monkeypatch.chdir(tmp_path)
    write_yolo(drawn_set(tmp_path / "one", seed=0), tmp_path / "one", tmp_path / "learn")
    write_labelme(drawn_set(tmp_path / "two", seed=1), tmp_path / "two", tmp_path / "val")
    done = run_cli("train", "--data", "learn", "--val", "val", "--output", "run", *SCRATCH, "train.steps=1")
    assert done.code == 0, done.err
    assert load_weights(tmp_path / "run" / "best.safetensors").classes.names == ("cat", "dog")
    predict, evaluate = commands(done.err)
    assert predict[1] == str(tmp_path / "val")
    place = ["--data", str(tmp_path / "val"), "--split", "train"]
    assert evaluate == ["evaluate", *place, "--weights", "run/best.safetensors"]
    assert run_cli(*evaluate).code == 0


def test_one_class_is_learned_too(train, data, tmp_path):
    contents = json.loads((data / "train.json").read_text())
    contents["categories"] = [{"id": 4, "name": "thing"}]
    for found in contents["annotations"]:
        found["category_id"] = 4
    (tmp_path / "things.json").write_text(json.dumps(contents))
    done = train("--data", tmp_path / "things.json", "--images", data / "images", *SCRATCH)
    assert done.code == 0, done.err
    assert load_weights(tmp_path / "runs" / "things" / "best.safetensors").classes == Classes(("thing",), (4,))
