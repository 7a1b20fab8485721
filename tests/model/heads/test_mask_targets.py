import numpy as np
import pytest
import torch
import torchvision.ops
from pycocotools import mask as oracle

from maskrcnn.model.heads import mask_targets as module
from maskrcnn.model.heads.mask_targets import _targets_at_once, mask_targets
from maskrcnn.structures.annotated_masks import ObjectMasks
from maskrcnn.structures.masks import Crop, MaskCrops

SOFT, THRESHOLDED, POLYGONS = "soft", "thresholded", "polygons"


def masks() -> MaskCrops:
    """The left half of a box at (10, 20), 8 px wide and high; and a full box at (0, 0)."""
    left = np.zeros((8, 8), dtype=bool)
    left[:, :4] = True
    return MaskCrops.of([Crop(10, 20, left), Crop(0, 0, np.ones((4, 4), dtype=bool))], (40, 50))


def targets_of(masks, matches: torch.Tensor, boxes: torch.Tensor, size: int, settings: str):
    """Targets of one image."""
    return mask_targets([masks], [matches], [boxes], size, settings)


def test_a_target_is_the_part_of_its_mask_the_proposal_sees():
    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [10.0, 20.0, 18.0, 28.0], [30.0, 30.0, 40.0, 40.0]])
    found = targets_of(masks(), torch.tensor([1, 0, 0]), boxes, 2, SOFT)
    # Points at 0.5, 1.5, 2.5 and 3.5 px; that at 3.5 lies halfway between the object and what is beyond it.
    assert torch.equal(found[0], torch.tensor([[1.0, 0.75], [0.75, 0.75**2]]))
    assert found[1, 0].tolist() == [0.875, 0.0]
    assert (found[2] == 0).all()


