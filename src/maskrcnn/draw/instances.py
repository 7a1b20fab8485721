"""Objects drawn over their image: a tint, a polygon and a label each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image
from scipy.ndimage import find_objects
from torch import Tensor
from torchvision.ops import box_area

from ..config import SCORE_THRESHOLD
from ..structures.classes import Classes, KeypointSchema
from ..structures.instances import Instances
from ..structures.masks import Crop, Masks
from ..structures.panoptic import Panoptic, Segment
from .images import BLACK, GRAY, WHITE, Color, Label, draw_labels, font_size, line_width, object_colors, scale_image

SEGMENT_TINT = 0.5
MUTED = 0.6  # share of gray in the colors of stuff
LEFT: Color = (90, 255, 120)
RIGHT: Color = (255, 130, 30)
THINNEST = 2
SHOWN_FROM = 0.05
"""Keypoints with a higher score are drawn: a share of the map as in detectron2's drawings, or a logit above about 0."""
FRACTION_BITS = 4
TINT = 0.35
MOST_SCORES = 10


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
    tints = np.array([0, *[SEGMENT_TINT] * len(colors)], dtype=np.float32)[ids][..., None]
    canvas = image.cpu().permute(1, 2, 0).numpy()
    canvas = (canvas * (1 - tints) + table[ids] * tints).round().astype(np.uint8)
    edges = _edges(ids, line_width(ids.shape)) & (ids > 0)
    canvas[edges] = table[ids[edges]]
    drawn = scale_image(Image.fromarray(canvas), scale)
    draw_labels(drawn, _segment_labels(ids, panoptic.segments, classes, colors, scale), font_size(drawn.size))
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


def _segment_labels(
    ids: np.ndarray, segments: list[Segment], classes: Classes, colors: list[Color], scale: float
) -> list[Label]:
    windows = find_objects(ids)
    order = sorted(range(len(segments)), key=lambda i: segments[i].area, reverse=True)
    return [
        Label(
            _segment_text(segments[i], classes),
            _heart(ids, segments[i].id, windows[segments[i].id - 1], scale),
            colors[i],
        )
        for i in order
    ]


def _segment_text(segment: Segment, classes: Classes) -> str:
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


def draw_skeletons(canvas: np.ndarray, keypoints: Tensor, keypoint_schema: KeypointSchema, line: int) -> None:
    """Draw the keypoints of all objects.

    Args:
        canvas: [H, W, 3] uint8 RGB, drawn into.
        keypoints: [N, Kp, 3] x, y in the canvas' continuous pixels, and visibility or score; those that were not
            annotated, or have a low score, are left out with the lines that end at them.
        keypoint_schema: What is joined, and what is left and right.
        line: Width of lines in pixels, at least 2.
    """
    line = max(line, THINNEST)
    colors = side_colors(keypoint_schema)
    for points in keypoints.double().cpu().numpy():
        shown = points[:, 2] > SHOWN_FROM
        places = np.round((points[:, :2] - 0.5) * 2**FRACTION_BITS).clip(-1e6, 1e6).astype(int)
        edges = [edge for edge in keypoint_schema.edges if shown[list(edge)].all()]
        # All dark borders first, so that none of them lies over a line.
        for width, border in ((line + 2, True), (line, False)):
            for first, second in edges:
                color = BLACK if border else _edge_color(colors[first], colors[second])
                cv2.line(canvas, places[first], places[second], color, width, cv2.LINE_AA, FRACTION_BITS)
        for place in np.flatnonzero(shown):
            for radius, color in ((line + 2, BLACK), (line + 1, colors[place])):
                cv2.circle(canvas, places[place], radius << FRACTION_BITS, color, -1, cv2.LINE_AA, FRACTION_BITS)


def side_colors(keypoint_schema: KeypointSchema) -> list[Color]:
    """Color of each keypoint: `LEFT` and `RIGHT` of the object itself, white in its middle."""
    left, right = ({pair[side] for pair in keypoint_schema.flip_pairs} for side in (0, 1))
    return [LEFT if place in left else RIGHT if place in right else WHITE for place in range(len(keypoint_schema))]


def _edge_color(first: Color, second: Color) -> Color:
    """That of a side; a line to the middle has its side's, one from side to side is white."""
    sides = {first, second} - {WHITE}
    return sides.pop() if len(sides) == 1 else WHITE


class Mark(NamedTuple):
    """How an object is drawn.

    Args:
        color: Of its polygon, its tint and its label.
        text: What is written beside it; "" for nothing.
        importance: Labels of more important objects are written first.
        tinted: Its mask is tinted, too.
        needed: Its label is written even if it is much larger than the object.
    """

    color: Color
    text: str
    importance: float = 0.0
    tinted: bool = True
    needed: bool = False


def draw_instances(
    image: Tensor,
    instances: Instances,
    classes: Classes | None = None,
    *,
    score_threshold: float = SCORE_THRESHOLD,
    scale: float = 1.0,
) -> Tensor:
    """Draw objects, annotated or predicted, over a copy of their image; where they come with segments, these.

    Each gets its own color, crowds are gray. Without masks boxes are drawn; keypoints are drawn as skeletons. Lines
    and letters grow with the image. Labels show class and score, as far as there is room; where there is only one
    class the score, and for more than ten objects nothing.

    Args:
        image: [3, H, W] uint8 RGB.
        instances: Objects in the image's own pixels. Masks are handled one at a time, inside their windows.
        classes: Names of the labels; None: the instances' own.
        score_threshold: Predictions below it are not drawn.
        scale: Size of the drawing over that of the image; labels are written after scaling, in their own size.

    Returns:
        [3, H * scale, W * scale] uint8 RGB on the CPU.

    Raises:
        ValueError: The classes are not known.
    """
    classes = instances.known_classes(classes)
    if instances.panoptic is not None:
        return draw_panoptic(image, instances.panoptic, classes, scale=scale)
    instances = instances.filter(score=score_threshold)
    # The most certain objects are labeled first, or of annotations the largest.
    ranks = box_area(instances.boxes) if instances.scores is None else instances.scores
    columns = zip(_colors(instances), _texts(instances, classes), ranks.tolist(), strict=True)
    marks = [Mark(color, text, rank) for color, text, rank in columns]
    return paint_instances(image, instances, marks, keypoint_schema=classes.keypoint_schema, scale=scale)


