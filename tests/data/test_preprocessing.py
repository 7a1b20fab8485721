import json

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from maskrcnn.config import InputSettings
from maskrcnn.data.images import read_image
from maskrcnn.data.preprocessing import make_batch, prepare_image, resize_bytes, resized_size, stretch_brightness
from maskrcnn.errors import DataError
from maskrcnn.structures.panoptic import UNKNOWN
from tests.agreement.fixtures import FOLDER

LIMITED = {"min_size": 100, "max_size": 160}


def noise(*size: int) -> torch.Tensor:
    return torch.randint(0, 256, size, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def peer(settings: InputSettings) -> GeneralizedRCNNTransform:
    mean, deviation = list(settings.mean), list(settings.std)
    return GeneralizedRCNNTransform(settings.min_size, settings.max_size, mean, deviation).eval()


@pytest.mark.parametrize(
    ("size", "settings", "expected"),
    [
        ((50, 60), LIMITED, (100, 120)),
        ((60, 50), LIMITED, (120, 100)),
        ((50, 100), LIMITED, (80, 160)),  # the longer side is at its limit
        ((1000, 1000), LIMITED, (100, 100)),
        ((30, 40), {**LIMITED, "scale_factor": 2.0}, (60, 80)),
        ((30, 100), {**LIMITED, "scale_factor": 2.0}, (48, 160)),
        ((1, 12000), {}, (1, 1333)),  # no side is below 1
        ((40, 12000), {}, (4, 1333)),
        ((1, 1), {}, (800, 800)),
    ],
)
def test_the_shorter_side_gets_its_length_unless_the_longer_would_pass_its_limit(size, settings, expected):
    assert resized_size(size, InputSettings(**settings)) == expected


def test_a_scale_multiplies_the_size():
    assert resized_size((50, 60), InputSettings(**LIMITED), 0.5) == (50, 60)


def many_sizes(count: int) -> list[tuple[int, int, int, int]]:
    """Height, width, shorter, longer; every third the classical limits."""
    random = np.random.default_rng(0)
    sizes = random.integers(20, 2000, (count, 2)).tolist()
    limits = [(800, 1333) if i % 3 else tuple(random.integers((32, 400), (400, 1400))) for i in range(count)]
    return [(h, w, int(a), int(b)) for (h, w), (a, b) in zip(sizes, limits) if min(h, w) * b >= max(h, w)]


def test_sizes_are_those_of_torchvision(monkeypatch):
    seen = []
    monkeypatch.setattr(torch._C._nn, "upsample_bilinear2d", lambda image, size, *_: seen.append(tuple(size)) or image)
    for height, width, shorter, longer in [*many_sizes(2000), (7, 13, 800, 1333), (81, 83, 800, 1333)]:
        settings = InputSettings(min_size=shorter, max_size=longer)
        peer(settings).resize(torch.zeros(1, 1, 1).expand(1, height, width))
        assert resized_size((height, width), settings) == seen.pop(), (height, width, shorter, longer)


def detectron2_size(height, width, shorter, longer):
    """`ResizeShortestEdge`, as its source has it."""
    scale = shorter * 1.0 / min(height, width)
    new_height, new_width = (shorter, scale * width) if height < width else (scale * height, shorter)
    if max(new_height, new_width) > longer:
        scale = longer * 1.0 / max(new_height, new_width)
        new_height, new_width = new_height * scale, new_width * scale
    return int(new_height + 0.5), int(new_width + 0.5)


def mmdetection_size(height, width, shorter, longer):
    """mmcv's `rescale_size`, as its source has it."""
    factor = min(longer / max(height, width), shorter / min(height, width))
    return int(height * factor + 0.5), int(width * factor + 0.5)


@pytest.mark.parametrize(("resize", "rule"), [("pillow", detectron2_size), ("opencv", mmdetection_size)])
def test_sizes_of_resized_bytes_are_rounded_to_the_nearest(resize, rule):
    for height, width, shorter, longer in [*many_sizes(2000), (427, 640, 800, 1333), (500, 500, 800, 700)]:
        settings = InputSettings(min_size=shorter, max_size=longer, resize=resize)
        assert resized_size((height, width), settings) == rule(height, width, shorter, longer)


def test_bytes_are_resized_as_pillow_and_opencv_do():
    image = noise(3, 40, 50)
    pixels = image.permute(1, 2, 0).numpy()
    for size in [(23, 31), (80, 99), (20, 25)]:
        pillow = np.array(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR))
        assert (resize_bytes(image, size, "pillow").permute(1, 2, 0).numpy() == pillow).all()
        opencv = cv2.resize(np.ascontiguousarray(pixels), size[::-1], interpolation=cv2.INTER_LINEAR)
        assert (resize_bytes(image, size, "opencv").permute(1, 2, 0).numpy() == opencv).all()


