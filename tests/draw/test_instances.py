import tracemalloc

import numpy as np
import pytest
import torch

from maskrcnn.draw.images import GRAY, WHITE, font_size, line_width, object_colors
from maskrcnn.draw.instances import LEFT, RIGHT, TINT, draw_instances, draw_skeletons, side_colors
from maskrcnn.structures.classes import COCO_PERSON, Classes, KeypointSchema
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.masks import Crop, MaskCrops

CLASSES = Classes(("cat", "dog"), (1, 2))
CELLS = Classes(("cell",), (1,))
OWL = KeypointSchema(("left_eye", "right_eye", "beak"), ((0, 1),), edges=((0, 2), (0, 1)), sigmas=(0.05,) * 3)


def squares(*corners: tuple[int, int], side: int = 20, size: tuple[int, int] = (100, 100), **more) -> Instances:
    """Square objects at (x, y)."""
    crops = [Crop(x, y, np.ones((side, side), dtype=bool)) for x, y in corners]
    boxes = torch.tensor([[x, y, x + side, y + side] for x, y in corners], dtype=torch.float32).reshape(-1, 4)
    labels = torch.zeros(len(corners), dtype=torch.int64)
    return Instances(size, boxes, labels, **({"masks": MaskCrops.of(crops, size)} | more))


def black(height: int = 100, width: int = 100) -> torch.Tensor:
    return torch.zeros(3, height, width, dtype=torch.uint8)


def color_at(image: torch.Tensor, x: int, y: int) -> tuple:
    return tuple(image[:, y, x].tolist())


def test_an_object_is_tinted_inside_and_outlined_in_its_color():
    color = object_colors(1)[0]
    drawn = draw_instances(black(), squares((40, 50)), CELLS)
    assert color_at(drawn, 50, 60) == pytest.approx([TINT * part for part in color], abs=1)
    assert color_at(drawn, 40, 50) == color_at(drawn, 59, 69) == color
    assert color_at(drawn, 39, 60) == color_at(drawn, 60, 60) == (0, 0, 0)


def test_objects_that_touch_have_their_own_polygons():
    first, second = object_colors(2)
    drawn = draw_instances(black(), squares((40, 50), (60, 50)), CELLS)
    assert color_at(drawn, 59, 60) == first
    assert color_at(drawn, 60, 60) == second


def test_a_small_object_on_a_large_one_is_seen():
    small, large = squares((45, 45), side=10), squares((20, 20), side=60)
    both = Instances(
        size=(100, 100),
        boxes=torch.cat([small.boxes, large.boxes]),
        labels=torch.zeros(2, dtype=torch.int64),
        masks=MaskCrops.of([small.masks.crop(0), large.masks.crop(0)], (100, 100)),
    )
    upper, lower = object_colors(2)
    drawn = draw_instances(black(), both, CELLS)
    assert color_at(drawn, 45, 50) == upper
    mixed = [(1 - TINT) * TINT * below + TINT * above for below, above in zip(lower, upper)]
    assert color_at(drawn, 50, 50) == pytest.approx(mixed, abs=2)


@pytest.mark.parametrize("channels_last", [False, True])
def test_the_callers_image_stays_as_it_is(channels_last):
    image = black().permute(1, 2, 0).contiguous().permute(2, 0, 1) if channels_last else black()
    drawn = draw_instances(image, squares((40, 50)), CELLS)
    assert not image.any()
    assert drawn.any()
    assert (drawn.dtype, drawn.shape) == (torch.uint8, (3, 100, 100))


def test_predictions_below_the_score_threshold_are_left_out():
    instances = squares((40, 50), (0, 0), scores=torch.tensor([0.4, 0.2]))
    assert not draw_instances(black(), instances, CELLS).any()
    assert draw_instances(black(), instances, CELLS, score_threshold=0.3)[:, 50:70, 40:60].any()


def test_no_objects_and_objects_without_pixels_draw_nothing():
    assert not draw_instances(black(), squares(), CLASSES).any()
    nothing = MaskCrops.of([Crop(0, 0, np.zeros((0, 0), dtype=bool))], (100, 100))
    assert not draw_instances(black(), squares((40, 50), masks=nothing), CELLS).any()


def test_without_masks_boxes_are_drawn():
    drawn = draw_instances(black(), squares((40, 50), masks=None), CELLS)
    assert color_at(drawn, 40, 60) == color_at(drawn, 59, 60) == object_colors(1)[0]
    assert color_at(drawn, 50, 60) == (0, 0, 0)


def test_crowds_are_gray():
    drawn = draw_instances(black(), squares((40, 50), crowd=torch.tensor([True])), CELLS)
    assert color_at(drawn, 40, 60) == GRAY


def test_labels_are_written_where_classes_differ():
    above = draw_instances(black(), squares((40, 50)), CLASSES)[:, 30:50]
    assert above.any()
    assert not draw_instances(black(), squares((40, 50)), CELLS)[:, 30:50].any()


def test_an_enlarged_drawing_has_labels_of_its_own_size_above_the_enlarged_object():
    drawn = draw_instances(black(), squares((40, 50)), CLASSES, scale=4)
    assert drawn.shape == (3, 400, 400)
    assert color_at(drawn, 4 * 40, 4 * 60) == object_colors(1)[0]
    written = torch.nonzero(drawn[:, : 4 * 50].any(dim=0).any(dim=1)).flatten()
    assert 4 * 50 - 2 * font_size((400, 400)) <= written.min() <= written.max() < 4 * 50


@pytest.mark.parametrize(("count", "labeled"), [(0, False), (1, True), (10, True), (11, False)])
def test_scores_of_one_class_are_written_for_few_objects_only(count, labeled):
    instances = squares(*[(100 * i, 50) for i in range(count)], size=(100, 1200), scores=torch.ones(count))
    assert draw_instances(black(100, 1200), instances, CELLS)[:, :50].any() == labeled


@pytest.mark.parametrize(("size", "line", "font"), [((64, 64), 1, 9), ((480, 640), 2, 14), ((3000, 4000), 10, 87)])
def test_lines_and_letters_grow_with_the_image(size, line, font):
    assert (line_width(size), font_size(size)) == (line, font)


@pytest.mark.parametrize("size", [(1, 1), (40, 12000)])
def test_images_of_strange_shapes_can_be_drawn_on(size):
    instances = squares((0, 0), side=1, size=size)
    assert draw_instances(black(*size), instances, CLASSES).shape == (3, *size)


def test_many_objects_in_a_large_image_need_no_large_masks():
    corners = [(20 * (i % 90), 20 * (i // 90)) for i in range(300)]
    image, instances = black(1500, 2000), squares(*corners, size=(1500, 2000))
    tracemalloc.start()
    draw_instances(image, instances, CELLS)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 6 * image.numel()  # a few copies of the image; 300 bitmaps of its size would be 100 times as much


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
