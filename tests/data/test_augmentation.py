import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from maskrcnn.config import AugmentSettings, InputSettings
from maskrcnn.data.augmentation import augment, change_colors, draw_geometry
from maskrcnn.data.dataset import Record
from maskrcnn.data.loading import read_record
from maskrcnn.data.preprocessing import prepare_image
from maskrcnn.data.readers.coco import read_coco
from maskrcnn.structures.annotated_masks import ObjectMasks
from maskrcnn.structures.instances import Instances

SHARED = Path(os.environ.get("MASKRCNN_SHARED", Path(__file__).parents[2] / "../shared"))
STILL = {"horizontal_flip": 0, "scale": (1, 1), "brightness": 0, "contrast": 0, "saturation": 0}
AS_IT_IS = InputSettings(scale_factor=1, max_size=10_000, mean=(0, 0, 0), std=(1, 1, 1))


def real_records(name: str) -> list[Record]:
    file = SHARED / "data" / name
    if not file.exists():
        pytest.skip(f"needs shared/data/{name}")
    return read_coco(file, file.parent / "images").records


def seeds(count: int) -> Iterator[int]:
    """Each seed in turn, with torch's generator set to it."""
    for seed in range(count):
        torch.manual_seed(seed)
        yield seed


def square(left: int, size: tuple[int, int] = (40, 60)) -> tuple[torch.Tensor, Instances]:
    """A black image with one white square of 20 px, and its object."""
    image = torch.zeros(3, *size, dtype=torch.uint8)
    image[:, 10:30, left : left + 20] = 255
    x1, y1, x2, y2 = left, 10.0, left + 20.0, 30.0
    polygon = (np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], dtype=np.float64),)
    boxes = torch.tensor([[x1, y1, x2, y2]])
    masks = ObjectMasks.of([polygon], size)
    return image, Instances(size=size, boxes=boxes, labels=torch.tensor([0]), masks=masks)


@pytest.mark.parametrize("resize", ["float", "pillow", "opencv"])
def test_nothing_random_leaves_the_prepared_image(resize: str):
    pixels, instances = square(5)
    inputs = InputSettings(min_size=100, resize=resize, channel_order="bgr")
    image, target, *_ = augment(pixels, instances, AugmentSettings(**STILL), inputs)
    assert torch.equal(image, prepare_image(pixels, inputs))
    assert target.size == (100, 150)
    assert target.boxes.tolist() == [[12.5, 25, 62.5, 75]]


@pytest.mark.parametrize("resize", ["pillow", "opencv"])
@pytest.mark.parametrize("crop", [None, 30])
def test_bytes_are_resized_to_the_sizes_of_the_objects(resize: str, crop: int | None):
    settings = AugmentSettings(scale=(0.5, 2), crop=crop)
    inputs = InputSettings(min_size=77, resize=resize)
    for _ in seeds(10):
        image, target, *_ = augment(*square(5), settings, inputs)
        assert target.size == tuple(image.shape[1:])