@pytest.mark.parametrize("method", ["pillow", "opencv"])
def test_each_channel_is_resized_as_if_alone(method):
    image = noise(5, 40, 50)
    together = resize_bytes(image, (33, 70), method)
    assert torch.equal(together, torch.cat([resize_bytes(plane[None], (33, 70), method) for plane in image]))
    assert resize_bytes(image, (40, 50), method) is image


RESIZED = {path.parent: path for path in sorted(FOLDER.glob("*/*/resized.png"))}


@pytest.mark.skipif(not RESIZED, reason="no recorded images; set MASKRCNN_AGREEMENT to the folder that holds them")
@pytest.mark.parametrize("folder", RESIZED or [FOLDER], ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def test_resized_images_are_those_of_detectron2_and_mmdetection_bit_for_bit(folder):
    image, expected = read_image(folder / "input.png"), read_image(RESIZED[folder])
    method = {"detectron2": "pillow", "mmdet": "opencv"}[folder.parent.name]
    config = json.loads((folder / "meta.json").read_text())["config"]
    settings = InputSettings(min_size=config["short_edge"], max_size=config["max_size"], resize=method)
    size = resized_size(tuple(image.shape[1:]), settings)
    assert torch.equal(resize_bytes(image, size, method), expected)


@pytest.mark.parametrize("resize", ["pillow", "opencv"])
def test_bytes_are_resized_before_they_are_normalized(resize):
    settings = InputSettings(resize=resize, mean=(0.1, 0.2, 0.3), std=(1 / 255, 0.5, 1))
    image = noise(3, 8, 9)
    prepared = prepare_image(image, settings, size=(5, 7), dtype=torch.float64)
    resized = resize_bytes(image, (5, 7), resize).double() / 255
    expected = torch.stack([(resized[0] - 0.1) * 255, (resized[1] - 0.2) / 0.5, resized[2] - 0.3])
    torch.testing.assert_close(prepared, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("resize", ["float", "pillow", "opencv"])
def test_blue_comes_first_where_it_is_asked_for(resize):
    image = noise(3, 8, 9)
    rgb, bgr = (prepare_image(image, InputSettings(min_size=6, resize=resize, channel_order=c)) for c in ("rgb", "bgr"))
    assert torch.equal(rgb.flip(0), bgr)


@pytest.mark.parametrize("resize", ["float", "pillow", "opencv"])
@pytest.mark.parametrize("channels", [1, 2, 5, 300])
def test_images_may_have_any_number_of_channels(resize, channels):
    settings = InputSettings(min_size=6, resize=resize, mean=(0.5,) * channels, std=(1,) * channels)
    image = torch.full((channels, 9, 12), 255, dtype=torch.uint8)
    prepared = prepare_image(image, settings)
    assert prepared.shape == (channels, 6, 8)
    assert (prepared == 0.5).all()
    assert make_batch([prepared], [(9, 12)], size_divisible=8).images.shape == (1, channels, 8, 8)


def test_an_image_of_other_channels_than_the_model_is_refused():
    with pytest.raises(DataError, match="4 channels, .* 3: input.mean .* 4 values"):
        prepare_image(torch.zeros(4, 9, 9, dtype=torch.uint8), InputSettings())


def test_the_input_is_that_of_torchvision_in_float64():
    settings = InputSettings(min_size=90, max_size=140)
    generator = torch.Generator().manual_seed(0)
    sizes = [(50, 60), (61, 200), (150, 120)]
    images = [torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8) for size in sizes]
    expected, _ = peer(settings)([image.double() / 255 for image in images])
    batch = make_batch(
        [prepare_image(image, settings, dtype=torch.float64) for image in images], sizes, size_divisible=32
    )
    assert batch.sizes == expected.image_sizes
    assert batch.images.shape == expected.tensors.shape
    assert (batch.images - expected.tensors).abs().max() < 1e-12


@pytest.mark.parametrize("size", [(480, 640), (333, 500), (900, 1400)])
def test_the_input_in_float32_is_that_in_float64_up_to_rounding(size: tuple[int, int]):
    image = noise(3, *size)
    exact = prepare_image(image, InputSettings(), dtype=torch.float64)
    assert (prepare_image(image, InputSettings()) - exact).abs().max() < 2e-6


def test_the_memory_of_an_image_changes_nothing():
    image = noise(3, 30, 40)
    settings = InputSettings(min_size=50)
    side_by_side = prepare_image(image.permute(1, 2, 0).contiguous().permute(2, 0, 1), settings)
    assert torch.equal(side_by_side, prepare_image(image, settings))
    assert torch.equal(prepare_image(image[:, 3:-4, 5:], settings), prepare_image(image[:, 3:-4, 5:].clone(), settings))


def test_a_given_size_wins_over_the_rule_and_the_channels_of_a_pixel_lie_side_by_side():
    prepared = prepare_image(torch.zeros(3, 9, 9, dtype=torch.uint8), InputSettings(), size=(4, 6))
    assert prepared.shape == (3, 4, 6)
    assert prepared.permute(1, 2, 0).is_contiguous()


def test_an_image_of_the_mean_color_becomes_nought():
    settings = InputSettings(mean=(0.2, 0.4, 0.6), std=(1, 1, 1), min_size=8)
    image = torch.tensor([51, 102, 153], dtype=torch.uint8)[:, None, None].expand(3, 5, 7)
    assert prepare_image(image, settings).abs().max() < 1e-6


def test_percentiles_become_black_and_white():
    image = torch.arange(50, 150, dtype=torch.uint8).reshape(1, 10, 10).expand(3, 10, 10)
    whole = stretch_brightness(image, (0, 100))
    assert (int(whole.min()), int(whole.max())) == (0, 255)
    assert whole.flatten()[33] == 85
    part = stretch_brightness(image, (10, 60))
    assert (part[0] == 0).sum() == 11
    assert (part[0] == 255).sum() == 41


def test_channels_are_stretched_alike_and_a_constant_image_is_not():
    image = torch.tensor([0, 10, 20], dtype=torch.uint8)[:, None, None].expand(3, 2, 2)
    assert stretch_brightness(image, (0, 100))[:, 0, 0].tolist() == [0, 128, 255]
    assert (stretch_brightness(torch.full((3, 4, 4), 77, dtype=torch.uint8), (1, 99)) == 77).all()


def test_stretching_is_part_of_preparing_where_it_is_set():
    settings = InputSettings(stretch=(0, 100), mean=(0, 0, 0), std=(1, 1, 1))
    image = torch.arange(10, 14, dtype=torch.uint8).reshape(1, 2, 2).expand(3, 2, 2)
    prepared = prepare_image(image, settings, size=(2, 2))
    assert prepared[0].flatten().tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])


