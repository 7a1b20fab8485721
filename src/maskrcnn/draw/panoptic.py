"""Segments drawn over their image: a tint, a polygon and a name each."""

import cv2
import numpy as np
import torch
from PIL import Image
from scipy.ndimage import find_objects
from torch import Tensor

from ..structures.classes import Classes
from ..structures.panoptic import Panoptic, Segment
from .images import BLACK, GRAY, Color, Label, draw_labels, font_size, line_width, object_colors, scale_image

TINT = 0.5
MUTED = 0.6  # share of gray in the colors of stuff


def draw_panoptic(image: Tensor, panoptic: Panoptic, classes: Classes, *, scale: float = 1.0) -> Tensor:
    """Draw segments over a copy of their image.

    Things have bright colors, one each; stuff has muted ones, the same for a class in every image. What belongs to
    no segment stays as it is. Names stand where a segment is widest, the largest segments first, as far as there is
    room.

    Args:
        image: [3, H, W] uint8 RGB.
        panoptic: Segments of the same image.
        classes: Names of things and stuff.
        scale: Size of the drawing over that of the image; names are written after scaling, in their own size.

    Returns:
        [3, H * scale, W * scale] uint8 RGB on the CPU.
    """
    ids = panoptic.map.cpu().numpy()
    colors = segment_colors(panoptic.segments, len(classes.stuff))
    table = np.array([BLACK, *colors], dtype=np.uint8)
    tints = np.array([0, *[TINT] * len(colors)], dtype=np.float32)[ids][..., None]
    canvas = image.cpu().permute(1, 2, 0).numpy()
    canvas = (canvas * (1 - tints) + table[ids] * tints).round().astype(np.uint8)
    edges = _edges(ids, line_width(ids.shape)) & (ids > 0)
    canvas[edges] = table[ids[edges]]
    drawn = scale_image(Image.fromarray(canvas), scale)
    draw_labels(drawn, _labels(ids, panoptic.segments, classes, colors, scale), font_size(drawn.size))
    return torch.from_numpy(np.array(drawn)).permute(2, 0, 1).contiguous()


def segment_colors(segments: list[Segment], stuff: int) -> list[Color]:
    """A color for each segment.

    Args:
        segments: Of one image.
        stuff: Number of stuff classes.
    """
    things = iter(object_colors(len(segments)))
    of_stuff = [_muted(color) for color in object_colors(stuff)]
    return [next(things) if segment.is_thing else of_stuff[segment.label] for segment in segments]


def _muted(color: Color) -> Color:
    red, green, blue = (round(MUTED * gray + (1 - MUTED) * part) for gray, part in zip(GRAY, color, strict=True))
    return red, green, blue


def _edges(ids: np.ndarray, line: int) -> np.ndarray:
    """[h, w] bool: pixels at most `line` pixels away from another segment."""
    changes = np.zeros(ids.shape, dtype=np.uint8)
    right, below = ids[:, 1:] != ids[:, :-1], ids[1:] != ids[:-1]
    for part, found in ((np.s_[:, 1:], right), (np.s_[:, :-1], right), (np.s_[1:], below), (np.s_[:-1], below)):
        changes[part] |= found
    return cv2.dilate(changes, np.ones((2 * line - 1,) * 2, dtype=np.uint8)).astype(bool)


def _labels(
    ids: np.ndarray, segments: list[Segment], classes: Classes, colors: list[Color], scale: float
) -> list[Label]:
    windows = find_objects(ids)
    order = sorted(range(len(segments)), key=lambda i: segments[i].area, reverse=True)
    return [
        Label(_text(segments[i], classes), _heart(ids, segments[i].id, windows[segments[i].id - 1], scale), colors[i])
        for i in order
    ]


def _text(segment: Segment, classes: Classes) -> str:
    if not segment.is_thing:
        return classes.stuff[segment.label]
    name = classes.names[segment.label]
    return name if segment.score is None else f"{name} {segment.score:.2f}"


def _heart(
    ids: np.ndarray, number: int, window: tuple[slice, slice], scale: float
) -> tuple[float, float, float, float]:
    """x1, y1, x2, y2 below the middle of the largest circle inside a segment, as wide as the circle."""
    inside = np.pad((ids[window] == number).astype(np.uint8), 1)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    x, y, radius = window[1].start + column - 1, window[0].start + row - 1, float(depth.max())
    return scale * (x - radius), scale * y, scale * (x + radius), scale * (y + radius)
