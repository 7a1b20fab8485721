import math

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_mask

from maskrcnn.evaluation.coco_input import boundary_of, boundary_width


def slow_boundary(mask: np.ndarray) -> np.ndarray:
    """Every pixel's square of neighbors is looked at; outside the image there is no object."""
    height, width = mask.shape
    reach = max(1, round(0.02 * math.sqrt(height**2 + width**2)))
    around = np.pad(mask.astype(bool), reach)
    inside = np.ones(mask.shape, dtype=bool)
    for dy in range(2 * reach + 1):
        for dx in range(2 * reach + 1):
            inside &= around[dy : dy + height, dx : dx + width]
    return mask.astype(bool) & ~inside


def some_masks(size: tuple[int, int]) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    blocks = np.zeros(size, dtype=np.uint8)
    for _ in range(3):
        y, x = random.integers(0, size[0]), random.integers(0, size[1])
        blocks[y : y + size[0] // 2 + 1, x : x + size[1] // 2 + 1] = 1
    return [blocks, (random.random(size) > 0.02).astype(np.uint8), np.ones(size, np.uint8), np.zeros(size, np.uint8)]


@pytest.mark.parametrize("size", [(45, 60), (60, 45), (7, 9), (1, 1), (105, 140), (120, 90), (224, 207)])
def test_boundaries_are_those_of_the_reference(size):
    for mask in some_masks(size):
        rle = coco_mask.encode(np.asfortranarray(mask))
        for given in (rle, {**rle, "counts": rle["counts"].decode()}):
            found = coco_mask.decode(boundary_of(given, size))
            assert np.array_equal(found.astype(bool), slow_boundary(mask))


def test_a_full_image_has_a_frame_as_boundary():
    rle = coco_mask.encode(np.asfortranarray(np.ones((30, 40), dtype=np.uint8)))  # a diagonal of 50 px: 1 px wide
    assert coco_mask.area(boundary_of(rle, (30, 40))) == 30 * 40 - 28 * 38


@pytest.mark.parametrize(
    ("size", "width"), [((45, 60), 2), ((75, 100), 2), ((480, 640), 16), ((3, 4), 1), ((360, 640), 15)]
)
def test_widths_are_two_percent_of_the_diagonal_and_halves_go_to_the_even_number(size, width):
    assert boundary_width(size) == width  # 1.5, 2.5, 16.0, 0.1, 14.7
