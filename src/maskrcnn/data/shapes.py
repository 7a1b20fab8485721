"""Images of overlapping shapes, drawn at random and written to disk as a COCO dataset.

A small real task for the demo and for tests: each class has its shape and a range of colors, later shapes hide parts
of earlier ones, and as in COCO an object's mask has only the pixels that can be seen.
"""

import colorsys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.random import Generator, default_rng
from PIL import Image
from torch import Tensor

from ..ops.files import write_json
from ..structures.masks import Crop, encode_crop
from ..structures.panoptic import encode_ids
from .dataset import Dataset

SHAPES = ("circle", "square", "triangle", "star", "cross")
GROUND = "ground"
SUBPIXEL = 4  # bits of a polygon's coordinates behind the point
LEAST_VISIBLE = 0.6  # of an object's pixels; a shape that would hide more of another is left out
RADIUS = (0.14, 0.27)  # of a shape, as parts of the image's side
TILT = 0.35  # radians a shape leans at most
HUE_SPREAD = 0.07  # around the hue of the class, as a part of the color circle


@dataclass
class Scene:
    """A drawn image and what is in it.

    Args:
        image: [size, size, 3] uint8 RGB.
        labels: Position in `SHAPES` of each object, the hindmost first.
        masks: [size, size] bool visible pixels of each object.
    """

    image: np.ndarray
    labels: list[int]
    masks: list[np.ndarray]


