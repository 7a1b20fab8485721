"""Keypoints drawn as dots, joined by the lines of their keypoint_schema: left, right and middle in colors of their
own."""

from __future__ import annotations

import cv2
import numpy as np
from torch import Tensor

from ..structures.classes import KeypointSchema
from .colors import BLACK, WHITE, Color

LEFT: Color = (90, 255, 120)
RIGHT: Color = (255, 130, 30)
THINNEST = 2
SHOWN_FROM = 0.05
"""Keypoints with a higher score are drawn: a share of the map as in detectron2's drawings, or a logit above about 0."""
FRACTION_BITS = 4


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
