"""Every example runs, with few small images and two steps; the examples' defaults take minutes."""

from pathlib import Path

import pytest
import torch
from torchvision.models.detection import maskrcnn_resnet50_fpn

from examples import (
    finetune_torchvision,
    own_augmentation,
    own_backbone,
    own_data,
    own_head,
    own_loop,
    own_loss_weights,
    score_others,
)
from maskrcnn.data.shapes import shapes_in_memory
from maskrcnn.weights.own import load_weights

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
TINY = {
    "train.steps": 2,
    "data.batch_size": 1,
    "data.workers": 0,
    "input.min_size": 64,
    "neck.channels": 32,
    "rpn.post_nms_top_n_training": 64,
    "rpn.post_nms_top_n": 32,
    "box_head.channels": 32,
    "box_head.detections_per_image": 10,
    "mask_head.channels": 16,
    "mask_head.convolutions": 1,
}
FEW = {"images": 4, "changes": TINY}


@pytest.fixture
def detector():
    """torchvision's for five classes, of random weights and with statistics of a first image."""
    torch.manual_seed(0)
    model = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=6, min_size=64, max_size=64)
    model.backbone.train()(torch.rand(2, 3, 64, 64))
    return model.eval()


def test_data_in_memory_is_trained_on(tmp_path):
    result = own_data.main(tmp_path, **FEW)
    assert result.finished
    assert {"bbox", "segm"} <= set(result.scores)


def test_a_loop_of_ones_own_trains_a_model_that_is_scored(capsys):
    report = own_loop.main(**FEW, steps=2)
    assert report.facts["images"] == 1
    assert "masks" in capsys.readouterr().out


def test_a_backbone_of_ones_own_is_trained_scored_and_loaded_again(tmp_path):
    predictor = own_backbone.main(tmp_path, **FEW)
    assert type(predictor.model.backbone) is own_backbone.PlainBackbone
    assert (tmp_path / "scores.json").exists()
    assert predictor(shapes_in_memory(1)[0].pixels).masks is not None


def test_a_mask_head_of_ones_own_is_trained_and_scored(tmp_path):
    result = own_head.main(tmp_path, **FEW)
    assert "segm" in result.scores
    assert "mask_head.layers.0.weight" in load_weights(result.weights).state


@pytest.mark.parametrize("kind", ["torchvision", "albumentations", "function"])
def test_augmentation_of_ones_own_is_trained_with(tmp_path, kind):
    if kind == "albumentations":
        pytest.importorskip("albumentations", reason="albumentations is not installed")
    report = own_augmentation.main(own_augmentation.KINDS[kind](), tmp_path, **FEW)
    assert report.facts["images"] == 1


def test_losses_are_weighted(tmp_path):
    assert own_loss_weights.main(tmp_path, **FEW).finished


def test_a_checkpoint_of_torchvision_learns_other_classes_and_goes_back(tmp_path, detector):
    torch.save(detector.state_dict(), tmp_path / "detector.pth")
    small = {key: value for key, value in TINY.items() if key.partition(".")[0] in ("train", "data", "input", "rpn")}
    back = finetune_torchvision.main(tmp_path / "detector.pth", tmp_path / "run", images=4, changes=small)
    detector.load_state_dict(torch.load(back))


def test_detections_of_another_library_are_scored(detector):
    report = score_others.main(detector, shapes_in_memory(2, size=64))
    assert {"bbox", "segm"} <= {section.name for section in report.sections}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_short_and_listed(path):
    text = path.read_text(encoding="utf-8")
    assert len([line for line in text.splitlines() if line.strip()]) <= 45
    assert f"[{path.name}]({path.name})" in (path.parent / "README.md").read_text(encoding="utf-8")
