import pytest
import torch
import torch.nn.functional as F

from maskrcnn.config import ModelSettings, SemanticHeadSettings
from maskrcnn.errors import SettingError
from maskrcnn.model.build import make_semantic_head
from maskrcnn.model.heads.semantic import SemanticHead, semantic_labels, semantic_predictions
from maskrcnn.structures.panoptic import THING, UNKNOWN

CLASSES = 11


def settings(**changed: object) -> SemanticHeadSettings:
    return SemanticHeadSettings(**{"classes": CLASSES, "channels": 32} | changed)


def head_of(**changed: object) -> SemanticHead:
    return SemanticHead(5, settings(**changed))


def pyramid(size: tuple[int, int] = (64, 96)) -> dict[int, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        level: torch.randn(2, 5, *(side >> level for side in size), generator=generator) for level in (2, 3, 4, 5, 6)
    }


@pytest.mark.parametrize(("norm", "name"), [("group", "levels.3.2.convolution.weight"), ("none", "levels.3.2.weight")])
def test_every_pixel_of_the_finest_level_gets_a_logit_per_class(norm, name):
    head = head_of(norm=norm)
    assert head(pyramid()).shape == (2, CLASSES, 16, 24)
    assert dict(head.named_parameters())[name].shape == (32, 32, 3, 3)
    assert [len(convolutions) for convolutions in head.levels] == [1, 1, 2, 3]


def test_the_head_is_the_sum_of_its_levels_each_doubled_after_every_convolution():
    torch.manual_seed(0)
    head = head_of(norm="none").double()
    features = {level: values.double() for level, values in pyramid().items()}
    total = 0
    for level, convolutions in zip((2, 3, 4, 5), head.levels, strict=True):
        grown = features[level]
        for convolution in convolutions:
            grown = convolution(grown).clamp(min=0)
            grown = (
                F.interpolate(grown, size=[2 * side for side in grown.shape[-2:]], mode="bilinear")
                if level > 2
                else grown
            )
        total = total + grown
    torch.testing.assert_close(head(features), head.logits(total), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("things", "expected"), [("first", [0, 1, 10, 255]), ("last", [10, 0, 9, 255])])
def test_things_are_one_class_before_or_after_stuff(things, expected):
    maps = torch.tensor([[[THING, 0, 9, UNKNOWN]]], dtype=torch.uint8)
    head = head_of(things=things)
    found = head.classes_of(maps)
    assert found.dtype == torch.int64
    assert found.tolist() == [[expected]]
    assert head.maps_of(found[..., :3]).tolist() == maps[..., :3].tolist()


def certain(classes: torch.Tensor) -> torch.Tensor:
    """Logits [B, C, h, w] that give the class of each place half of the probability: log(C - 1) against 0."""
    return F.one_hot(classes, CLASSES).permute(0, 3, 1, 2) * torch.log(torch.tensor(CLASSES - 1.0))


def test_the_loss_is_the_mean_over_annotated_pixels():
    logits = certain(torch.full((1, 2, 3), 4))
    targets = torch.full((1, 8, 12), UNKNOWN)
    targets[0, 0, :2] = 4
    half, wrong = torch.log(torch.tensor(2.0)), torch.log(torch.tensor(2.0 * (CLASSES - 1)))
    torch.testing.assert_close(head_of().cross_entropy(logits, targets), 0.5 * half)
    targets[0, 7, 10:] = 5
    torch.testing.assert_close(head_of(loss_weight=1).cross_entropy(logits, targets), (half + wrong) / 2)


def test_the_loss_can_be_divided_by_all_pixels_and_look_at_every_fourth_only():
    logits, targets = certain(torch.full((1, 2, 3), 4)), torch.full((1, 8, 12), UNKNOWN)
    targets[0, 0, 0] = targets[0, 4, 8] = 4
    targets[0, 3, 3] = 5
    half, wrong = torch.log(torch.tensor(2.0)), torch.log(torch.tensor(2.0 * (CLASSES - 1)))
    head = head_of(loss_weight=1, loss_over="all")
    torch.testing.assert_close(head.cross_entropy(logits, targets), (2 * half + wrong) / 96)
    head.settings.loss_at = "map"
    torch.testing.assert_close(head.cross_entropy(logits, targets), 2 * half / 6)


