import pytest
import torch
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from maskrcnn.config import InputSettings
from maskrcnn.data.inputs import make_batch, prepare_picture, resized_size, stretch_brightness
from maskrcnn.structures.panoptic import UNKNOWN


def peer(settings: InputSettings) -> GeneralizedRCNNTransform:
    mean, deviation = list(settings.mean), list(settings.deviation)
    return GeneralizedRCNNTransform(settings.shorter, settings.longer, mean, deviation).eval()


def test_the_shorter_side_gets_its_length_unless_the_longer_would_pass_its_limit():
    settings = InputSettings(shorter=100, longer=160)
    assert resized_size((50, 60), settings) == (100, 120)
    assert resized_size((60, 50), settings) == (120, 100)
    assert resized_size((50, 100), settings) == (80, 160)
    assert resized_size((1000, 1000), settings) == (100, 100)


def test_a_scale_multiplies_the_size():
    assert resized_size((50, 60), InputSettings(shorter=100, longer=160), 0.5) == (50, 60)


def test_a_fixed_magnification_replaces_the_size_rule_up_to_the_longer_side():
    settings = InputSettings(shorter=100, longer=160, magnify=2.0)
    assert resized_size((30, 40), settings) == (60, 80)
    assert resized_size((30, 100), settings) == (48, 160)


def test_no_side_is_ever_below_1():
    assert resized_size((1, 12000), InputSettings()) == (1, 1333)
    assert resized_size((40, 12000), InputSettings()) == (4, 1333)
    assert resized_size((1, 1), InputSettings()) == (800, 800)


def test_sizes_are_those_of_torchvision():
    settings = InputSettings()
    transform = peer(settings)
    for height, width in [(426, 640), (333, 500), (7, 13), (1201, 799), (800, 1333), (81, 83), (1999, 640)]:
        expected = transform.resize(torch.zeros(1, height, width))[0].shape[-2:]
        assert resized_size((height, width), settings) == tuple(expected)


def test_the_input_is_that_of_torchvision_in_float64():
    settings = InputSettings(shorter=90, longer=140)
    generator = torch.Generator().manual_seed(0)
    sizes = [(50, 60), (61, 200), (150, 120)]
    pictures = [torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8) for size in sizes]
    expected, _ = peer(settings)([picture.double() / 255 for picture in pictures])
    batch = make_batch([prepare_picture(picture, settings, dtype=torch.float64) for picture in pictures], sizes)
    assert batch.sizes == expected.image_sizes
    assert batch.images.shape == expected.tensors.shape
    assert (batch.images - expected.tensors).abs().max() < 1e-12


def test_a_given_size_wins_over_the_rule():
    assert prepare_picture(torch.zeros(3, 9, 9, dtype=torch.uint8), InputSettings(), size=(4, 6)).shape == (3, 4, 6)


def test_a_picture_of_the_mean_colour_becomes_nought():
    settings = InputSettings(mean=(0.2, 0.4, 0.6), deviation=(1, 1, 1), shorter=8)
    picture = torch.tensor([51, 102, 153], dtype=torch.uint8)[:, None, None].expand(3, 5, 7)
    assert prepare_picture(picture, settings).abs().max() < 1e-6


def test_percentiles_become_black_and_white():
    picture = torch.arange(50, 150, dtype=torch.uint8).reshape(1, 10, 10).expand(3, 10, 10)
    whole = stretch_brightness(picture, (0, 100))
    assert (int(whole.min()), int(whole.max())) == (0, 255)
    assert whole.flatten()[33] == 85
    part = stretch_brightness(picture, (10, 60))
    assert (part[0] == 0).sum() == 11
    assert (part[0] == 255).sum() == 41


def test_channels_are_stretched_alike():
    picture = torch.tensor([0, 10, 20], dtype=torch.uint8)[:, None, None].expand(3, 2, 2)
    assert stretch_brightness(picture, (0, 100))[:, 0, 0].tolist() == [0, 128, 255]


def test_a_constant_picture_is_not_stretched():
    picture = torch.full((3, 4, 4), 77, dtype=torch.uint8)
    assert (stretch_brightness(picture, (1, 99)) == 77).all()


def test_stretching_is_part_of_preparing_where_it_is_set():
    settings = InputSettings(stretch=(0, 100), mean=(0, 0, 0), deviation=(1, 1, 1))
    picture = torch.arange(10, 14, dtype=torch.uint8).reshape(1, 2, 2).expand(3, 2, 2)
    prepared = prepare_picture(picture, settings, size=(2, 2))
    assert prepared[0].flatten().tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_a_batch_is_padded_with_0_to_a_multiple_of_32_in_channels_last():
    batch = make_batch(
        [torch.ones(3, 20, 33), torch.ones(3, 32, 5)], [(2, 3), (9, 1)], paths=["a", "b"], image_ids=[7, 8]
    )
    assert batch.images.shape == (2, 3, 32, 64)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.images.sum() == 3 * (20 * 33 + 32 * 5)
    assert (batch.images[0, :, :20, :33] == 1).all()
    assert batch.sizes == [(20, 33), (32, 5)]
    assert (batch.picture_sizes, batch.targets, batch.paths, batch.image_ids) == (
        [(2, 3), (9, 1)],
        None,
        ("a", "b"),
        (7, 8),
    )


def test_classes_of_pixels_are_unknown_in_the_padding_and_where_none_are_annotated():
    batch = make_batch(
        [torch.ones(3, 20, 33), torch.ones(3, 32, 5)],
        [(20, 33), (32, 5)],
        semantic=[torch.full((20, 33), 3, dtype=torch.uint8), None],
    )
    assert batch.semantic.shape == (2, 32, 64)
    assert batch.semantic.dtype == torch.uint8
    assert (batch.semantic[0, :20, :33] == 3).all()
    assert (batch.semantic == 3).sum() == 20 * 33
    assert (batch.semantic == UNKNOWN).sum() == 2 * 32 * 64 - 20 * 33
