import numpy as np
import pytest
import torch
from torchvision.models.detection.roi_heads import paste_masks_in_image

from maskrcnn.structures.masks import full_bitmap
from maskrcnn.structures.soft_masks import SoftMasks

SIZE = (40, 60)


def soft_masks(boxes: list[list[float]], grid: int = 28) -> SoftMasks:
    random = torch.Generator().manual_seed(0)
    probabilities = torch.rand(len(boxes), grid, grid, dtype=torch.float64, generator=random)
    return SoftMasks(probabilities, torch.tensor(boxes, dtype=torch.float64).reshape(-1, 4), SIZE, "grown")


BOXES = [
    [10.3, 5.6, 30.2, 25.9],
    [0.0, 0.0, 60.0, 40.0],
    [50.5, 30.2, 60.0, 40.0],
    [0.0, 0.0, 3.0, 2.0],
    [20.0, 20.0, 20.0, 20.0],
    [-15.0, -10.0, 70.0, 12.0],
    [58.9, 39.2, 59.1, 39.9],
]


def test_a_window_holds_what_torchvision_pastes_into_the_whole_picture():
    masks = soft_masks(BOXES)
    expected = paste_masks_in_image(masks.probabilities[:, None], masks.boxes, SIZE)[:, 0]
    for i in range(len(BOXES)):
        x, y, window = masks.soft_crop(i)
        assert x >= 0
        assert y >= 0
        whole = np.zeros(SIZE)
        whole[y : y + window.shape[0], x : x + window.shape[1]] = window
        np.testing.assert_allclose(whole, expected[i].numpy(), rtol=0, atol=1e-12)
        assert (full_bitmap(masks, i) == (expected[i] > 0.5).numpy()).all()


@pytest.mark.parametrize("box", [[-50, -50, -20, -20], [100, 10, 120, 30], [10, 90, 30, 100], [-90, 10, -70, 20]])
def test_a_box_outside_the_picture_has_no_pixels(box):
    masks = soft_masks([box])
    assert masks.crop(0).bitmap.size == 0
    assert full_bitmap(masks, 0).sum() == 0


def test_only_the_window_of_a_box_is_computed():
    masks = SoftMasks(
        torch.ones(1, 28, 28), torch.tensor([[99_000.0, 50_000.0, 99_010.0, 50_020.0]]), (100_000,) * 2, "grown"
    )
    x, y, bitmap = masks.crop(0)
    assert bitmap.shape[0] * bitmap.shape[1] < 400
    assert 98_998 <= x <= 99_000
    assert 49_998 <= y <= 50_000


def test_the_threshold_decides_what_belongs_to_the_object():
    masks = SoftMasks(torch.full((1, 4, 4), 0.4), torch.tensor([[0.0, 0.0, 8.0, 8.0]]), (8, 8), "grown", threshold=0.3)
    assert masks.crop(0).bitmap[2:6, 2:6].all()
    masks.threshold = 0.41
    assert not masks.crop(0).bitmap.any()


def test_chosen_and_moved_masks_keep_their_boxes_and_threshold():
    masks = SoftMasks(torch.rand(3, 4, 4), torch.rand(3, 4), SIZE, "grown", threshold=0.7)
    chosen = masks[torch.tensor([2, 0])].to("cpu")
    assert torch.equal(chosen.probabilities, masks.probabilities[[2, 0]])
    assert torch.equal(chosen.boxes, masks.boxes[[2, 0]])
    assert (chosen.size, chosen.threshold, len(chosen), len(masks[:0])) == (SIZE, 0.7, 2, 0)
