from dataclasses import replace

import numpy as np
import pytest
import torch
from pycocotools import mask as oracle

from maskrcnn.data.geometry import Geometry, move_boxes
from maskrcnn.structures.annotated_masks import ObjectMasks
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.keypoint_schema import KeypointSchema


def geometry(**changes) -> Geometry:
    nothing = {"window": (0, 0, 6, 4), "mirrored": False, "upside_down": False, "turns": 0, "size": (4, 6)}
    return Geometry(**(nothing | changes))


def objects(bitmaps: np.ndarray, crowd: list[bool] | None = None) -> Instances:
    texts = [oracle.encode(np.asfortranarray(bitmap.astype(np.uint8))) for bitmap in bitmaps]
    x, y, width, height = np.array([oracle.toBbox(text) for text in texts]).reshape(-1, 4).T
    size = bitmaps.shape[1:]
    return Instances(
        size=size,
        boxes=torch.tensor(np.stack([x, y, x + width, y + height], axis=1), dtype=torch.float32),
        labels=torch.arange(len(bitmaps)),
        crowd=None if crowd is None else torch.tensor(crowd),
        masks=ObjectMasks.of([text["counts"] for text in texts], size),
    )


CHANGES = [
    {},
    {"mirrored": True},
    {"upside_down": True},
    {"turns": 1, "size": (6, 4)},
    {"turns": 2},
    {"turns": 3, "size": (6, 4)},
    {"window": (1, 1, 4, 3), "mirrored": True, "turns": 1, "size": (4, 3)},
    {"window": (2, 0, 3, 4), "mirrored": True, "upside_down": True, "turns": 3, "size": (3, 4)},
]


@pytest.mark.parametrize("changes", CHANGES)
def test_masks_and_boxes_go_where_the_pixels_go(changes: dict):
    bitmaps = np.random.default_rng(0).random((5, 4, 6)) < 0.3
    move = geometry(**changes)
    moved = move.move_objects(objects(bitmaps))
    expected = move.move_pixels(torch.from_numpy(bitmaps)).numpy()
    kept = [i for i in range(5) if expected[i].any()]
    assert moved.labels.tolist() == kept
    for place, i in enumerate(kept):
        assert (moved.masks.bitmap(place) == expected[i]).all()
        rows, columns = np.nonzero(expected[i])
        tight = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert moved.boxes[place].tolist() == tight


