"""Segments drawn over their picture: a tint, an outline and a name each."""

import cv2
import numpy as np
import torch
from PIL import Image
from scipy.ndimage import find_objects
from torch import Tensor

from ..structures.classes import Classes
from ..structures.panoptic import Panoptic, Segment
from .colors import BLACK, GREY, Colour, object_colours
from .labels import Label, draw_labels
from .images import font_size, line_width, scale_picture

TINT = 0.5
MUTED = 0.6  # share of grey in the colours of stuff


def draw_panoptic(picture: Tensor, panoptic: Panoptic, classes: Classes, *, scale: float = 1.0) -> Tensor:
    """Draw segments over a copy of their picture.

    Things have bright colours, one each; stuff has muted ones, the same for a class in every picture. What belongs to
    no segment stays as it is. Names stand where a segment is widest, the largest segments first, as far as there is
    room.

    Args:
        picture: [3, H, W] uint8 RGB.
        panoptic: Segments of the same picture.
        classes: Names of things and stuff.
        scale: Size of the drawing over that of the picture; names are written after scaling, in their own size.

    Returns:
        [3, H * scale, W * scale] uint8 RGB on the CPU.
    """
    ids = panoptic.map.cpu().numpy()
    colours = segment_colours(panoptic.segments, len(classes.stuff))
    table = np.array([BLACK, *colours], dtype=np.uint8)
    tints = np.array([0, *[TINT] * len(colours)], dtype=np.float32)[ids][..., None]
    canvas = picture.cpu().permute(1, 2, 0).numpy()
    canvas = (canvas * (1 - tints) + table[ids] * tints).round().astype(np.uint8)
    edges = _edges(ids, line_width(ids.shape)) & (ids > 0)
    canvas[edges] = table[ids[edges]]
    drawn = scale_picture(Image.fromarray(canvas), scale)
    draw_labels(drawn, _labels(ids, panoptic.segments, classes, colours, scale), font_size(drawn.size))
    return torch.from_numpy(np.array(drawn)).permute(2, 0, 1).contiguous()


def segment_colours(segments: list[Segment], stuff: int) -> list[Colour]:
    """A colour for each segment.

    Args:
        segments: Of one picture.
        stuff: Number of stuff classes.
    """
    things = iter(object_colours(len(segments)))
    of_stuff = [_muted(colour) for colour in object_colours(stuff)]
    return [next(things) if segment.is_thing else of_stuff[segment.label] for segment in segments]


def _muted(colour: Colour) -> Colour:
    red, green, blue = (round(MUTED * grey + (1 - MUTED) * part) for grey, part in zip(GREY, colour, strict=True))
    return red, green, blue


def _edges(ids: np.ndarray, line: int) -> np.ndarray:
    """[h, w] bool: pixels at most `line` pixels away from another segment."""
    changes = np.zeros(ids.shape, dtype=np.uint8)
    right, below = ids[:, 1:] != ids[:, :-1], ids[1:] != ids[:-1]
    for part, found in ((np.s_[:, 1:], right), (np.s_[:, :-1], right), (np.s_[1:], below), (np.s_[:-1], below)):
        changes[part] |= found
    return cv2.dilate(changes, np.ones((2 * line - 1,) * 2, dtype=np.uint8)).astype(bool)


def _labels(
    ids: np.ndarray, segments: list[Segment], classes: Classes, colours: list[Colour], scale: float
) -> list[Label]:
    windows = find_objects(ids)
    order = sorted(range(len(segments)), key=lambda i: segments[i].area, reverse=True)
    return [
        Label(_text(segments[i], classes), _heart(ids, segments[i].id, windows[segments[i].id - 1], scale), colours[i])
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
