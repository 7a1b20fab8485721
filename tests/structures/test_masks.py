import numpy as np
import pytest
import torch
from pycocotools import mask as oracle
from torchvision.models.detection.roi_heads import paste_masks_in_image

from maskrcnn.structures.masks import Crop, MaskCrops, crop_polygon, encode_crop, tight_crop, to_rle
from maskrcnn.structures.predicted_masks import SoftMasks

NOTHING = Crop(0, 0, np.zeros((0, 0), dtype=bool))


def whole(crop: Crop, size: tuple[int, int]) -> np.ndarray:
    full = np.zeros(size, dtype=bool)
    height, width = crop.bitmap.shape
    full[crop.y : crop.y + height, crop.x : crop.x + width] = crop.bitmap
    return full


def expected_rle(crop: Crop, size: tuple[int, int]) -> dict:
    rle = oracle.encode(np.asfortranarray(whole(crop, size)))
    return {"size": list(size), "counts": rle["counts"].decode()}


def windows_of(size: tuple[int, int]):
    """(x, y, width, height): everywhere, at each border, over the full height, over the full width, of one pixel."""
    height, width = size
    yield from [(0, 0, width, height), (3, 0, 4, height), (width - 2, 0, 2, height), (0, 2, width, 3)]
    yield from [(2, height - 3, 4, 3), (width - 4, height - 2, 4, 2), (0, 0, 1, 1), (width - 1, height - 1, 1, 1)]


@pytest.mark.parametrize("size", [(7, 11), (8, 8), (30, 20)])
@pytest.mark.parametrize("density", [0.0, 0.3, 0.8, 1.0])
def test_rle_of_a_window_are_cocos_of_the_whole_image(size, density):
    random = np.random.default_rng(0)
    for x, y, width, height in windows_of(size):
        crop = Crop(x, y, random.random((height, width)) < density)
        assert encode_crop(crop, size) == expected_rle(crop, size)


def test_rle_of_nothing_are_one_run_of_background():
    assert encode_crop(NOTHING, (3, 4)) == expected_rle(NOTHING, (3, 4))


def test_the_smallest_crop_has_the_same_pixels():
    bitmap = np.zeros((5, 6), dtype=bool)
    bitmap[2, 1] = bitmap[3, 3] = True
    x, y, found = tight_crop(10, 20, bitmap)
    assert (x, y) == (11, 22)
    assert found.tolist() == [[True, False, False], [False, False, True]]
    assert tight_crop(10, 20, np.zeros((5, 6), dtype=bool)).bitmap.shape == (0, 0)


SIZE = (6, 9)


def crops() -> list[Crop]:
    """A full 2 x 3 block, nothing, a diagonal of 2, one pixel."""
    block, diagonal, dot = np.ones((2, 3), dtype=bool), np.eye(2, dtype=bool), np.ones((1, 1), dtype=bool)
    return [Crop(1, 2, block), NOTHING, Crop(7, 0, diagonal), Crop(8, 5, dot)]


def same(found: Crop, expected: Crop) -> bool:
    return (found.x, found.y, found.bitmap.tolist()) == (expected.x, expected.y, expected.bitmap.tolist())


def test_packed_bitmaps_come_out_as_they_went_in():
    masks = MaskCrops.of(crops(), SIZE)
    assert len(masks) == 4
    assert masks.pixels.numel() == 6 + 0 + 4 + 1
    assert masks.windows.tolist() == [[1, 2, 4, 4], [0, 0, 0, 0], [7, 0, 9, 2], [8, 5, 9, 6]]
    for i, crop in enumerate(crops()):
        assert same(masks.crop(i), crop)
        assert masks.origin(i) == (crop.x, crop.y)
        assert masks.crop(i).bitmap.dtype == bool


@pytest.mark.parametrize(
    ("index", "kept"),
    [
        (torch.tensor([3, 0]), [3, 0]),
        (torch.tensor([False, True, True, False]), [1, 2]),
        (slice(1, None, 2), [1, 3]),
        (torch.tensor([2, 2]), [2, 2]),
        (slice(0, 0), []),
        (-1, [3]),
        ([1, 2], [1, 2]),
        (np.array([True, False, False, True]), [0, 3]),
        (torch.tensor([], dtype=torch.int64), []),
    ],
)
def test_packed_bitmaps_are_chosen_by_numbers_truth_values_and_slices(index, kept):
    chosen = MaskCrops.of(crops(), SIZE)[index]
    assert len(chosen) == len(kept)
    assert all(same(chosen.crop(i), crops()[number]) for i, number in enumerate(kept))
    assert chosen.size == SIZE
    assert chosen.pixels.numel() == sum(crops()[number].bitmap.size for number in kept)


