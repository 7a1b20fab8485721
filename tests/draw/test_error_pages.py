import numpy as np
import pytest
import torch

from maskrcnn.draw.error_pages import COLORS, DrawnObjects, Entry, ErrorPage, draw_error_index, draw_error_page
from maskrcnn.structures.classes import KeypointSchema
from maskrcnn.structures.instances import Instances
from tests.draw.test_instances import black, squares

NOTHING = DrawnObjects(squares(), [], [])
HEADINGS = ("annotated", "predicted")


def page(annotated=NOTHING, predicted=NOTHING, *, words="", image=None, **more):
    return ErrorPage("a.png", words, black() if image is None else image, annotated, predicted, HEADINGS, {}, **more)


def pixels(drawn, color):
    """[h, w] where a drawing has exactly a color."""
    return (drawn.permute(1, 2, 0).numpy() == np.array(color)).all(axis=-1)


def left_and_right(drawn, color):
    """Whether a color is in the left and in the right image, above the legend."""
    found = pixels(drawn, color)[:-40]
    half = found.shape[1] // 2
    return bool(found[:, :half].any()), bool(found[:, half:].any())


def test_annotated_objects_are_left_and_predicted_ones_right_in_the_colors_of_their_kinds():
    annotated = DrawnObjects(squares((10, 10), (60, 60)), ["right", "missed"], ["", ""])
    predicted = DrawnObjects(squares((10, 10), (10, 60)), ["right", "background"], ["", ""])
    drawn = draw_error_page(page(annotated, predicted), tile=200)
    assert left_and_right(drawn, COLORS["right"]) == (True, True)
    assert left_and_right(drawn, COLORS["missed"]) == (True, False)
    assert left_and_right(drawn, COLORS["background"]) == (False, True)
    assert left_and_right(drawn, COLORS["duplicate"]) == (False, False)


def test_the_legend_has_the_kinds_that_are_there_only():
    annotated = DrawnObjects(squares((10, 10)), ["missed"], [""])
    legend = draw_error_page(page(annotated), tile=200)[:, -36:]
    assert pixels(legend, COLORS["missed"]).sum() > 100
    assert not pixels(legend, COLORS["right"]).any()


def test_errors_are_tinted_and_what_is_right_is_only_outlined():
    for kind, tinted in (("right", False), ("ignored", False), ("localization", True)):
        drawn = draw_error_page(page(DrawnObjects(squares((20, 20), side=60), [kind], [""])), tile=100)
        left = drawn[:, :, :110]
        inside = left.permute(1, 2, 0).numpy().astype(int)
        faint = (inside.max(axis=-1) > 20) & (inside.max(axis=-1) < 100)
        assert (faint.sum() > 2000) == tinted


def test_errors_are_labeled_before_what_is_right():
    objects = squares((30, 50), (30, 50), side=40)
    objects = Instances(objects.size, objects.boxes, objects.labels, torch.tensor([0.9, 0.1]), masks=objects.masks)
    drawn = draw_error_page(page(predicted=DrawnObjects(objects, ["right", "duplicate"], ["0.9", "0.1"])), tile=300)
    first, second = (pixels(drawn, COLORS[kind])[:-40].any(axis=1).argmax() for kind in ("duplicate", "right"))
    assert first < second - 5  # above the object, where the other label would be if it came first


def test_the_page_is_as_high_as_its_words_need():
    short, long = (draw_error_page(page(words="missed " * count), tile=300) for count in (1, 100))
    assert long.shape[1] > short.shape[1] + 100
    assert long.shape[2] == short.shape[2]


@pytest.mark.parametrize("size", [(30, 90), (900, 300)])
def test_images_are_scaled_to_the_tile(size):
    drawn = draw_error_page(page(image=black(*size) + 77), tile=300)
    gray = pixels(drawn, (77, 77, 77))
    longer = gray.sum(axis=1).max() / 2 if size[1] > size[0] else gray.sum(axis=0).max()
    assert longer == pytest.approx(300, abs=1)


def test_keypoints_and_boxes_are_drawn_without_masks():
    keypoint_schema = KeypointSchema(("left_a", "right_a"), ((0, 1),), ((0, 1),), (0.05, 0.05))
    points = torch.tensor([[[30.0, 50.0, 2.0], [70.0, 50.0, 2.0]]])
    person = Instances((100, 100), torch.tensor([[20.0, 20.0, 80.0, 80.0]]), torch.zeros(1).long(), keypoints=points)
    objects = DrawnObjects(person, ["missed"], ["person"])
    with_lines = draw_error_page(page(objects, keypoint_schema=keypoint_schema), tile=200)
    assert left_and_right(with_lines, COLORS["missed"]) == (True, False)
    assert not torch.equal(with_lines, draw_error_page(page(objects), tile=200))


def test_the_index_has_a_row_for_each_page_and_may_be_empty():
    entries = [
        Entry(torch.full((3, 200, 300), 40 * n, dtype=torch.uint8), f"{n}. " + "x" * 200, "missed 3") for n in (1, 2)
    ]
    index = draw_error_index(entries, title="worst", page_width=150)
    assert index.shape[2] == 2 * 150 + 12
    for n in (1, 2):
        assert pixels(index, (40 * n,) * 3).sum() == pytest.approx(150 * 100, rel=0.02)
    assert draw_error_index([], title="worst").dtype == torch.uint8
