import pytest
import torch
from torchvision.ops.poolers import LevelMapper

from maskrcnn.ops.levels import assign_levels


@pytest.mark.parametrize(
    ("width", "height", "level"),
    [
        (224, 224, 4),
        (223, 223, 3),
        (112, 112, 3),
        (111, 112, 2),
        (448, 448, 5),
        (447, 448, 4),
        (112, 448, 4),  # its root of the area is 224
        (10, 10, 2),
        (5000, 5000, 5),
        (0, 50, 2),
        (0, 0, 2),
        (-300, -300, 2),
    ],
)
def test_a_box_goes_to_the_level_of_its_size(width, height, level):
    assert assign_levels(torch.tensor([[7.0, 9.0, 7.0 + width, 9.0 + height]])).tolist() == [level]


def test_levels_stay_among_those_that_exist():
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 900.0, 900.0]])
    assert assign_levels(boxes, finest=3, coarsest=4).tolist() == [3, 4]


def test_no_boxes_have_no_levels():
    levels = assign_levels(torch.zeros(0, 4))
    assert levels.shape == (0,)
    assert levels.dtype == torch.int64


def test_one_level_takes_every_box():
    assert assign_levels(torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 900.0, 900.0]]), 4, 4).tolist() == [4, 4]


def many_boxes(dtype) -> torch.Tensor:
    """Squares around the borders of the levels, by as little as a float can, and any others."""
    borders = torch.tensor([112.0, 224.0, 448.0], dtype=dtype)[:, None] * (1 + torch.arange(-30, 31) * 1e-7)
    random = torch.rand(500, dtype=dtype, generator=torch.Generator().manual_seed(0)) * 900
    sides = torch.cat([borders.to(dtype).flatten(), random, torch.zeros(1, dtype=dtype)])
    return torch.stack([torch.zeros_like(sides), torch.zeros_like(sides), sides, sides], dim=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_levels_are_those_of_torchvision(dtype):
    boxes = many_boxes(dtype)
    assert torch.equal(assign_levels(boxes), LevelMapper(2, 5)([boxes]) + 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_levels_are_those_of_detectron2_with_its_slack(dtype):
    boxes = many_boxes(dtype)
    sides = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sqrt()
    expected = torch.floor(4 + torch.log2(sides / 224 + 1e-8)).clamp(2, 5)
    assert torch.equal(assign_levels(boxes, slack=(1e-8, 0.0)), expected.long())


def test_levels_are_those_of_mmdetection_with_its_slack():
    boxes = many_boxes(torch.float64)
    sides = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sqrt()
    expected = torch.floor(torch.log2(sides / 56 + 1e-6)).clamp(0, 3)
    found = assign_levels(boxes, slack=(2.5e-7, 0.0)) - 2
    assert torch.equal(found, expected.long())
    assert not torch.equal(found, assign_levels(boxes, slack=(0.0, 0.0)) - 2)
