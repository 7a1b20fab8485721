import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools import mask as oracle

from maskrcnn.structures.annotated_masks import ObjectMasks
from maskrcnn.structures.masks import Crop, tight_crop

SHARED = Path(os.environ.get("MASKRCNN_SHARED", Path(__file__).parents[2] / "../shared"))
SQUARE = (np.array([[1.0, 1.0], [4.0, 1.0], [4.0, 3.0], [1.0, 3.0]]),)


def text_of(bitmap: np.ndarray) -> bytes:
    return oracle.encode(np.asfortranarray(bitmap.astype(np.uint8)))["counts"]


def blob(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    bitmap = np.zeros(size, dtype=bool)
    bitmap[size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] * 3 // 4] = True
    return bitmap & (generator.random(size) < 0.8)


def mirrored(width: int) -> np.ndarray:
    return np.array([[-1.0, 0.0, width], [0.0, 1.0, 0.0]])


def moved(x: float, y: float) -> np.ndarray:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])


def scaled(x: float, y: float) -> np.ndarray:
    return np.array([[x, 0.0, 0.0], [0.0, y, 0.0]])


def coco_small() -> list[tuple[tuple[int, int], list | dict]]:
    file = SHARED / "data/coco_small/instances_val.json"
    if not file.exists():
        pytest.skip("needs shared/data/coco_small")
    data = json.loads(file.read_text())
    sizes = {image["id"]: (image["height"], image["width"]) for image in data["images"]}
    return [(sizes[one["image_id"]], one["segmentation"]) for one in data["annotations"]]


def source_of(segmentation: list | dict, size: tuple[int, int]):
    if isinstance(segmentation, dict):
        return oracle.frPyObjects(segmentation, *size)["counts"]
    return tuple(np.array(polygon).reshape(-1, 2) for polygon in segmentation)


def coco_bitmap(segmentation: list | dict, size: tuple[int, int]) -> np.ndarray:
    rle = oracle.frPyObjects(segmentation, *size)
    return oracle.decode(oracle.merge(rle) if isinstance(rle, list) else rle).astype(bool)


def test_a_square_covers_the_pixels_inside_it():
    x, y, bitmap = ObjectMasks.of([SQUARE], (5, 6)).crop(0)
    assert (x, y, bitmap.shape) == (1, 1, (2, 3))
    assert bitmap.all()


def test_parts_of_one_object_are_united():
    away = (np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]),)
    assert ObjectMasks.of([SQUARE + away], (5, 6)).crop(0).bitmap.sum() == 7


def test_parts_may_overlap_and_lie_outside_of_the_image():
    parts = [
        np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]])
        for x, y, w, h in ((1.0, 2.0, 5.0, 4.0), (4.0, 0.0, 3.0, 9.0), (40.0, 2.0, 3.0, 3.0), (9.0, 7.0, 1.0, 2.0))
    ]
    masks = ObjectMasks.of([tuple(parts), tuple(parts[2:3] * 2)], (12, 20))
    expected = coco_bitmap([part.ravel().tolist() for part in parts], (12, 20))
    assert (masks.bitmap(0) == expected).all()
    assert masks.crop(0)[:2] == (1, 0)
    assert masks.crop(1).bitmap.shape == (0, 0)


def test_pixels_are_those_of_coco_on_real_annotations():
    for size, segmentation in coco_small():
        masks = ObjectMasks.of([source_of(segmentation, size)], size)
        assert (masks.bitmap(0) == coco_bitmap(segmentation, size)).all()


def test_a_crop_by_whole_pixels_keeps_the_pixels_of_real_annotations():
    generator = np.random.default_rng(0)
    for size, segmentation in coco_small()[::5]:
        top, left = (int(generator.integers(0, side // 2)) for side in size)
        height, width = size[0] // 2, size[1] // 2
        masks = ObjectMasks.of([source_of(segmentation, size)], size).transformed(moved(-left, -top), (height, width))
        expected = coco_bitmap(segmentation, size)[top : top + height, left : left + width]
        assert (masks.bitmap(0) == expected).all()


@pytest.mark.parametrize("source", [SQUARE, text_of(blob((5, 6)))])
def test_a_flipped_mask_is_the_mirror_image_and_flips_back(source):
    masks = ObjectMasks.of([source], (5, 6))
    flipped = masks.transformed(mirrored(6), (5, 6))
    assert (flipped.bitmap(0) == masks.bitmap(0)[:, ::-1]).all()
    assert (flipped.transformed(mirrored(6), (5, 6)).bitmap(0) == masks.bitmap(0)).all()


@pytest.mark.parametrize("source", [SQUARE, text_of(blob((5, 6)))])
def test_a_quarter_turn_is_exact(source):
    masks = ObjectMasks.of([source], (5, 6))
    turned = masks.transformed(np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 6.0]]), (6, 5))
    assert (turned.bitmap(0) == np.rot90(masks.bitmap(0))).all()


def test_rle_grow_by_repeating_pixels():
    bitmap = np.array([[0, 0, 0], [0, 1, 0], [0, 1, 1]], dtype=bool)
    masks = ObjectMasks.of([text_of(bitmap)], (3, 3)).transformed(scaled(3, 2), (6, 9))
    assert (masks.bitmap(0) == bitmap.repeat(2, axis=0).repeat(3, axis=1)).all()