@pytest.mark.parametrize("changes", CHANGES)
def test_classes_of_pixels_go_where_the_pixels_go(changes: dict):
    values = torch.randint(256, (4, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    move = geometry(**changes)
    assert torch.equal(move.move_map(values), move.move_pixels(values[None])[0])


def test_classes_of_pixels_are_those_of_the_nearest_pixel():
    values = torch.arange(24, dtype=torch.uint8).reshape(4, 6)
    assert geometry(size=(2, 3)).move_map(values).tolist() == [[7, 9, 11], [19, 21, 23]]
    larger = geometry(size=(8, 12)).move_map(values)
    assert torch.equal(larger, values.repeat_interleave(2, dim=0).repeat_interleave(2, dim=1))


def test_boxes_are_scaled_exactly_masks_to_the_nearest_pixel_and_cut_boxes_surround_what_is_left():
    bitmap = np.zeros((1, 4, 6), dtype=bool)
    bitmap[0, 1:3, 1:5] = True
    moved = geometry(size=(10, 15)).move_objects(objects(bitmap))
    assert moved.boxes.tolist() == [[2.5, 2.5, 12.5, 7.5]]
    assert moved.masks.windows.tolist() == [[2, 2, 12, 7]]
    bitmap[:] = False
    bitmap[0, 0, :] = bitmap[0, :, 0] = True  # an L: the right half of its box holds only the first row
    moved = geometry(window=(2, 0, 4, 4), size=(4, 4)).move_objects(objects(bitmap))
    assert moved.boxes.tolist() == [[0, 0, 4, 1]]


def test_objects_without_a_pixel_or_thinner_than_a_pixel_are_dropped():
    bitmaps = np.zeros((3, 4, 6), dtype=bool)
    bitmaps[0, 0, 0] = bitmaps[1, :, 3:] = bitmaps[2, 1, 1:5] = True
    assert geometry(window=(3, 0, 3, 4), size=(4, 3)).move_objects(objects(bitmaps)).labels.tolist() == [1, 2]
    assert geometry(size=(2, 3)).move_objects(objects(bitmaps)).labels.tolist() == [1]


def test_crowds_are_left_out_and_no_objects_are_legal():
    moved = geometry().move_objects(objects(np.ones((3, 4, 6), dtype=bool), crowd=[False, True, False]))
    assert (moved.labels.tolist(), moved.crowd) == ([0, 2], None)
    moved = geometry(mirrored=True).move_objects(objects(np.zeros((0, 4, 6), dtype=bool)))
    assert moved.boxes.shape == (0, 4)
    assert len(moved.masks) == len(moved.labels) == 0


def test_a_box_turned_by_45_degrees_lies_in_an_upright_one():
    half = np.sqrt(0.5)
    boxes = move_boxes(
        torch.tensor([[0.0, 0, 2, 2]], dtype=torch.float64), np.array([[half, -half, 0], [half, half, 0]])
    )
    assert boxes[0].tolist() == pytest.approx([-np.sqrt(2), 0, np.sqrt(2), np.sqrt(8)])


def test_polygons_of_the_objects_that_are_kept_move_along():
    polygons = [np.array([[x, 0.0], [x + 2, 0.0], [x + 2, 4.0], [x, 4.0]]) for x in (0.0, 4.0)]
    instances = Instances(
        size=(4, 6),
        boxes=torch.tensor([[0.0, 0, 2, 4], [4, 0, 6, 4]]),
        labels=torch.tensor([0, 1]),
        masks=ObjectMasks.of([(polygon,) for polygon in polygons], (4, 6)),
    )
    moved = geometry(window=(3, 0, 3, 4), mirrored=True, size=(8, 6)).move_objects(instances)
    assert moved.labels.tolist() == [1]
    assert moved.masks.polygons_of(0)[0].tolist() == [[4, 0], [0, 0], [0, 8], [4, 8]]


PAIR = KeypointSchema(("left_eye", "right_eye", "beak"), flip_pairs=((0, 1),), edges=(), sigmas=(0.05,) * 3)


def with_keypoints(points: list[list[float]]) -> Instances:
    everything = objects(np.ones((1, 4, 6), dtype=bool))
    return replace(everything, keypoints=torch.tensor([points]))


@pytest.mark.parametrize("changes", CHANGES)
def test_keypoints_go_where_the_pixels_go_and_swap_with_the_sides(changes: dict):
    points = [[2.5, 1.5, 2], [3.5, 2.5, 1], [2.5, 2.5, 2]]
    move = geometry(**changes)
    found = move.move_objects(with_keypoints(points), PAIR).keypoints[0]
    swapped = changes.get("mirrored", False) != changes.get("upside_down", False)
    for place, (x, y, visibility) in enumerate(points):
        image = torch.zeros(1, 4, 6)
        image[0, int(y), int(x)] = 1
        _, row, column = move.move_pixels(image).nonzero()[0].tolist()
        keypoint = found[{0: 1, 1: 0}.get(place, place) if swapped else place]
        assert keypoint.tolist() == [column + 0.5, row + 0.5, visibility]


def test_a_mirror_image_of_a_mirror_image_has_the_keypoints_of_the_image():
    there = geometry(mirrored=True, size=(12, 18))
    once = with_keypoints([[2.5, 1.5, 2], [3.5, 2.5, 1], [0, 0, 0]])
    twice = there.move_objects(once, PAIR)
    masks = ObjectMasks.of([(np.array([[0.0, 0], [18, 0], [18, 12], [0, 12]]),)], (12, 18))
    back = geometry(window=(0, 0, 18, 12), mirrored=True).move_objects(replace(twice, masks=masks), PAIR)
    torch.testing.assert_close(back.keypoints, once.keypoints)


def test_keypoints_outside_of_a_crop_count_as_not_annotated():
    points = [[1.5, 1.5, 2], [4.5, 2.5, 1], [4.5, 0.5, 0]]
    moved = geometry(window=(2, 0, 4, 4), size=(8, 8)).move_objects(with_keypoints(points), PAIR)
    assert moved.keypoints.tolist() == [[[0, 0, 0], [5, 5, 1], [0, 0, 0]]]


def test_keypoints_are_not_mirrored_blindly():
    with pytest.raises(ValueError, match="keypoint_schema"):
        geometry(mirrored=True).move_objects(with_keypoints([[1, 1, 2]] * 3))


@pytest.mark.parametrize("changes", CHANGES)
def test_proposals_go_where_boxes_go(changes: dict):
    bitmaps = np.random.default_rng(1).random((6, 4, 6)) < 0.2
    found = objects(bitmaps)
    move = geometry(**changes)
    whole = geometry(**changes | {"window": (0, 0, 6, 4)}) == move
    moved = move.move_proposals(found.boxes)
    if whole:
        torch.testing.assert_close(moved, move.move_objects(found).boxes)
    for x1, y1, x2, y2 in moved.tolist():
        assert 0 <= x1 < x2 <= move.size[1]
        assert 0 <= y1 < y2 <= move.size[0]


def test_proposals_are_cut_at_the_edges_of_a_crop_and_those_outside_are_dropped():
    boxes = torch.tensor([[0, 0, 3, 4], [0, 0, 2, 4], [3, 1, 5, 2], [1, 0, 6, 4]], dtype=torch.float32)
    moved = geometry(window=(2, 0, 4, 4), size=(8, 8)).move_proposals(boxes)
    assert moved.tolist() == [[0, 0, 2, 8], [2, 2, 6, 4], [0, 0, 8, 8]]
    assert geometry().move_proposals(boxes[:0]).shape == (0, 4)
