import pytest
import torch

from maskrcnn.ops.mask_windows import resample_windows
from maskrcnn.ops.masks import resample_bitmap

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
