"""Polygons of bitmaps as polygons: for text, and for programs that have no masks.

Shapes: bitmaps are [h, w] of any type, 0 where the object is not; points are x, y.
"""

import cv2
import numpy as np
import shapely

TOLERANCE = 1.0
"""Pixels that a simplified line may lie beside the sides of pixels, and so leaves their steps out."""
SMALL = 40
"""Pixels along the side of a square as large as a part from which on `TOLERANCE` counts; less for smaller ones."""


def trace_contour(bitmap: np.ndarray) -> np.ndarray:
    """The polygon along the outer sides of the pixels of a bitmap's largest part, without its holes.

    Pixels that touch at a corner only are not of one part.

    Returns:
        [V, 2] float64 in continuous pixels, so that a pixel's own polygon is one wide, from the leftmost corner of the
        top row; V = 0 without a pixel.
    """
    part = _largest_part(bitmap)
    edges = np.diff(part.astype(np.int8), prepend=0, append=0, axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    if not len(rows):
        return np.zeros((0, 2))
    whole = shapely.union_all(shapely.box(starts, rows, ends, rows + 1))
    points = shapely.get_coordinates(whole.exterior)[:-1]
    first = np.lexsort((points[:, 0], points[:, 1]))[0]  # a corner, which every version of GEOS would not begin at
    ring = shapely.linearrings(np.roll(points, -first, axis=0))
    return shapely.get_coordinates(shapely.simplify(ring, 0))[:-1]


def trace_parts(bitmap: np.ndarray, x: int = 0, y: int = 0) -> list[shapely.Polygon]:
    """The polygons with holes of all parts of a bitmap, the largest first, for people to correct.

    They lie along the outer sides of the pixels, whose steps are left out (`TOLERANCE`): people move corners, and a
    line of pixels has too many. Parts of a few pixels are exact.

    Args:
        bitmap: The pixels of a window.
        x, y: Column and row of the window's first pixel.

    Returns:
        In continuous pixels of the image.
    """
    edges = np.diff((bitmap != 0).astype(np.int8), prepend=0, append=0, axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    whole = shapely.union_all(shapely.box(starts + x, rows + y, ends + x, rows + y + 1))
    parts = [shapely.simplify(part, TOLERANCE * min(1, part.area**0.5 / SMALL)) for part in shapely.get_parts(whole)]
    return sorted(parts, key=lambda part: -part.area)


def fit_quadrilateral(bitmap: np.ndarray) -> np.ndarray:
    """The smallest rectangle at any angle around a bitmap's largest part.

    It is laid around the pixels' centers and then grown by half a pixel on each side: around their corners, it would
    be too large at every angle but those of the axes.

    Returns:
        [4, 2] float64 in continuous pixels, clockwise from the corner nearest to the top left; [0, 2] without a pixel.
    """
    rows, columns = np.nonzero(_largest_part(bitmap))
    if not len(rows):
        return np.zeros((0, 2))
    center, sides, angle = cv2.minAreaRect(np.stack([columns, rows], axis=1).astype(np.float32))
    corners = cv2.boxPoints((center, (sides[0] + 1, sides[1] + 1), angle)).astype(np.float64) + 0.5
    return np.roll(corners, -int(corners.sum(axis=1).argmin()), axis=0)


def trace_contours(bitmap: np.ndarray) -> list[np.ndarray]:
    """All contours of a bitmap, those of holes too, through the pixels along them, as OpenCV has them.

    MMOCR takes each for a text of its own (`MMDetWrapper.adapt_predictions`, which calls MMDetection's
    `bitmap_to_polygon`); its published scores are of such polygons.

    Returns:
        [V, 2] int32 columns and rows of each contour's pixels, V >= 3.
    """
    contours, _ = cv2.findContours(_as_bytes(bitmap), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [points.reshape(-1, 2) for points in contours if len(points) >= 3]


def _largest_part(bitmap: np.ndarray) -> np.ndarray:
    """[h, w] bool: the largest set of pixels that hang together by their sides."""
    if not bitmap.any():
        return np.zeros(bitmap.shape, dtype=bool)
    _, parts, statistics, _ = cv2.connectedComponentsWithStats(_as_bytes(bitmap), connectivity=4)
    return parts == 1 + statistics[1:, cv2.CC_STAT_AREA].argmax()


def _as_bytes(bitmap: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(bitmap != 0).astype(np.uint8)