def test_a_scaled_bitmap_has_the_nearest_pixel_everywhere():
    bitmap, size = blob((40, 50)), (27, 61)
    factors = np.array([61 / 50, 27 / 40])
    masks = ObjectMasks.of([text_of(bitmap)], (40, 50)).transformed(scaled(*factors), size)
    expected = [
        [bitmap[int((y + 0.5) / factors[1]), int((x + 0.5) / factors[0])] for x in range(61)] for y in range(27)
    ]
    assert (masks.bitmap(0) == np.array(expected)).all()


def test_a_turned_bitmap_has_the_nearest_pixel_everywhere():
    bitmap, angle = blob((40, 50)), 0.3
    affine = np.array([[np.cos(angle), -np.sin(angle), 9.0], [np.sin(angle), np.cos(angle), -4.0]])
    masks = ObjectMasks.of([text_of(bitmap)], (40, 50)).transformed(affine, (45, 55))
    back = np.linalg.inv(np.vstack([affine, [0, 0, 1]]))
    expected = np.zeros((45, 55), dtype=bool)
    for y in range(45):
        for x in range(55):
            column, row, _ = np.floor(back @ (x + 0.5, y + 0.5, 1)).astype(int)
            expected[y, x] = 0 <= row < 40 and 0 <= column < 50 and bitmap[row, column]
    assert (masks.bitmap(0) == expected).all()


def test_polygons_are_scaled_before_they_become_pixels():
    triangle = (np.array([[1.0, 1.0], [9.0, 2.0], [5.0, 8.0]]),)
    masks = ObjectMasks.of([triangle], (10, 10)).transformed(scaled(4, 4), (40, 40))
    assert (masks.bitmap(0) == coco_bitmap([(triangle[0] * 4).ravel().tolist()], (40, 40))).all()


def test_transforms_follow_one_another():
    steps = ObjectMasks.of([SQUARE], (5, 6)).transformed(moved(1, 0), (5, 7)).transformed(scaled(2, 2), (10, 14))
    at_once = ObjectMasks.of([SQUARE], (5, 6)).transformed(np.array([[2.0, 0, 2], [0, 2, 0]]), (10, 14))
    assert (steps.bitmap(0) == at_once.bitmap(0)).all()


@pytest.mark.parametrize("affine", [moved(-5, 0), moved(0, 20), moved(6.5, 0.5)])
@pytest.mark.parametrize("source", [SQUARE, text_of(blob((5, 6)))])
def test_an_object_outside_the_image_has_an_empty_crop(source, affine: np.ndarray):
    assert ObjectMasks.of([source], (5, 6)).transformed(affine, (5, 6)).crop(0).bitmap.shape == (0, 0)


def test_no_objects_are_legal():
    masks = ObjectMasks.of([], (5, 6))
    assert len(masks) == len(masks.crops()) == len(masks[torch.zeros(0, dtype=torch.bool)]) == 0


def test_objects_are_chosen_by_mask_numbers_and_slice():
    masks = ObjectMasks.of([SQUARE, text_of(blob((5, 6))), SQUARE], (5, 6))
    assert masks[torch.tensor([False, True, False])].sources == masks.sources[1:2]
    assert masks[torch.tensor([2, 1])].sources == (masks.sources[2], masks.sources[1])
    assert masks[1:].to("cpu").sources == masks.sources[1:]


def test_crops_pack_the_same_pixels():
    masks = ObjectMasks.of([SQUARE, text_of(blob((5, 6)))], (5, 6))
    assert all((masks.crops().bitmap(i) == masks.bitmap(i)).all() for i in range(2))


@pytest.mark.parametrize("kind", ["polygon", "two polygons", "RLE"])
def test_a_small_object_in_a_big_image_needs_no_image_sized_memory(kind: str):
    size = (6000, 8000)
    polygon = (np.array([[4000.0, 3000], [4030, 3000], [4030, 3020], [4000, 3020]]),)
    again = {"polygon": polygon, "two polygons": polygon * 2}
    source = again[kind] if kind in again else oracle.frPyObjects([polygon[0].ravel().tolist()], *size)[0]["counts"]
    masks = ObjectMasks.of([source] * 20, size)
    tracemalloc.start()
    assert masks.crops().pixels.sum() == 20 * 600
    assert masks.transformed(scaled(0.5, 0.5), (3000, 4000)).crops().pixels.sum() == 20 * 150
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_polygons_follow_the_image_and_rle_have_none():
    objects = ObjectMasks.of([SQUARE, text_of(blob((5, 6)))], (5, 6))
    masks = objects.transformed(mirrored(6), (5, 6)).transformed(scaled(2, 3), (15, 12)).crops()
    assert [polygon.tolist() for polygon in masks.polygons_of(0)] == [[[10, 3], [4, 3], [4, 9], [10, 9]]]
    assert masks.polygons_of(1) == ()
    assert SQUARE[0].tolist() == [[1, 1], [4, 1], [4, 3], [1, 3]]


class Stored:
    """A mask that is read from elsewhere."""

    def crop(self) -> Crop:
        return tight_crop(0, 0, blob((8, 6)))


def test_stored_pixels_are_treated_as_rle_are():
    stored, known = (ObjectMasks.of([source], (8, 6)) for source in (Stored(), text_of(blob((8, 6)))))
    for affine, size in ((np.eye(2, 3), (8, 6)), (mirrored(6), (8, 6)), (scaled(1.5, 2), (16, 9))):
        found, expected = (masks.transformed(affine, size).bitmap(0) for masks in (stored, known))
        np.testing.assert_array_equal(found, expected)
    assert stored.polygons_of(0) == ()
