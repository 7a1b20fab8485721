import pytest
import torch
from torch import nn

from maskrcnn.config import ModelSettings
from maskrcnn.model.inference.folding import prepare_for_prediction
from maskrcnn.model.norms import BatchNorm
from tests.model.small import fill_norms, small_batch, small_model, small_settings

NORMS = ("frozen_batch", "batch", "sync_batch")


def settings_of(norm: str, *, heads: str = "none", **parts: object) -> ModelSettings:
    """A small model whose backbone has one norm and whose neck and heads have another."""
    small = small_settings(norm, **parts)
    tree = small.model_dump()
    tree["neck"] |= {"norm": heads, "channels": 32}
    tree["box_head"] |= {"norm": heads, "convolutions": 1, "convolution_channels": 32}
    tree["mask_head"] |= {"norm": heads, "channels": 32}
    return ModelSettings.model_validate(tree)


def model(norm: str = "frozen_batch", **options: object):
    made = small_model(settings_of(norm, **options))
    fill_norms(made)
    return made.eval()


def assert_same_predictions(found, expected) -> None:
    for one, other in zip(found, expected, strict=True):
        assert len(one) > 0
        torch.testing.assert_close(one.boxes, other.boxes, rtol=0, atol=1e-10)
        torch.testing.assert_close(one.scores, other.scores, rtol=0, atol=1e-10)
        torch.testing.assert_close(one.masks.probabilities, other.masks.probabilities, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("norm", "heads"), [("frozen_batch", "none"), ("batch", "batch"), ("sync_batch", "sync_batch"), ("group", "group")]
)
def test_a_folded_model_is_the_same_function(norm, heads):
    batch = small_batch(dtype=torch.float64)
    plain = model(norm, heads=heads).double()
    expected, features = plain.predict(batch), plain.neck(plain.backbone(batch.images))
    folded = prepare_for_prediction(plain, torch.float64)
    for level, map in folded.neck(folded.backbone(batch.images)).items():
        torch.testing.assert_close(map, features[level], rtol=0, atol=1e-10)
    assert_same_predictions(folded.predict(batch), expected)


@pytest.mark.parametrize("backbone", [{"name": "resnext50_32x4d"}, {"name": "mobilenet_v3_large"}], ids=str)
def test_convolutions_with_groups_and_those_in_a_row_are_folded_too(backbone):
    anchors = {"sizes": [[8, 32]] * (3 if backbone["name"] == "mobilenet_v3_large" else 5)}
    plain = model(backbone={**backbone, "frozen_stages": 0, "norm": "batch"}, anchors=anchors).double()
    images = small_batch(dtype=torch.float64).images
    with torch.no_grad():
        expected = plain.backbone(images)
    folded = prepare_for_prediction(plain, torch.float64)
    assert not [one for one in folded.modules() if isinstance(one, BatchNorm)]
    for level, map in folded.backbone(images).items():
        torch.testing.assert_close(map, expected[level], rtol=1e-10, atol=1e-10)


def test_norms_are_folded_in_the_precision_that_is_asked_for():
    exact, folded = model().double(), prepare_for_prediction(model(), torch.float64)
    images = small_batch(dtype=torch.float64).images
    with torch.no_grad():
        torch.testing.assert_close(folded.backbone(images)[5], exact.backbone(images)[5], rtol=0, atol=1e-11)


@pytest.mark.parametrize("norm", NORMS)
def test_no_batch_norm_is_left_and_nothing_learns(norm):
    heads = "none" if norm == "frozen_batch" else norm
    folded = prepare_for_prediction(model(norm, heads=heads), torch.float32)
    assert not [one for one in folded.modules() if isinstance(one, BatchNorm)]
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    assert not folded.training


def test_group_norms_stay():
    count = sum(isinstance(one, nn.GroupNorm) for one in model("group", heads="group").modules())
    folded = prepare_for_prediction(model("group", heads="group"), torch.float32)
    assert sum(isinstance(one, nn.GroupNorm) for one in folded.modules()) == count > 0


@pytest.mark.parametrize("parts", [{}, {"cascade": {}}], ids=["one head", "cascade"])
@pytest.mark.parametrize("norm", ["frozen_batch", "group"])
def test_a_bfloat16_model_scores_in_float32(norm, parts):
    folded = prepare_for_prediction(small_model(small_settings(norm, **parts)), torch.bfloat16)
    exact = {name for name, one in folded.named_parameters() if one.dtype == torch.float32}
    assert exact == {
        f"box_head.{stage}.{layer}.{part}"
        for stage in range(3 if parts else 1)
        for layer in ("logits", "deltas")
        for part in ("weight", "bias")
    }
    found = folded.predict(small_batch(dtype=torch.bfloat16))[0]
    assert len(found) > 0
    assert {found.boxes.dtype, found.scores.dtype, found.masks.probabilities.dtype} == {torch.float32}


def test_a_folded_model_is_channels_last():
    folded = prepare_for_prediction(model(), torch.bfloat16)
    kernels = [parameter for parameter in folded.parameters() if parameter.ndim == 4]
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