def test_no_masks_are_packed_to_nothing():
    masks = MaskCrops.of([], SIZE).to("cpu")
    assert (len(masks), masks.pixels.numel(), masks.windows.shape) == (0, 0, (0, 4))
    assert to_rle(masks) == []


def test_areas_bitmaps_and_rle_of_packed_masks():
    masks = MaskCrops.of(crops(), SIZE)
    assert [int(masks.crop(i).bitmap.sum()) for i in range(4)] == [6, 0, 2, 1]
    for i, crop in enumerate(crops()):
        assert (masks.bitmap(i) == whole(crop, SIZE)).all()
        assert (masks.bitmaps()[i] == whole(crop, SIZE)).all()
        assert masks.to_rle()[i] == expected_rle(crop, SIZE)
    assert to_rle(masks) == to_rle(masks.bitmaps()) == to_rle(torch.from_numpy(masks.bitmaps())) == masks.to_rle()
    assert (masks[:0].bitmaps().shape, masks.bitmaps().dtype) == ((0, *SIZE), bool)


def test_polygons_are_chosen_with_their_objects_and_follow_them():
    square = (np.array([[1.0, 2.0], [4.0, 2.0], [4.0, 4.0]]),)
    masks = MaskCrops.of(crops(), SIZE, (square, (), (), ()))
    chosen = masks[torch.tensor([3, 0])].to("cpu")
    assert chosen.polygons == ((), square)
    assert (masks.polygons_of(0), masks.polygons_of(1)) == (square, ())
    assert masks[:0].polygons == ()
    assert MaskCrops.of(crops(), SIZE)[1:].polygons_of(0) == ()


def test_polygons_lie_where_the_objects_lie_in_the_image():
    masks = MaskCrops.of([Crop(10, 20, np.ones((3, 5), bool)), Crop(0, 0, np.ones((2, 2), bool))], (30, 40))
    for kind in ("quad", "contour"):
        far, near = masks.to_polygons(kind)
        assert (far.min(axis=0).tolist(), far.max(axis=0).tolist()) == ([10, 20], [15, 23])
        assert near.max(axis=0) == pytest.approx([2, 2])


def test_a_contour_follows_the_pixels_and_a_quad_surrounds_them():
    corner = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 1]], bool)
    assert len(crop_polygon(Crop(0, 0, corner), "contour")) == 6
    assert len(crop_polygon(Crop(0, 0, corner), "quad")) == 4


def test_an_object_without_pixels_has_no_points():
    masks = MaskCrops.of([NOTHING], SIZE)
    assert [polygon.shape for polygon in masks.to_polygons("quad")] == [(0, 2)]
    assert masks[:0].to_polygons() == []


IMAGE = (40, 60)


def soft_masks(boxes: list[list[float]], grid: int = 28, paste: str = "grown") -> SoftMasks:
    random = torch.Generator().manual_seed(0)
    probabilities = torch.rand(len(boxes), grid, grid, dtype=torch.float64, generator=random)
    return SoftMasks(probabilities, torch.tensor(boxes, dtype=torch.float64).reshape(-1, 4), IMAGE, paste)


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
    expected = paste_masks_in_image(masks.probabilities[:, None], masks.boxes, IMAGE)[:, 0]
    for i in range(len(BOXES)):
        x, y, window = masks.soft_crop(i)
        assert x >= 0
        assert y >= 0
        whole = np.zeros(IMAGE)
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
    masks = SoftMasks(torch.rand(3, 4, 4), torch.rand(3, 4), IMAGE, "sampled", threshold=0.7)
    chosen = masks[torch.tensor([2, 0])].to("cpu")
    assert torch.equal(chosen.probabilities, masks.probabilities[[2, 0]])
    assert torch.equal(chosen.boxes, masks.boxes[[2, 0]])
    assert (chosen.size, chosen.threshold, len(chosen), len(masks[:0])) == (IMAGE, 0.7, 2, 0)
    assert (masks.paste, chosen.paste) == ("sampled", "sampled")
