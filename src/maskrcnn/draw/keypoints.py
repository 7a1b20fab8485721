"""Keypoints drawn as dots, joined by the lines of their skeleton: left, right and middle in colours of their own."""

from __future__ import annotations

import cv2
import numpy as np
from torch import Tensor

from ..structures.keypoint_schema import Skeleton
from .colors import BLACK, WHITE, Colour

LEFT: Colour = (90, 255, 120)
RIGHT: Colour = (255, 130, 30)
THINNEST = 2
SHOWN_FROM = 0.05
"""Keypoints with a higher score are drawn: a share of the map as in detectron2's drawings, or a logit above about 0."""
FRACTION_BITS = 4


def draw_skeletons(canvas: np.ndarray, keypoints: Tensor, skeleton: Skeleton, line: int) -> None:
    """Draw the keypoints of all objects.

    Args:
        canvas: [H, W, 3] uint8 RGB, drawn into.
        keypoints: [N, Kp, 3] x, y in the canvas' continuous pixels, and visibility or score; those that were not
            annotated, or have a low score, are left out with the lines that end at them.
        skeleton: What is joined, and what is left and right.
        line: Width of lines in pixels, at least 2.
    """
    line = max(line, THINNEST)
    colours = side_colours(skeleton)
    for points in keypoints.double().cpu().numpy():
        shown = points[:, 2] > SHOWN_FROM
        places = np.round((points[:, :2] - 0.5) * 2**FRACTION_BITS).clip(-1e6, 1e6).astype(int)
        edges = [edge for edge in skeleton.edges if shown[list(edge)].all()]
        # All dark borders first, so that none of them lies over a line.
        for width, border in ((line + 2, True), (line, False)):
            for first, second in edges:
                colour = BLACK if border else _edge_colour(colours[first], colours[second])
                cv2.line(canvas, places[first], places[second], colour, width, cv2.LINE_AA, FRACTION_BITS)
        for place in np.flatnonzero(shown):
            for radius, colour in ((line + 2, BLACK), (line + 1, colours[place])):
                cv2.circle(canvas, places[place], radius << FRACTION_BITS, colour, -1, cv2.LINE_AA, FRACTION_BITS)


def side_colours(skeleton: Skeleton) -> list[Colour]:
    """Colour of each keypoint: `LEFT` and `RIGHT` of the object itself, white in its middle."""
    left, right = ({pair[side] for pair in skeleton.flip_pairs} for side in (0, 1))
    return [LEFT if place in left else RIGHT if place in right else WHITE for place in range(len(skeleton))]


def _edge_colour(first: Colour, second: Colour) -> Colour:
    """That of a side; a line to the middle has its side's, one from side to side is white."""
    sides = {first, second} - {WHITE}
    return sides.pop() if len(sides) == 1 else WHITE
