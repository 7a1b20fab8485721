import numpy as np
import pytest
import torch
from torchvision.models.detection.roi_heads import paste_masks_in_image

from maskrcnn.structures.predicted_masks import SoftMasks

SIZE = (40, 60)


def soft_masks(boxes: list[list[float]], grid: int = 28, paste: str = "grown") -> SoftMasks:
    random = torch.Generator().manual_seed(0)
    probabilities = torch.rand(len(boxes), grid, grid, dtype=torch.float64, generator=random)
    return SoftMasks(probabilities, torch.tensor(boxes, dtype=torch.float64).reshape(-1, 4), SIZE, paste)


BOXES = [
    [10.3, 5.6, 30.2, 25.9],
    [0.0, 0.0, 60.0, 40.0],
    [50.5, 30.2, 60.0, 40.0],
    [0.0, 0.0, 3.0, 2.0],
    [20.0, 20.0, 20.0, 20.0],
    [-15.0, -10.0, 70.0, 12.0],
    [58.9, 39.2, 59.1, 39.9],
]


def test_a_window_holds_what_torchvision_pastes_into_the_whole_image():
    masks = soft_masks(BOXES)
    expected = paste_masks_in_image(masks.probabilities[:, None], masks.boxes, SIZE)[:, 0]
    for i in range(len(BOXES)):
        x, y, window = masks.soft_crop(i)
        assert x >= 0
        assert y >= 0
        whole = np.zeros(SIZE)
        whole[y : y + window.shape[0], x : x + window.shape[1]] = window
        np.testing.assert_allclose(whole, expected[i].numpy(), rtol=0, atol=1e-12)
        assert (masks.bitmap(i) == (expected[i] > 0.5).numpy()).all()


def test_sampled_masks_are_bilinear_between_cells_at_the_centers_of_pixels():
    # 2 cells over 4 px: rows weigh the lower cells by 0, 1/4, 3/4 and 3/4 (beyond the last center there is nothing).
    probabilities = torch.tensor([[[0.0, 0.0], [1.0, 1.0]]])
    masks = SoftMasks(probabilities, torch.tensor([[2.0, 2.0, 6.0, 6.0]]), (10, 10), "sampled")
    x, y, soft = masks.soft_crop(0)
    assert (x, y, soft.shape) == (1, 1, (6, 6))
    assert soft[:, 2].tolist() == [0.0, 0.0, 0.25, 0.75, 0.75, 0.25]
    assert masks.bitmap(0)[:, 3].nonzero()[0].tolist() == [4, 5]


def test_at_the_threshold_a_sampled_pixel_belongs_to_the_object_and_a_grown_one_does_not():
    half, box = torch.full((1, 4, 4), 0.5), torch.tensor([[0.0, 0.0, 8.0, 8.0]])
    assert SoftMasks(half, box, (8, 8), "sampled").crop(0).bitmap[1:7, 1:7].all()
    assert not SoftMasks(half, box, (8, 8), "grown").crop(0).bitmap.any()


@pytest.mark.parametrize("paste", ["grown", "sampled"])
@pytest.mark.parametrize("box", [[-50, -50, -20, -20], [100, 10, 120, 30], [10, 90, 30, 100], [-90, 10, -70, 20]])
def test_a_box_outside_the_image_has_no_pixels(box, paste):
    masks = soft_masks([box], paste=paste)
    assert masks.crop(0).bitmap.size == 0
    assert masks.bitmap(0).sum() == 0


@pytest.mark.parametrize("paste", ["grown", "sampled"])
def test_only_the_window_of_a_box_is_computed(paste):
    box = torch.tensor([[99_000.0, 50_000.0, 99_010.0, 50_020.0]])
    masks = SoftMasks(torch.ones(1, 28, 28), box, (100_000, 100_000), paste)
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
    masks = SoftMasks(torch.rand(3, 4, 4), torch.rand(3, 4), SIZE, "sampled", threshold=0.7)
    chosen = masks[torch.tensor([2, 0])].to("cpu")
    assert torch.equal(chosen.probabilities, masks.probabilities[[2, 0]])
    assert torch.equal(chosen.boxes, masks.boxes[[2, 0]])
    assert (chosen.size, chosen.threshold, len(chosen), len(masks[:0])) == (SIZE, 0.7, 2, 0)
    assert (masks.paste, chosen.paste) == ("sampled", "sampled")
