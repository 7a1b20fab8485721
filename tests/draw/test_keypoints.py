import numpy as np
import torch

from maskrcnn.draw.colors import WHITE
from maskrcnn.draw.instances import draw_instances
from maskrcnn.draw.keypoints import LEFT, RIGHT, draw_skeletons, side_colors
from maskrcnn.structures.classes import COCO_PERSON, Classes, KeypointSchema
from maskrcnn.structures.instances import Instances

OWL = KeypointSchema(("left_eye", "right_eye", "beak"), ((0, 1),), edges=((0, 2), (0, 1)), sigmas=(0.05,) * 3)


def drawn(points: list[list[float]], keypoint_schema: KeypointSchema = OWL) -> np.ndarray:
    canvas = np.full((60, 80, 3), 50, dtype=np.uint8)
    draw_skeletons(canvas, torch.tensor([points]).reshape(-1, len(keypoint_schema), 3), keypoint_schema, 2)
    return canvas


def test_dots_and_lines_have_the_colors_of_their_sides():
    canvas = drawn([[60.5, 10.5, 2], [20.5, 10.5, 1], [60.5, 50.5, 2]])
    assert [tuple(canvas[y, x]) for x, y in ((60, 10), (20, 10), (60, 50))] == [LEFT, RIGHT, WHITE]
    assert tuple(canvas[30, 60]) == LEFT  # from the left eye to the beak
    assert tuple(canvas[10, 40]) == WHITE  # from eye to eye
    assert tuple(canvas[30, 20]) == (50, 50, 50)


def test_lines_are_readable_on_any_image_by_a_dark_border():
    across = drawn([[60.5, 10.5, 2], [20.5, 10.5, 1], [60.5, 50.5, 2]])[30, 55:67].max(axis=1)
    assert across[[0, -1]].tolist() == [50, 50]
    assert (across < 50).sum() >= 2
    assert across.max() == max(LEFT)


def test_what_is_not_annotated_or_uncertain_is_left_out_with_its_lines():
    canvas = drawn([[60.5, 10.5, 0.9], [20.5, 10.5, 0.01], [60.5, 50.5, 0]])
    assert tuple(canvas[10, 60]) == LEFT
    assert (canvas[:, :50] == 50).all()
    assert (canvas[20:] == 50).all()
    assert (drawn([]) == 50).all()


def test_points_far_outside_do_no_harm():
    assert drawn([[1e9, -1e9, 2], [20.5, 10.5, 1], [60.5, 50.5, 2]]).shape == (60, 80, 3)


def test_a_persons_left_side_has_one_color():
    colors = dict(zip(COCO_PERSON.names, side_colors(COCO_PERSON)))
    assert (colors["left_knee"], colors["right_knee"], colors["nose"]) == (LEFT, RIGHT, WHITE)


def test_objects_are_drawn_with_their_keypoints_at_the_drawings_size():
    person = Classes(("owl",), (1,), keypoint_schema=OWL)
    found = Instances(
        (30, 40),
        torch.tensor([[2.0, 2, 38, 28]]),
        torch.tensor([0]),
        torch.tensor([0.9]),
        keypoints=torch.tensor([[[30.25, 15.25, 0.9], [10.25, 15.25, 0.9], [0, 0, 0]]]),
    )
    image = torch.full((3, 30, 40), 50, dtype=torch.uint8)
    large = draw_instances(image, found, person, scale=2)
    assert tuple(large[:, 30, 60].tolist()) == LEFT
    assert tuple(large[:, 30, 20].tolist()) == RIGHT
    hidden = draw_instances(image, found, person, scale=2, score_threshold=0.95)
    assert (hidden == 50).all()
