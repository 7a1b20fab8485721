import torch
from torchvision.ops import box_iou

from maskrcnn.ops.boxes import box_overlaps, clip_boxes, pad_boxes, scale_boxes, sides_above


def test_corners_are_moved_into_the_image():
    boxes = torch.tensor([[-5.0, -6.0, 30.0, 40.0], [1.0, 2.0, 3.0, 4.0], [50.0, 60.0, 70.0, 80.0]])
    expected = torch.tensor([[0.0, 0.0, 20.0, 10.0], [1.0, 2.0, 3.0, 4.0], [20.0, 10.0, 20.0, 10.0]])
    assert torch.equal(clip_boxes(boxes, (10, 20)), expected)


def test_boxes_follow_their_resized_image():
    boxes = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert torch.equal(scale_boxes(boxes, (10, 20), (30, 20)), torch.tensor([[1.0, 6.0, 3.0, 12.0]]))


def test_a_box_is_long_enough_if_both_its_sides_are():
    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 9.0, 1.9], [0.0, 0.0, 1.9, 9.0], [5.0, 5.0, 1.0, 1.0]])
    assert sides_above(boxes, 2).tolist() == [True, False, False, False]


def test_a_box_with_a_coordinate_that_is_no_number_is_never_long_enough():
    assert sides_above(torch.tensor([[0.0, 0.0, torch.nan, 5.0]]), 0).tolist() == [False]


def test_no_boxes_stay_no_boxes():
    none = torch.zeros(0, 4)
    assert clip_boxes(none, (5, 5)).shape == scale_boxes(none, (5, 5), (9, 9)).shape == (0, 4)
    assert sides_above(none, 1).shape == (0,)


def test_overlaps_are_torchvisions_image_by_image():
    corners = torch.rand(3, 50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    boxes = torch.cat([corners, corners + corners.flip(1)], dim=2)
    found = box_overlaps(boxes, boxes[:, :20] + 0.1)
    assert found.tolist() == [box_iou(own, own[:20] + 0.1).tolist() for own in boxes]
    assert box_overlaps(boxes[:, :0], boxes).shape == (3, 0, 50)


def test_a_box_that_is_not_there_overlaps_by_no_number():
    boxes = pad_boxes([torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.zeros(0, 4)])
    assert box_overlaps(boxes[:1], boxes[:1]).item() == 1
    assert box_overlaps(boxes, boxes[:1].expand(2, -1, -1))[1].isnan().all()


def test_groups_of_boxes_are_filled_up_to_the_longest_and_to_one():
    one, none = torch.ones(1, 4), torch.zeros(0, 4)
    padded = pad_boxes([one, torch.cat([one, one + 1]), none])
    assert padded[..., 0].nan_to_num(-1).tolist() == [[1, -1], [1, 2], [-1, -1]]
    assert pad_boxes([none, none]).shape == (2, 1, 4)
