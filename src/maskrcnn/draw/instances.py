"""Objects drawn over their picture: a tint, an outline and a label each."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.ops import box_area

from ..config import SCORE_THRESHOLD
from ..structures.classes import Classes
from ..structures.instances import Instances
from ..structures.masks import Crop, Masks
from ..structures.keypoint_schema import Skeleton
from .colors import GREY, Colour, object_colours
from .labels import Label, draw_labels
from .panoptic import draw_panoptic
from .images import font_size, line_width, scale_picture
from .keypoints import draw_skeletons

TINT = 0.35
MOST_SCORES = 10


class Mark(NamedTuple):
    """How an object is drawn.

    Args:
        colour: Of its outline, its tint and its label.
        text: What is written beside it; "" for nothing.
        importance: Labels of more important objects are written first.
        tinted: Its mask is tinted, too.
        needed: Its label is written even if it is much larger than the object.
    """

    colour: Colour
    text: str
    importance: float = 0.0
    tinted: bool = True
    needed: bool = False


def draw_instances(
    picture: Tensor,
    instances: Instances,
    classes: Classes | None = None,
    *,
    score_threshold: float = SCORE_THRESHOLD,
    scale: float = 1.0,
) -> Tensor:
    """Draw objects, annotated or predicted, over a copy of their picture; where they come with segments, these.

    Each gets its own colour, crowds are grey. Without masks boxes are drawn; keypoints are drawn as skeletons. Lines
    and letters grow with the picture. Labels show class and score, as far as there is room; where there is only one
    class the score, and for more than ten objects nothing.

    Args:
        picture: [3, H, W] uint8 RGB.
        instances: Objects in the picture's own pixels. Masks are handled one at a time, inside their windows.
        classes: Names of the labels; None: the instances' own.
        score_threshold: Predictions below it are not drawn.
        scale: Size of the drawing over that of the picture; labels are written after scaling, in their own size.

    Returns:
        [3, H * scale, W * scale] uint8 RGB on the CPU.

    Raises:
        ValueError: The classes are not known.
    """
    classes = instances.known_classes(classes)
    if instances.panoptic is not None:
        return draw_panoptic(picture, instances.panoptic, classes, scale=scale)
    instances = instances.filter(score=score_threshold)
    # The most certain objects are labelled first, or of annotations the largest.
    ranks = box_area(instances.boxes) if instances.scores is None else instances.scores
    columns = zip(_colours(instances), _texts(instances, classes), ranks.tolist(), strict=True)
    marks = [Mark(colour, text, rank) for colour, text, rank in columns]
    return paint_instances(picture, instances, marks, skeleton=classes.skeleton, scale=scale)


def paint_instances(
    picture: Tensor,
    instances: Instances,
    marks: Sequence[Mark],
    *,
    skeleton: Skeleton | None = None,
    scale: float = 1.0,
    line: int | None = None,
) -> Tensor:
    """Draw objects over a copy of their picture, each as its mark says.

    Args:
        picture: [3, H, W] uint8 RGB.
        instances: N objects in the picture's own pixels; without masks their boxes are drawn.
        marks: N, one for each.
        skeleton: How keypoints are joined; None: they are not drawn.
        scale: As for `draw_instances`.
        line: Width of outlines in the picture's own pixels; None: what suits it.

    Returns:
        [3, H * scale, W * scale] uint8 RGB on the CPU.
    """
    canvas = np.empty((*picture.shape[-2:], 3), dtype=np.uint8)
    canvas[:] = picture.cpu().permute(1, 2, 0).numpy()
    line = line or line_width(picture.shape[-2:])
    if instances.masks is None:
        _draw_boxes(canvas, instances, marks, line)
    else:
        largest_first = box_area(instances.boxes).argsort(descending=True).tolist()
        _draw_masks(canvas, instances.masks, largest_first, marks, line)
    drawn = scale_picture(Image.fromarray(canvas), scale)
    if instances.keypoints is not None and skeleton is not None:
        drawn = _draw_keypoints(drawn, instances.keypoints, skeleton, scale)
    draw_labels(drawn, _labels(instances.boxes * scale, marks), font_size(drawn.size))
    return torch.from_numpy(np.array(drawn)).permute(2, 0, 1).contiguous()


def _draw_keypoints(drawn: Image.Image, keypoints: Tensor, skeleton: Skeleton, scale: float) -> Image.Image:
    canvas = np.array(drawn)
    scaled = keypoints * keypoints.new_tensor([scale, scale, 1])
    draw_skeletons(canvas, scaled, skeleton, line_width(canvas.shape[:2]))
    return Image.fromarray(canvas)


def _colours(instances: Instances) -> list[Colour]:
    colours = object_colours(len(instances))
    if instances.crowd is None:
        return colours
    return [GREY if crowd else colour for colour, crowd in zip(colours, instances.crowd.tolist(), strict=True)]


def _draw_boxes(canvas: np.ndarray, instances: Instances, marks: Sequence[Mark], line: int) -> None:
    for box, mark in zip(instances.boxes.round().int().tolist(), marks, strict=True):
        cv2.rectangle(canvas, (box[0], box[1]), (box[2] - 1, box[3] - 1), mark.colour, line)


def _draw_masks(canvas: np.ndarray, masks: Masks, order: list[int], marks: Sequence[Mark], line: int) -> None:
    """All tints first, then all outlines, both in the given order of the objects."""
    for draw in (_tint, _outline):
        for i in order:
            crop = masks.crop(i)
            if crop.bitmap.any() and (marks[i].tinted or draw is _outline):
                draw(canvas, crop, marks[i].colour, line)


def _tint(canvas: np.ndarray, crop: Crop, colour: Colour, _: int) -> None:
    height, width = crop.bitmap.shape
    window = canvas[crop.y : crop.y + height, crop.x : crop.x + width]
    tinted = ((1 - TINT) * np.arange(256)[:, None] + TINT * np.array(colour)).astype(np.uint8)
    window[crop.bitmap] = cv2.LUT(window[crop.bitmap][None], tinted[None])[0]


def _outline(canvas: np.ndarray, crop: Crop, colour: Colour, line: int) -> None:
    bitmap = crop.bitmap.astype(np.uint8)
    contours, _ = cv2.findContours(bitmap, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=(crop.x, crop.y))
    cv2.drawContours(canvas, contours, -1, colour, line, cv2.LINE_AA if line > 1 else cv2.LINE_8)


def _labels(boxes: Tensor, marks: Sequence[Mark]) -> list[Label]:
    """Those that have a text, the most important first."""
    named = [(mark, box) for mark, box in zip(marks, boxes.tolist(), strict=True) if mark.text]
    named.sort(key=lambda pair: -pair[0].importance)
    return [Label(mark.text, (x1, y1, x2, y2), mark.colour, mark.needed) for mark, (x1, y1, x2, y2) in named]


def _texts(instances: Instances, classes: Classes) -> list[str]:
    """Class and score; of many objects of one class nothing."""
    if len(classes) == 1 and len(instances) > MOST_SCORES:
        return [""] * len(instances)
    return [_text(instances, classes, i) for i in range(len(instances))]


def _text(instances: Instances, classes: Classes, i: int) -> str:
    name = "" if len(classes) == 1 else classes.names[int(instances.labels[i])]
    return name if instances.scores is None else f"{name} {instances.scores[i]:.2f}".strip()