def write_shapes(folder: Path | str, *, train: int, val: int, size: int = 128, seed: int = 0) -> None:
    """Write a COCO dataset of drawn images: `train.json`, `val.json` and `images/*.png`.

    The same arguments give the same files.

    Args:
        folder: Made if it is not there.
        train, val: Number of images of each split.
        size: Side of the square images in pixels.
        seed: Of everything that is random. Image number n does not depend on how many there are.
    """
    folder = Path(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for part, (name, count) in enumerate((("train", train), ("val", val))):
        scenes = (draw_scene(default_rng([seed, part, number]), size) for number in range(count))
        content = _write_images(folder / "images", name, scenes)
        write_json(folder / f"{name}.json", content)


def shapes_in_memory(images: int, *, size: int = 128, seed: int = 0) -> Dataset:
    """A dataset of drawn images, without a file; with the same arguments always the same.

    Args:
        images: How many.
        size: Side of the square images in pixels.
        seed: Of everything that is random.
    """
    scenes = [draw_scene(default_rng([seed, number]), size) for number in range(images)]
    samples = [
        (one.image, [_annotation(label, mask) for label, mask in zip(one.labels, one.masks, strict=True)])
        for one in scenes
    ]
    return Dataset.from_samples(samples, SHAPES, source="shapes")


def write_shape_segments(folder: Path, *, train: int, val: int, size: int, seed: int) -> None:
    """Write `panoptic_train.json` and `panoptic_val.json`, in COCO's panoptic format, with their folders of PNG files.

    They are of the images that `write_shapes` writes for the same arguments; what no shape covers is the stuff
    "ground".
    """
    categories = [{"id": label + 1, "name": shape, "isthing": 1} for label, shape in enumerate(SHAPES)]
    categories.append({"id": len(SHAPES) + 1, "name": GROUND, "isthing": 0})
    for part, (name, count) in enumerate((("train", train), ("val", val))):
        (folder / f"panoptic_{name}").mkdir(parents=True, exist_ok=True)
        images, annotations = [], []
        for number in range(count):
            file_name = f"{name}_{number + 1:04d}.png"
            ids, segments = _segments(draw_scene(default_rng([seed, part, number]), size))
            Image.fromarray(encode_ids(ids)).save(folder / f"panoptic_{name}" / file_name)
            images.append({"id": number + 1, "file_name": file_name, "width": size, "height": size})
            annotations.append({"image_id": number + 1, "file_name": file_name, "segments_info": segments})
        content = {"images": images, "annotations": annotations, "categories": categories}
        write_json(folder / f"panoptic_{name}.json", content)


def draw_scene(random: Generator, size: int) -> Scene:
    """Draw up to seven shapes on a textured ground, one over the other."""
    canvas = _ground(random, size)
    labels: list[int] = []
    masks: list[np.ndarray] = []
    areas: list[int] = []  # before anything is hidden
    for _ in range(random.integers(3, 11)):
        label = int(random.integers(len(SHAPES)))
        coverage = _coverage(random, SHAPES[label], size)
        mask = coverage > 0.5
        below = [other & ~mask for other in masks]
        hides_too_much = any(seen.sum() < LEAST_VISIBLE * area for seen, area in zip(below, areas, strict=True))
        if len(labels) < 7 and mask.any() and not hides_too_much:
            _paint(random, canvas, coverage, hue=label / len(SHAPES))
            labels, masks, areas = [*labels, label], [*below, mask], [*areas, int(mask.sum())]
    return Scene(_finish(random, canvas), labels, masks)


def _write_images(folder: Path, name: str, scenes: Iterable[Scene]) -> dict[str, list]:
    """Save each scene's image; return the contents of the COCO annotation file."""
    images: list[dict] = []
    annotations: list[dict] = []
    for image_id, scene in enumerate(scenes, 1):
        height, width = scene.image.shape[:2]
        images.append({"id": image_id, "file_name": f"{name}_{image_id:04d}.png", "width": width, "height": height})
        Image.fromarray(scene.image).save(folder / images[-1]["file_name"], compress_level=3)
        for label, mask in zip(scene.labels, scene.masks, strict=True):
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **_annotation(label, mask)})
    categories = [{"id": label + 1, "name": shape} for label, shape in enumerate(SHAPES)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _annotation(label: int, mask: np.ndarray) -> dict:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    crop = Crop(x, y, mask[y : y + height, x : x + width])
    return {
        "category_id": label + 1,
        "bbox": [x, y, width, height],
        "area": int(mask.sum()),
        "iscrowd": 0,
        "segmentation": encode_crop(crop, mask.shape),
    }


def _segments(scene: Scene) -> tuple[Tensor, list[dict]]:
    """[size, size] int32 ids of a scene's segments, the ground last, and what they are."""
    ground = len(scene.masks) + 1
    ids = np.full(scene.image.shape[:2], ground, dtype=np.int32)
    for number, mask in enumerate(scene.masks, 1):
        ids[mask] = number
    segments = []
    for number, label in enumerate([*scene.labels, len(SHAPES)], 1):
        mask = (ids == number).astype(np.uint8)
        box = [int(side) for side in cv2.boundingRect(mask)]
        segments.append({"id": number, "category_id": label + 1, "bbox": box, "area": int(mask.sum()), "iscrowd": 0})
    return torch.from_numpy(ids), segments


def _coverage(random: Generator, shape: str, size: int) -> np.ndarray:
    """[size, size] float32 share of each pixel that a shape of random size, place and turn covers."""
    radius = size * np.exp(random.uniform(*np.log(RADIUS)))
    center = random.uniform(0.6 * radius, size - 0.6 * radius, 2)
    turn = random.uniform(-TILT, TILT)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    corners = (polygon(shape) @ rotation * radius + center) * 2**SUBPIXEL
    coverage = np.zeros((size, size), np.uint8)
    cv2.fillPoly(coverage, [np.round(corners).astype(np.int32)], 255, cv2.LINE_AA, SUBPIXEL)
    return coverage.astype(np.float32) / 255


def polygon(shape: str) -> np.ndarray:
    """[N, 2] corners of a shape around the origin, at most 1 away from it."""
    if shape == "cross":
        arm, quarter_turn = np.array([[3, -1], [3, 1], [1, 1]]) / np.sqrt(10), np.array([[0, 1], [-1, 0]])
        return np.concatenate([arm @ np.linalg.matrix_power(quarter_turn, turns) for turns in range(4)])
    count = {"circle": 72, "square": 4, "triangle": 3, "star": 10}[shape]
    angles = np.arange(count) * 2 * np.pi / count
    radii = np.where(np.arange(count) % 2, 0.5, 1.0) if shape == "star" else np.ones(count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]


def _paint(random: Generator, canvas: np.ndarray, coverage: np.ndarray, *, hue: float) -> None:
    """Lay a colored shape with a soft shadow over the canvas, in place."""
    size = len(canvas)
    x, y, width, height = cv2.boundingRect((coverage > 0).astype(np.uint8))
    reach = int(0.06 * size)  # of the shadow
    window = np.s_[max(0, y - reach) : y + height + reach, max(0, x - reach) : x + width + reach]
    coverage, below = coverage[window][:, :, None], canvas[window]
    fall = np.array([[1, 0, 0.012 * size], [0, 1, 0.018 * size]])
    shadow = cv2.GaussianBlur(cv2.warpAffine(coverage, fall, below.shape[1::-1]), (0, 0), 0.015 * size)
    below *= 1 - 0.4 * shadow[:, :, None]
    below += coverage * (_surface(random, below.shape[:2], hue) - below)


def _surface(random: Generator, size: tuple[int, int], hue: float) -> np.ndarray:
    """[height, width, 3] surface of a shape: a color that fades into another, has stripes, or is nearly even."""
    hues = hue + random.uniform(-HUE_SPREAD, HUE_SPREAD, 2)
    first = np.array(colorsys.hsv_to_rgb(hues[0] % 1, random.uniform(0.6, 1), random.uniform(0.5, 1)))
    second = np.array(colorsys.hsv_to_rgb(hues[1] % 1, random.uniform(0.4, 1), random.uniform(0.4, 1)))
    share, kind = _ramp(random, size), random.random()
    if kind < 0.3:
        share = 0.2 * share
    elif kind < 0.5:
        share = 0.5 + 0.5 * np.tanh(4 * np.sin(share * random.uniform(15, 50)))
        second = first * random.uniform(0.5, 0.8)
    return first + share[:, :, None] * (second - first)


def _ground(random: Generator, size: int) -> np.ndarray:
    """[size, size, 3] float32 muted ground in 0..1 with soft clouds."""
    colors = [colorsys.hsv_to_rgb(random.random(), random.uniform(0, 0.35), random.uniform(0.15, 0.95)) for _ in "ab"]
    first, second = np.array(colors)
    cells = int(random.integers(4, 12))
    clouds = random.normal(0, 0.07, (cells, cells, 1)) + random.normal(0, 0.03, (cells, cells, 3))
    ground = first + _ramp(random, (size, size))[:, :, None] * (second - first)
    return (ground + cv2.resize(clouds, (size, size), interpolation=cv2.INTER_CUBIC)).astype(np.float32)


def _ramp(random: Generator, size: tuple[int, int]) -> np.ndarray:
    """[height, width] values rising from 0 to 1 in a random direction."""
    turn = random.uniform(0, 2 * np.pi)
    rows, columns = np.ogrid[0 : size[0], 0 : size[1]]
    values = rows * np.sin(turn) + columns * np.cos(turn)
    return (values - values.min()) / np.ptp(values)


def _finish(random: Generator, canvas: np.ndarray) -> np.ndarray:
    """The canvas as uint8, as bright as the light of the day and with the camera's grain."""
    grain = random.normal(0, random.uniform(0.005, 0.02), canvas.shape)
    return (np.clip(canvas * random.uniform(0.7, 1.1) + grain, 0, 1) * 255).astype(np.uint8)