def test_the_loss_compares_enlarged_logits_with_the_pixels_of_the_input():
    torch.manual_seed(0)
    logits, targets = torch.randn(2, CLASSES, 4, 5), torch.randint(CLASSES, (2, 16, 20))
    targets[0, :5] = UNKNOWN
    enlarged = F.interpolate(logits, scale_factor=4, mode="bilinear")
    expected = 0.5 * F.cross_entropy(enlarged, targets, ignore_index=UNKNOWN)
    torch.testing.assert_close(head_of().cross_entropy(logits, targets), expected)


@pytest.mark.parametrize("over", ["annotated", "all"])
def test_without_annotated_pixels_the_loss_is_0_and_reaches_every_parameter(over):
    head = head_of(loss_over=over)
    loss = head.cross_entropy(head(pyramid()), torch.full((2, 64, 96), UNKNOWN))
    loss.backward()
    assert loss == 0
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in head.parameters())


def test_predictions_are_cut_free_of_the_padding_before_they_take_the_images_size():
    logits = torch.zeros(1, 8, 8)
    logits[:, :, 4:] = 1
    found = semantic_predictions(logits, (32, 16), (64, 32), (32, 32))
    assert found.shape == (1, 64, 32)
    # The edge at 16 px of the input is blurred by 2 px; the last column seen lies half a pixel before it.
    enlarged = F.interpolate(logits[None], scale_factor=4, mode="bilinear")[..., :16]
    torch.testing.assert_close(found, F.interpolate(enlarged, size=(64, 32), mode="bilinear")[0])
    assert found[..., 0].max() == 0
    assert 0.3 < found[..., -1].min() <= found[..., -1].max() < 0.5


def test_an_image_of_the_networks_size_is_resized_once():
    logits = torch.randn(3, 4, 4)
    found = semantic_predictions(logits, (16, 16), (16, 16), (16, 16))
    torch.testing.assert_close(found, F.interpolate(logits[None], scale_factor=4, mode="bilinear")[0])


@pytest.mark.parametrize("count", [1, 8, 11, 16])
def test_labels_are_those_of_the_largest_prediction(count):
    logits = torch.randn(count, 8, 8, generator=torch.Generator().manual_seed(count))
    sizes = ((30, 20), (50, 41), (32, 32))
    found = semantic_labels(logits, *sizes)
    assert torch.equal(found, semantic_predictions(logits, *sizes).argmax(dim=0))


def test_of_equal_classes_the_first_counts():
    assert not semantic_labels(torch.zeros(11, 2, 2), (8, 8), (8, 8), (8, 8)).any()


@pytest.mark.parametrize(
    ("changes", "levels", "words"),
    [
        ({}, (5, 6), r".*\(2, 3, 4, 5\).*\(5, 6\)"),
        ({"mask_head": None}, (2, 3, 4, 5, 6), ".*mask_head"),
        ({"neck": {"name": "c5"}}, (5,), r".*neck\.name=fpn.*c5"),
    ],
)
def test_what_the_head_needs_is_said(changes, levels, words):
    with pytest.raises(SettingError, match=rf"semantic_head: {words}"):
        make_semantic_head(ModelSettings(semantic_head=settings(), **changes), levels)


@pytest.mark.parametrize("classes", [2, 54])
def test_a_new_head_finds_all_classes_equally_likely(classes):
    torch.manual_seed(0)
    head = head_of(classes=classes, loss_weight=1)
    loss = head.cross_entropy(head(pyramid()), torch.zeros(2, 64, 96, dtype=torch.int64))
    assert loss.item() == pytest.approx(torch.log(torch.tensor(classes)).item(), rel=0.2)


def test_a_pattern_is_learned_by_heart():
    torch.manual_seed(0)
    head = head_of(classes=3, loss_weight=1)
    features = pyramid((32, 64))
    maps = torch.full((2, 32, 64), THING, dtype=torch.uint8)
    maps[0, :16], maps[1, :, 24:], maps[:, 28:] = 0, 1, UNKNOWN
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
    for _ in range(25):
        head.loss(features, maps)["semantic"].backward()
        optimizer.step()
        optimizer.zero_grad()
    labels = torch.stack([semantic_labels(one, (32, 64), (32, 64), (32, 64)) for one in head(features)])
    right = labels == head.classes_of(maps)
    assert right[:, :28].float().mean() > 0.95