PAIR = [torch.ones(3, 20, 33), torch.ones(3, 32, 5)]


def test_a_batch_is_padded_with_0_to_a_multiple_of_32_in_channels_last():
    batch = make_batch(PAIR, [(2, 3), (9, 1)], size_divisible=32, paths=["a", "b"], image_ids=[7, 8])
    assert batch.images.shape == (2, 3, 32, 64)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.images.sum() == 3 * (20 * 33 + 32 * 5)
    assert (batch.images[0, :, :20, :33] == 1).all()
    assert (batch.sizes, batch.image_sizes) == ([(20, 33), (32, 5)], [(2, 3), (9, 1)])
    assert (batch.targets, batch.paths, batch.image_ids) == (None, ("a", "b"), (7, 8))
    assert make_batch(PAIR[:1], [(2, 3)], size_divisible=1).images.shape == (1, 3, 20, 33)


def test_classes_of_pixels_are_unknown_in_the_padding_and_where_none_are_annotated():
    semantic = [torch.full((20, 33), 3, dtype=torch.uint8), None]
    batch = make_batch(PAIR, [(20, 33), (32, 5)], size_divisible=32, semantic=semantic)
    assert (batch.semantic.shape, batch.semantic.dtype) == ((2, 32, 64), torch.uint8)
    assert (batch.semantic[0, :20, :33] == 3).all()
    assert (batch.semantic == 3).sum() == 20 * 33
    assert (batch.semantic == UNKNOWN).sum() == 2 * 32 * 64 - 20 * 33


def test_settings_that_make_an_image_too_large_are_named_before_memory_is_taken():
    settings = InputSettings(min_size=20_000, max_size=20_000)
    with pytest.raises(DataError, match="input.min_size=20000"):
        prepare_image(torch.zeros(3, 8, 8, dtype=torch.uint8), settings)
