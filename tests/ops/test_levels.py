import pytest
import torch

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