@pytest.mark.parametrize("most", [1, 2**27], ids=["one image at a time", "all at once"])
@pytest.mark.parametrize("settings", [SOFT, THRESHOLDED])
def test_a_gpu_s_targets_of_all_images_are_those_of_a_cpu(settings, most, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_BITMAPS", most)
    whole = MaskCrops.of([Crop(3, 0, np.ones((30, 27), dtype=bool)), Crop(0, 4, np.ones((9, 9), dtype=bool))], (30, 30))
    every = [masks(), MaskCrops.of([], (20, 20)), whole, masks()[1:]]
    boxes = [random_boxes(count, one.size) for count, one in zip((40, 0, 30, 20), every)]
    matches = [torch.arange(40) % 2, torch.zeros(0, dtype=torch.int64), torch.arange(30) % 2, torch.zeros(20).long()]
    found = _targets_at_once(every, matches, boxes, 14, settings)
    assert torch.allclose(found, mask_targets(every, matches, boxes, 14, settings), atol=1e-12)
    alone = [targets_of(*parts, 14, settings) for parts in zip(every, matches, boxes)]
    assert torch.equal(torch.cat(alone), mask_targets(every, matches, boxes, 14, settings))


def test_targets_are_exact_under_autocast():
    boxes = torch.tensor([[10.3, 20.2, 17.1, 27.7]])
    expected = targets_of(masks(), torch.tensor([0]), boxes, 28, SOFT)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = targets_of(masks(), torch.tensor([0]), boxes, 28, SOFT)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def random_boxes(count: int, size: tuple[int, int]) -> torch.Tensor:
    """Boxes inside an image of `size`, of all sizes, with sides that are whole and that are not."""
    random = torch.Generator().manual_seed(2)
    ends = torch.rand(count, 2, 2, dtype=torch.float64, generator=random).sort(dim=1)[0].flatten(1)
    boxes = ends * torch.tensor([size[1], size[0]] * 2)
    boxes[::4] = boxes[::4].round()
    return boxes


def test_thresholded_targets_are_roi_align_of_the_whole_bitmap_on_the_half_pixel_grid():
    size, count = (40, 50), 60
    bitmaps = (
        torch.rand(3, *size, generator=torch.Generator().manual_seed(1)) < torch.tensor([0.4, 0.5, 0.6])[:, None, None]
    )
    crops = MaskCrops.of([Crop(0, 0, bitmap.numpy()) for bitmap in bitmaps], size)
    boxes, matches = random_boxes(count, size), torch.arange(count) % 3
    rois = torch.cat([torch.arange(count)[:, None], boxes], dim=1)
    whole = bitmaps[matches][:, None].double()
    soft = torchvision.ops.roi_align(whole, rois, 7, sampling_ratio=-1, aligned=True)[:, 0]
    assert ((soft - 0.5).abs() > 1e-9).float().mean() > 0.9
    found = targets_of(crops, matches, boxes, 7, THRESHOLDED)
    decided = (soft - 0.5).abs() > 1e-9
    assert torch.equal(found[decided], (soft >= 0.5).double()[decided])
    assert found.unique().tolist() == [0, 1]


def test_a_pixel_that_is_half_covered_belongs_to_a_thresholded_target():
    # Half-pixel grid: bins of 2 px over a full 4 x 4 object see 1, 1; shifted by 1 px the last bin sees one half.
    full = MaskCrops.of([Crop(0, 0, np.ones((4, 4), dtype=bool))], (40, 50))
    boxes = torch.tensor([[0.0, 0, 4, 4], [1.0, 0, 5, 4], [1.25, 0, 5.25, 4]])
    found = targets_of(full, torch.zeros(3, dtype=torch.int64), boxes, 2, THRESHOLDED)
    assert found[:, 0].tolist() == [[1, 1], [1, 1], [1, 0]]


def drawn_by_coco(polygons: list[np.ndarray], box: np.ndarray, size: int) -> np.ndarray:
    """As detectron2 does it: polygons are moved to the box's corner, scaled to the grid, and drawn there."""
    width, height = box[2:] - box[:2]
    moved = [(polygon - box[:2]) * [size / max(width, 0.1), size / max(height, 0.1)] for polygon in polygons]
    parts = oracle.frPyObjects([polygon.ravel().tolist() for polygon in moved], size, size)
    return oracle.decode(oracle.merge(parts))


def test_polygons_are_drawn_on_the_grid_of_each_box():
    size, count, random = (40, 50), 60, np.random.default_rng(0)
    polygons = [[random.random((12, 2)) * [50, 40]], [random.random((5, 2)) * 30, random.random((9, 2)) * 40]]
    masks = ObjectMasks.of([tuple(contours) for contours in polygons], size).crops()
    boxes, matches = random_boxes(count, size), torch.arange(count) % 2
    found = targets_of(masks, matches, boxes, 28, POLYGONS)
    for i in range(count):
        assert (found[i].numpy() == drawn_by_coco(polygons[i % 2], boxes[i].numpy(), 28)).all()
    assert 0.1 < found.mean() < 0.9
    assert found.dtype == boxes.dtype


def test_polygons_keep_what_a_bitmap_loses():
    # A bar of 0.5 px inside one pixel: half of the box of 1 px, and nothing that a bitmap could show.
    bar = np.array([[10.0, 10.0], [10.5, 10.0], [10.5, 11.0], [10.0, 11.0]])
    masks = ObjectMasks.of([(bar,)], (40, 50)).crops()
    found = targets_of(masks, torch.tensor([0]), torch.tensor([[10.0, 10, 11, 11]]), 4, POLYGONS)
    assert found[0].tolist() == [[1, 1, 0, 0]] * 4


def test_objects_without_polygons_get_their_thresholded_bitmap():
    size = (40, 50)
    triangle = np.array([[5.0, 5.0], [30.0, 8.0], [12.0, 33.0]])
    text = oracle.frPyObjects([triangle.ravel().tolist()], *size)[0]["counts"]
    mixed = ObjectMasks.of([text, (triangle,)], size).crops()
    boxes = torch.tensor([[5.0, 5, 30, 33], [5, 5, 30, 33], [8, 6, 20, 20.5], [8, 6, 20, 20.5]])
    matches = torch.tensor([0, 1, 0, 1])
    found = targets_of(mixed, matches, boxes, 28, POLYGONS)
    bitmaps = targets_of(mixed, matches, boxes, 28, THRESHOLDED)
    assert torch.equal(found[::2], bitmaps[::2])
    assert not torch.equal(found[1], bitmaps[1])
    assert not torch.equal(found[3], bitmaps[3])


def test_masks_that_bring_no_polygons_at_all_get_their_thresholded_bitmaps():
    boxes, matches = torch.tensor([[9.0, 19, 17.5, 27], [0, 1, 5, 3.5]]), torch.tensor([0, 1])
    found, bitmaps = (targets_of(masks(), matches, boxes, 7, settings) for settings in (POLYGONS, THRESHOLDED))
    assert torch.equal(found, bitmaps)
    assert 0 < bitmaps.mean() < 1


@pytest.mark.parametrize(("wrong", "kind"), [(None, "NoneType"), (ObjectMasks.of([], (9, 9)), "ObjectMasks")])
def test_targets_of_other_masks_are_refused(wrong, kind):
    with pytest.raises(ValueError, match=f"MaskCrops.*{kind}"):
        targets_of(wrong, torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4), 6, SOFT)


@pytest.mark.parametrize("settings", [SOFT, THRESHOLDED, POLYGONS])
def test_no_proposals_have_no_targets(settings):
    none = torch.zeros(0, dtype=torch.int64)
    assert targets_of(masks(), none, torch.zeros(0, 4), 6, settings).shape == (0, 6, 6)
    assert targets_of(MaskCrops.of([], (9, 9)), none, torch.zeros(0, 4), 6, settings).shape == (0, 6, 6)
