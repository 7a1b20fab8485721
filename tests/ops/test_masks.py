import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision.ops
from pycocotools import mask as oracle
from torchvision.models.detection.roi_heads import paste_masks_in_image

from maskrcnn.ops.masks import (
    draw_in_box,
    paste_window,
    resample_bitmap,
    resample_windows,
    sample_mask,
    sampled_window,
    spread_mask,
)

HEIGHT, WIDTH = 40, 60


def full_image(bitmap: torch.Tensor, origin: tuple[int, int]) -> torch.Tensor:
    full = torch.zeros(HEIGHT, WIDTH, dtype=torch.float64)
    x, y = origin
    full[y : y + bitmap.shape[0], x : x + bitmap.shape[1]] = bitmap
    return full


@pytest.mark.parametrize(
    ("origin", "size"),
    [((20, 10), (15, 20)), ((0, 0), (9, 9)), ((50, 30), (10, 10)), ((0, 0), (HEIGHT, WIDTH)), ((59, 39), (1, 1))],
)
@pytest.mark.parametrize(
    "box",
    [
        (22.5, 11.25, 33.1, 20.9),  # inside the first window
        (3.0, 2.0, 58.0, 39.5),  # far larger: several points per bin
        (15.2, 5.1, 25.3, 15.4),  # partly outside
        (0.0, 0.0, 60.0, 40.0),
        (48.7, 30.2, 60.0, 40.0),  # at the image's border
        (30.0, 20.0, 30.0, 20.0),  # without area
        (30.0, 5.0, 30.4, 35.0),
        (3.5, 3.5, 24.5, 24.5),  # three pixels per bin, to the last bit
    ],
)
@pytest.mark.parametrize("half_pixel", [False, True])
def test_a_window_resampled_equals_roi_align_of_the_whole_image(origin, size, box, half_pixel):
    bitmap = (torch.rand(size, generator=torch.Generator().manual_seed(3)) > 0.4).byte()
    box = torch.tensor(box, dtype=torch.float64)
    found = resample_bitmap(bitmap, origin, box, (HEIGHT, WIDTH), 7, half_pixel=half_pixel)
    whole = full_image(bitmap, origin)[None, None]
    expected = torchvision.ops.roi_align(whole, [box[None]], 7, sampling_ratio=-1, aligned=half_pixel)[0, 0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_bins_hold_the_part_of_their_sampling_points_that_lies_on_the_object():
    # Sampling points are at 0.5, 1.5, ...: that at 3.5 lies halfway between the last full pixel and an empty one.
    bitmap = torch.ones(8, 4, dtype=torch.uint8)
    found = resample_bitmap(bitmap, (0, 0), torch.tensor([0.0, 0.0, 8.0, 8.0]), (8, 20), 4)
    assert torch.equal(found, torch.tensor([1.0, 0.75, 0.0, 0.0]).expand(4, 4))


def test_on_the_half_pixel_grid_a_bin_of_one_pixel_is_that_pixel():
    bitmap = torch.tensor([[1, 0, 1], [0, 1, 1]], dtype=torch.uint8)
    found = resample_bitmap(bitmap, (4, 5), torch.tensor([4.0, 5.0, 6.0, 7.0]), (20, 20), 2, half_pixel=True)
    assert found.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("half_pixel", [False, True])
def test_an_object_without_pixels_is_empty(half_pixel):
    bitmap, box = torch.zeros(0, 0, dtype=torch.uint8), torch.tensor([0.0, 0.0, 8.0, 8.0])
    found = resample_bitmap(bitmap, (0, 0), box, (20, 20), 4, half_pixel=half_pixel)
    assert torch.equal(found, torch.zeros(4, 4))


def paste(mask: torch.Tensor, box: list[float]) -> torch.Tensor:
    x1, y1, x2, y2 = paste_window(box, mask.shape[-1])
    window = spread_mask(mask, y2 - y1 + 1, x2 - x1 + 1)
    padded = torch.zeros(HEIGHT + 200, WIDTH + 200, dtype=mask.dtype)
    padded[100 + y1 : 101 + y2, 100 + x1 : 101 + x2] = window
    return padded[100 : 100 + HEIGHT, 100 : 100 + WIDTH]


@pytest.mark.parametrize(
    "box",
    [
        [10.3, 5.6, 30.2, 25.9],
        [0.0, 0.0, 60.0, 40.0],
        [50.5, 0.0, 60.0, 13.7],
        [20.0, 20.0, 20.0, 20.0],
        [-9, -9, 9, 9],
    ],
)
def test_a_pasted_mask_equals_torchvisions(box):
    mask = torch.rand(28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    boxes = torch.tensor([box], dtype=torch.float64)
    expected = paste_masks_in_image(mask[None, None], boxes, (HEIGHT, WIDTH))[0, 0]
    torch.testing.assert_close(paste(mask, box), expected, rtol=0, atol=1e-12)


def test_the_grid_reaches_half_a_cell_of_its_border_beyond_the_box():
    # A grid of 2 cells over 8 px: a cell is 4 px wide, and the border of one cell is on both sides.
    assert paste_window((10.0, 20.0, 18.0, 28.0), 2) == (6, 16, 22, 32)


def sampled(mask: torch.Tensor, box: list[float]) -> torch.Tensor:
    """detectron2's sampling of the whole image: a grid of -1 to 1 over the box, looked up at the pixels' centers."""
    x1, y1, x2, y2 = box
    x = (torch.arange(WIDTH, dtype=mask.dtype) + 0.5 - x1) / (x2 - x1) * 2 - 1
    y = (torch.arange(HEIGHT, dtype=mask.dtype) + 0.5 - y1) / (y2 - y1) * 2 - 1
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    return F.grid_sample(mask[None, None], grid[None], align_corners=False)[0, 0]


@pytest.mark.parametrize(
    ("box", "window"),
    [
        ([10.3, 5.6, 30.2, 25.9], (9, 4, 32, 27)),
        ([0.0, 0.0, 60.0, 40.0], (0, 0, 60, 40)),
        ([-9.5, -9.0, 9.0, 9.5], (0, 0, 10, 11)),
        ([58.9, 39.2, 59.1, 39.9], (57, 38, 60, 40)),
    ],
)
@pytest.mark.parametrize("cells", [28, 14, 5])
def test_a_sampled_mask_equals_grid_sample_of_the_whole_image(box, window, cells):
    mask = torch.rand(cells, cells, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x1, y1, x2, y2 = sampled_window(box, (HEIGHT, WIDTH))
    assert (x1, y1, x2, y2) == window
    expected = sampled(mask, box)
    found = sample_mask(mask, box, window)
    torch.testing.assert_close(found, expected[y1:y2, x1:x2], rtol=0, atol=1e-12)
    expected[y1:y2, x1:x2] = 0
    assert expected.max() < 0.5


@pytest.mark.parametrize(
    "box", [[-50, -50, -20, -20], [100, 10, 120, 30], [10, 90, 30, 100], [20.0, 20.0, 20.0, 30.0], [20, 20, 30, 20]]
)
def test_a_box_outside_the_image_or_without_area_has_no_sampled_pixels(box):
    window = sampled_window(box, (HEIGHT, WIDTH))
    assert window[2] >= window[0]
    assert window[3] >= window[1]
    assert not sample_mask(torch.ones(4, 4), box, window).any()


def test_cells_have_their_own_values_at_their_centers():
    # A grid of 2 cells over 4 px: their centers are at 1 and 3 px, pixels' at 0.5, 1.5, ...
    found = sample_mask(torch.tensor([[0.0, 0.0], [0.0, 1.0]]), [2, 2, 6, 6], (4, 4, 8, 8))
    along = torch.tensor([0.75, 0.75, 0.25, 0.0])
    assert torch.equal(found, along[:, None] * along)


def test_masks_are_sampled_in_their_own_precision_also_under_autocast():
    mask, window = torch.rand(4, 4), (300, 300, 310, 310)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = sample_mask(mask, (300.3, 300.3, 308.1, 309.2), window)
    assert torch.equal(found, sample_mask(mask, (300.3, 300.3, 308.1, 309.2), window))
    assert found.dtype == torch.float32


SQUARE = np.array([[10.0, 20.0], [14.0, 20.0], [14.0, 24.0], [10.0, 24.0]])


def test_a_polygon_is_drawn_on_the_grid_of_a_box():
    assert draw_in_box((SQUARE,), [10, 20, 14, 24], 4).tolist() == [[1] * 4] * 4
    assert draw_in_box((SQUARE,), [10, 20, 18, 24], 4).tolist() == [[1, 1, 0, 0]] * 4
    assert draw_in_box((SQUARE,), [10, 16, 14, 24], 4).tolist() == [[0] * 4] * 2 + [[1] * 4] * 2


def test_the_object_is_the_union_of_its_polygons():
    right = SQUARE + np.array([4.0, 0.0])
    assert draw_in_box((SQUARE, right), [10, 20, 18, 24], 4).tolist() == [[1] * 4] * 4


def test_polygons_stay_as_they_were():
    polygon = SQUARE.copy()
    draw_in_box((polygon,), [10, 20, 18, 24], 4)
    assert (polygon == SQUARE).all()


@pytest.mark.parametrize("box", [[0, 0, 5, 5], [14.5, 20, 15, 24]])
def test_a_box_beside_the_object_is_empty(box):
    assert not draw_in_box((SQUARE,), box, 28).any()


@pytest.mark.parametrize("box", [[12.0, 22.0, 12.0, 22.0], [12.0, 20.0, 12.05, 24.0]])
def test_a_box_without_area_counts_as_a_tenth_of_a_pixel(box):
    x1, y1, x2, y2 = box
    grown = [x1, y1, max(x2, x1 + 0.1), max(y2, y1 + 0.1)]
    assert (draw_in_box((SQUARE,), box, 7) == draw_in_box((SQUARE,), grown, 7)).all()
    assert draw_in_box((SQUARE,), box, 7).all()


@pytest.mark.parametrize("size", [7, 28, 56])
def test_the_cells_are_those_coco_draws(size):
    random = np.random.default_rng(0)
    for _ in range(50):
        polygons = tuple(random.random((count, 2)) * 100 - 10 for count in (3, 20))
        corner, sides = random.random(2) * 40, random.random(2) * 50 + 0.2
        parts = [((polygon - corner) / sides * size).ravel().tolist() for polygon in polygons]
        expected = oracle.decode(oracle.merge(oracle.frPyObjects(parts, size, size)))
        assert (draw_in_box(polygons, [*corner, *(corner + sides)], size) == expected).all()


EXTENT = (30, 40)
WINDOWS = [[0, 0, 12, 9], [5, 7, 25, 30], [30, 3, 40, 5], [0, 0, 40, 30], [8, 8, 8, 8], [20, 10, 21, 11]]
BOXES = [
    [0.0, 0, 12, 9],
    [4.3, 6.5, 26.1, 30],
    [28, 0, 40, 30],
    [0, 0, 40, 30],
    [1, 1, 1.4, 1.2],
    [19.5, 9.5, 22.7, 12],
]


def bitmaps():
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(2, (y2 - y1, x2 - x1), generator=generator).byte() for x1, y1, x2, y2 in WINDOWS]


@pytest.mark.parametrize("half_pixel", [False, True])
@pytest.mark.parametrize("size", [1, 7, 28])
def test_all_at_once_equals_one_by_one(half_pixel, size):
    pixels = torch.cat([bitmap.flatten() for bitmap in bitmaps()])
    pairs = [(i, box) for i in range(len(WINDOWS)) for box in BOXES]
    matches = torch.tensor([i for i, _ in pairs])
    boxes = torch.tensor([box for _, box in pairs], dtype=torch.float64)
    extents = torch.tensor([EXTENT] * len(WINDOWS))
    found = resample_windows(pixels, torch.tensor(WINDOWS), extents, matches, boxes, size, half_pixel=half_pixel)
    each = bitmaps()
    for one, i, box in zip(found, matches.tolist(), boxes, strict=True):
        origin = (WINDOWS[i][0], WINDOWS[i][1])
        expected = resample_bitmap(each[i], origin, box, EXTENT, size, half_pixel=half_pixel)
        assert torch.allclose(one, expected, atol=1e-12, rtol=0)


def test_windows_may_lie_in_images_of_different_sizes():
    windows, boxes = torch.tensor([[0, 0, 4, 4]] * 2), torch.tensor([[0.0, 0.0, 4.0, 4.0]] * 2)
    pixels, extents = torch.ones(32, dtype=torch.uint8), torch.tensor([[4, 4], [4, 9]])
    found = resample_windows(pixels, windows, extents, torch.arange(2), boxes, 4)
    # Beyond the first window the image ends, and its last pixels go on; beyond the second there is background.
    assert found[0, 0].tolist() == [1.0] * 4
    assert found[1, 0].tolist() == [1.0] * 3 + [0.5]


def test_without_objects_or_boxes_there_are_no_targets():
    none, no_boxes, pixels = torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4), torch.ones(1, dtype=torch.uint8)
    assert resample_windows(pixels[:0], none.view(0, 4), none.view(0, 2), none, no_boxes, 7).shape == (0, 7, 7)
    window, extent = torch.tensor([[0, 0, 1, 1]]), torch.tensor([EXTENT])
    assert resample_windows(pixels, window, extent, none, no_boxes, 7).shape == (0, 7, 7)