def paint_instances(
    image: Tensor,
    instances: Instances,
    marks: Sequence[Mark],
    *,
    keypoint_schema: KeypointSchema | None = None,
    scale: float = 1.0,
    line: int | None = None,
) -> Tensor:
    """Draw objects over a copy of their image, each as its mark says.

    Args:
        image: [3, H, W] uint8 RGB.
        instances: N objects in the image's own pixels; without masks their boxes are drawn.
        marks: N, one for each.
        keypoint_schema: How keypoints are joined; None: they are not drawn.
        scale: As for `draw_instances`.
        line: Width of polygons in the image's own pixels; None: what suits it.

    Returns:
        [3, H * scale, W * scale] uint8 RGB on the CPU.
    """
    canvas = np.empty((*image.shape[-2:], 3), dtype=np.uint8)
    canvas[:] = image.cpu().permute(1, 2, 0).numpy()
    line = line or line_width(image.shape[-2:])
    if instances.masks is None:
        _draw_boxes(canvas, instances, marks, line)
    else:
        largest_first = box_area(instances.boxes).argsort(descending=True).tolist()
        _draw_masks(canvas, instances.masks, largest_first, marks, line)
    drawn = scale_image(Image.fromarray(canvas), scale)
    if instances.keypoints is not None and keypoint_schema is not None:
        drawn = _draw_keypoints(drawn, instances.keypoints, keypoint_schema, scale)
    draw_labels(drawn, _labels(instances.boxes * scale, marks), font_size(drawn.size))
    return torch.from_numpy(np.array(drawn)).permute(2, 0, 1).contiguous()


def _draw_keypoints(
    drawn: Image.Image, keypoints: Tensor, keypoint_schema: KeypointSchema, scale: float
) -> Image.Image:
    canvas = np.array(drawn)
    scaled = keypoints * keypoints.new_tensor([scale, scale, 1])
    draw_skeletons(canvas, scaled, keypoint_schema, line_width(canvas.shape[:2]))
    return Image.fromarray(canvas)


def _colors(instances: Instances) -> list[Color]:
    colors = object_colors(len(instances))
    if instances.crowd is None:
        return colors
    return [GRAY if crowd else color for color, crowd in zip(colors, instances.crowd.tolist(), strict=True)]


def _draw_boxes(canvas: np.ndarray, instances: Instances, marks: Sequence[Mark], line: int) -> None:
    for box, mark in zip(instances.boxes.round().int().tolist(), marks, strict=True):
        cv2.rectangle(canvas, (box[0], box[1]), (box[2] - 1, box[3] - 1), mark.color, line)


def _draw_masks(canvas: np.ndarray, masks: Masks, order: list[int], marks: Sequence[Mark], line: int) -> None:
    """All tints first, then all polygons, both in the given order of the objects."""
    for draw in (_tint, _polygon):
        for i in order:
            crop = masks.crop(i)
            if crop.bitmap.any() and (marks[i].tinted or draw is _polygon):
                draw(canvas, crop, marks[i].color, line)


def _tint(canvas: np.ndarray, crop: Crop, color: Color, _: int) -> None:
    height, width = crop.bitmap.shape
    window = canvas[crop.y : crop.y + height, crop.x : crop.x + width]
    tinted = ((1 - TINT) * np.arange(256)[:, None] + TINT * np.array(color)).astype(np.uint8)
    window[crop.bitmap] = cv2.LUT(window[crop.bitmap][None], tinted[None])[0]


def _polygon(canvas: np.ndarray, crop: Crop, color: Color, line: int) -> None:
    bitmap = crop.bitmap.astype(np.uint8)
    contours, _ = cv2.findContours(bitmap, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=(crop.x, crop.y))
    cv2.drawContours(canvas, contours, -1, color, line, cv2.LINE_AA if line > 1 else cv2.LINE_8)


def _labels(boxes: Tensor, marks: Sequence[Mark]) -> list[Label]:
    """Those that have a text, the most important first."""
    named = [(mark, box) for mark, box in zip(marks, boxes.tolist(), strict=True) if mark.text]
    named.sort(key=lambda pair: -pair[0].importance)
    return [Label(mark.text, (x1, y1, x2, y2), mark.color, mark.needed) for mark, (x1, y1, x2, y2) in named]


def _texts(instances: Instances, classes: Classes) -> list[str]:
    """Class and score; of many objects of one class nothing."""
    if len(classes) == 1 and len(instances) > MOST_SCORES:
        return [""] * len(instances)
    return [_text(instances, classes, i) for i in range(len(instances))]


def _text(instances: Instances, classes: Classes, i: int) -> str:
    name = "" if len(classes) == 1 else classes.names[int(instances.labels[i])]
    return name if instances.scores is None else f"{name} {instances.scores[i]:.2f}".strip()