@pytest.mark.parametrize("channels", [1, 5])
def test_images_of_other_channels_than_three_change_in_brightness_alone(channels: int):
    pixels, instances = square(5)
    pixels = (pixels[:1] // 2).repeat(channels, 1, 1)
    inputs = InputSettings(scale_factor=1.0, mean=(0,) * channels, std=(1,) * channels)
    settings = AugmentSettings(**STILL | {"brightness": 0.5, "contrast": 0.5, "saturation": 0.5, "hue": 0.2})
    torch.manual_seed(0)
    image, target, *_ = augment(pixels, instances, settings, inputs)
    assert image.shape == (channels, 40, 60)
    assert not torch.equal(image, prepare_image(pixels, inputs))
    assert torch.equal(image, image[:1].expand_as(image))
    assert len(target) == 1


@pytest.mark.parametrize("crop", [None, 30, 100])
def test_mask_box_and_pixels_stay_together(crop: int | None):
    settings = AugmentSettings(vertical_flip=0.5, rotate90=True, scale=(0.5, 2), crop=crop, brightness=0.0, contrast=0)
    seen = set()
    for _ in seeds(60):
        image, target, *_ = augment(*square(5), settings, AS_IT_IS)
        bright = image[0] > 0.5
        seen.add(tuple(bright.shape))
        assert target.size == tuple(bright.shape)
        if not len(target):
            assert bright.sum() <= 40
            continue
        mask = torch.from_numpy(target.masks.bitmap(0))
        assert (mask ^ bright).sum() <= 4 * 20 + 20  # at most the polygon's own pixels
        x1, y1, x2, y2 = target.boxes[0].round().int().tolist()
        assert mask[y1:y2, x1:x2].float().mean() > 0.85
        assert mask.sum() == mask[max(0, y1 - 1) : y2 + 1, max(0, x1 - 1) : x2 + 1].sum()
    assert len(seen) > 2 or crop == 30


@pytest.mark.parametrize("size", [(40, 60), (300, 20), (5, 5), (1, 1), (1, 400)])
def test_a_crop_is_never_larger_than_asked_and_full_where_the_image_is(size: tuple[int, int]):
    for _ in seeds(50):
        move = draw_geometry(size, AugmentSettings(crop=32, rotate90=True, scale=(0.5, 2)), AS_IT_IS)
        x, y, width, height = move.window
        assert 0 <= x <= x + width <= size[1]
        assert 0 <= y <= y + height <= size[0]
        assert 1 <= min(move.size) <= max(move.size) <= 32
        if min(size) >= 64:
            assert move.size == (32, 32)


@pytest.mark.parametrize(
    ("box", "first", "last"),
    [
        ([0, 0, 9, 5], (0, 0), (0, 0)),
        ([50, 30, 60, 40], (40, 20), (40, 20)),
        ([20.5, 11.5, 31.5, 19.2], (12, 0), (20, 11)),
    ],
)
def test_a_crop_on_an_object_holds_all_of_it_and_lies_anywhere_where_it_does(box, first, last):
    windows = []
    for _ in seeds(200):
        settings = AugmentSettings(**STILL, crop=20, crop_on_object=1)
        x, y, width, height = draw_geometry((40, 60), settings, AS_IT_IS, torch.tensor([box])).window
        assert (width, height) == (20, 20)
        assert x <= box[0] <= box[2] <= x + 20 <= 60
        assert y <= box[1] <= box[3] <= y + 20 <= 40
        windows.append((x, y))
    assert (tuple(np.min(windows, axis=0)), tuple(np.max(windows, axis=0))) == (first, last)


def test_a_crop_on_an_object_longer_than_it_lies_inside():
    settings = AugmentSettings(**STILL, crop=20, crop_on_object=1)
    for _ in seeds(50):
        x, y, _, _ = draw_geometry((40, 60), settings, AS_IT_IS, torch.tensor([[5.0, 8, 55, 12]])).window
        assert 5 <= x <= x + 20 <= 55
        assert y <= 8 <= 12 <= y + 20


@pytest.mark.parametrize("boxes", [None, torch.zeros(0, 4)])
def test_a_crop_without_an_object_to_hold_lies_anywhere(boxes: torch.Tensor | None):
    places = set()
    for _ in seeds(100):
        settings = AugmentSettings(**STILL, crop=20, crop_on_object=1)
        places.add(draw_geometry((40, 60), settings, AS_IT_IS, boxes).window[0])
    assert (min(places), max(places)) == (0, 40)


def test_a_crop_is_not_placed_on_a_crowd():
    image, instances = square(0)
    settings, found = AugmentSettings(**STILL, crop=20, crop_on_object=1), []
    for instances.crowd in (torch.tensor([False]), torch.tensor([True])):
        torch.manual_seed(0)
        found.append([augment(image, instances, settings, AS_IT_IS)[0].mean().item() for _ in range(20)])
    assert min(found[0]) == 1
    assert min(found[1]) == 0


def test_the_classes_of_pixels_stay_on_the_pixels():
    settings = AugmentSettings(vertical_flip=0.5, rotate90=True, scale=(0.5, 2), crop=30, brightness=0.0, contrast=0)
    shown = 0
    for _ in seeds(40):
        pixels, instances = square(5)
        image, _, semantic, _ = augment(pixels, instances, settings, AS_IT_IS, semantic=pixels[0] // 255 * 7)
        assert semantic.shape == image.shape[1:]
        assert set(semantic.unique().tolist()) <= {0, 7}
        bright = image[0] > 0.5
        assert ((semantic == 7) ^ bright).sum() <= 4 * 20  # at most the polygon's own pixels
        shown += int(bright.any())
    assert shown > 20


def test_a_quarter_turn_swaps_height_and_width():
    settings, turns = AugmentSettings(**STILL, rotate90=True), set()
    for _ in seeds(20):
        move = draw_geometry((40, 60), settings, AS_IT_IS)
        turns.add(move.turns)
        assert move.size == ((60, 40) if move.turns % 2 else (40, 60))
    assert turns == {0, 1, 2, 3}


def test_scales_are_half_below_and_half_above_their_middle():
    torch.manual_seed(0)
    settings = AugmentSettings(**(STILL | {"scale": (0.5, 2.0)}))
    sizes = [draw_geometry((1000, 1000), settings, AS_IT_IS).size[0] for _ in range(400)]
    assert 500 <= min(sizes) < 520 < 1900 < max(sizes) <= 2000
    assert 0.4 < np.mean(np.array(sizes) < 1000) < 0.6


def test_colors_change_and_shapes_do_not():
    image, _ = square(5)
    assert torch.equal(change_colors(image, AugmentSettings(**STILL, invert=1)), 255 - image)
    assert change_colors(image, AugmentSettings(**STILL)) is image
    torch.manual_seed(1)
    changed = change_colors(image // 2, AugmentSettings(brightness=0.5))
    assert (changed[:, 10:30, 5:25] != image[:, 10:30, 5:25] // 2).all()
    assert (changed[:, :, 30:] == changed[0, 0, 0]).all()


def test_masks_follow_the_resize_of_real_images():
    """Against a slow reference: the whole bitmap, moved and resized like the image."""
    settings = AugmentSettings(vertical_flip=0.5, rotate90=True, scale=(1.0, 1.3))
    inputs = InputSettings(min_size=400, max_size=600)
    overlaps = []
    for seed, record in enumerate(real_records("coco_small/instances_val.json")[:6]):
        objects = record.instances[~record.instances.crowd]
        torch.manual_seed(seed)
        move = draw_geometry(record.size, settings, inputs)
        moved = move.move_objects(record.instances)
        if len(moved) != len(objects):  # some were too small to be kept
            continue
        for i in range(len(objects)):
            full = move.move_pixels(torch.from_numpy(objects.masks.bitmap(i))[None].float())
            expected = functional.interpolate(full[None], size=move.size, mode="bilinear")[0, 0] >= 0.5
            found = torch.from_numpy(moved.masks.bitmap(i))
            if expected.sum() > 1500:
                overlaps.append(float((found & expected).sum() / (found | expected).sum()))
    assert len(overlaps) > 10
    assert min(overlaps) > 0.9
    assert np.mean(overlaps) > 0.96


def test_a_real_image_gives_the_same_sample_for_the_same_seed():
    record = real_records("dsb2018/val.json")[0]
    settings, inputs = AugmentSettings(crop=128, rotate90=True), InputSettings(min_size=256, stretch=(1, 99.8))
    samples = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        samples.append(augment(read_record(record), record.instances, settings, inputs))
    assert torch.equal(samples[0][0], samples[1][0])
    assert torch.equal(samples[0][1].masks.pixels, samples[1][1].masks.pixels)
    assert not torch.equal(samples[0][0], samples[2][0])
