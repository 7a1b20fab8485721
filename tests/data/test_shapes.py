import colorsys
import json

import numpy as np
import pytest
import torch
from numpy.random import default_rng
from PIL import Image
from pycocotools.coco import COCO

from maskrcnn.data.readers.coco import read_coco
from maskrcnn.data.shapes import (
    HUE_SPREAD,
    LEAST_VISIBLE,
    RADIUS,
    SHAPES,
    draw_scene,
    polygon,
    write_shape_segments,
    write_shapes,
)
from maskrcnn.structures.panoptic import THING


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    write_shapes(folder, train=6, val=2, size=96, seed=0)
    return folder


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_follow_from_the_seed_and_an_image_not_from_how_many_there_are(folder, tmp_path):
    first = files(folder)
    write_shapes(tmp_path / "same", train=6, val=2, size=96, seed=0)
    assert files(tmp_path / "same") == first
    write_shapes(tmp_path / "fewer", train=2, val=0, size=96, seed=0)
    assert files(tmp_path / "fewer")["images/train_0002.png"] == first["images/train_0002.png"]
    write_shapes(tmp_path / "other", train=1, val=1, size=96, seed=1)
    assert files(tmp_path / "other")["images/train_0001.png"] != first["images/train_0001.png"]
    assert first["images/train_0001.png"] != first["images/val_0001.png"]


def test_no_images_are_a_data_set_too(tmp_path):
    write_shapes(tmp_path, train=0, val=0, size=96, seed=0)
    assert json.loads((tmp_path / "train.json").read_text())["images"] == []


def test_files_agree_with_coco(folder):
    coco = COCO(folder / "train.json")
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == list(SHAPES)
    assert len(coco.imgs) == 6
    for annotation in coco.anns.values():
        mask = coco.annToMask(annotation)
        rows, columns = np.nonzero(mask)
        box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert annotation["area"] == mask.sum()
        assert annotation["bbox"] == box
    for image in coco.imgs.values():
        assert Image.open(folder / "images" / image["file_name"]).size == (image["width"], image["height"])


def test_shapes_hide_parts_of_each_other_but_never_too_much():
    scenes = [draw_scene(default_rng(seed), 128) for seed in range(20)]
    circles = [mask for scene in scenes for label, mask in zip(scene.labels, scene.masks) if label == 0]
    boxes = [np.ptp(np.nonzero(mask), axis=1) + 1 for mask in circles]
    # A whole circle fills pi / 4 of its box; one with another shape before it fills less.
    filled = np.array([mask.sum() / np.prod(box) for mask, box in zip(circles, boxes)])
    assert (filled > 0.75).any()
    assert (filled < 0.7).any()
    assert min(mask.sum() for scene in scenes for mask in scene.masks) > LEAST_VISIBLE * RADIUS[0] ** 2 * 128**2


def test_each_class_has_its_range_of_colors():
    for scene in (draw_scene(default_rng(seed), 96) for seed in range(10)):
        for label, mask in zip(scene.labels, scene.masks):
            red, green, blue = np.median(scene.image[mask], axis=0) / 255
            away = (colorsys.rgb_to_hsv(red, green, blue)[0] - label / len(SHAPES) + 0.5) % 1 - 0.5
            assert abs(away) < HUE_SPREAD + 0.02


def test_every_class_is_drawn_and_no_pixel_belongs_to_two_objects():
    scenes = [draw_scene(default_rng(seed), 64) for seed in range(20)]
    assert {label for scene in scenes for label in scene.labels} == set(range(5))
    assert max(np.sum(scene.masks, axis=0).max() for scene in scenes) == 1


@pytest.mark.parametrize(("shape", "area"), [("square", 2.0), ("triangle", 3 * 3**0.5 / 4), ("cross", 2.0)])
def test_polygons_have_the_area_of_their_shape(shape, area):
    x, y = polygon(shape).T
    shoelace = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    assert shoelace == pytest.approx(area)
    assert np.hypot(x, y).max() == pytest.approx(1)


def test_a_tiny_image_can_be_drawn():
    scene = draw_scene(default_rng(0), 8)
    assert scene.image.shape == (8, 8, 3)
    assert all(mask.any() for mask in scene.masks)


def test_segments_cover_the_same_images_with_the_ground_as_stuff(tmp_path):
    arguments = {"train": 2, "val": 1, "size": 48, "seed": 3}
    write_shapes(tmp_path, **arguments)
    write_shape_segments(tmp_path, **arguments)
    for name in ("train", "val"):
        objects = read_coco(tmp_path / f"{name}.json", tmp_path / "images")
        segments = read_coco(tmp_path / f"panoptic_{name}.json", tmp_path / "images")
        assert segments.classes.names == objects.classes.names
        assert segments.classes.stuff == ("ground",)
        for one, other in zip(objects.records, segments.records, strict=True):
            assert one.path == other.path
            assert torch.equal(one.instances.labels, other.instances.labels)
            assert torch.equal(one.instances.boxes, other.instances.boxes)
            bitmaps = [one.instances.masks.bitmap(i) for i in range(len(one.instances))]
            for i, bitmap in enumerate(bitmaps):
                assert (other.instances.masks.bitmap(i) == bitmap).all()
            assert ((other.segments.semantic() == THING).numpy() == np.any(bitmaps, axis=0)).all()
            assert set(other.segments.semantic().unique().tolist()) == {0, THING}
