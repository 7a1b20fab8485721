import colorsys
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.draw.images import (
    BLACK,
    WHITE,
    Label,
    draw_labels,
    luminance,
    object_colors,
    readable_on,
    scale_image,
    write_image,
)

RED, GREEN = (255, 0, 0), (0, 255, 0)


def test_an_image_is_read_back_as_it_was_written(tmp_path):
    image = torch.arange(3 * 4 * 5, dtype=torch.uint8).reshape(3, 4, 5)
    path = tmp_path / "new" / "drawn.png"
    write_image(path, image)
    assert np.array_equal(np.array(Image.open(path)), image.permute(1, 2, 0).numpy())
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "drawn.png"
    write_image(path, torch.zeros(3, 2, 2, dtype=torch.uint8))
    before = path.read_bytes()
    with pytest.raises(ValueError):
        write_image(path, torch.zeros(3, 0, 2, 2))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("scale", "size"), [(0.5, (10, 2)), (3, (60, 12)), (0.01, (1, 1))])
def test_an_image_is_scaled_by_one_factor_and_never_to_nothing(scale, size):
    assert scale_image(Image.new("RGB", (20, 4)), scale).size == size


def hue_distance(one, other) -> float:
    difference = abs(colorsys.rgb_to_hsv(*one)[0] - colorsys.rgb_to_hsv(*other)[0])
    return min(difference, 1 - difference)


def test_neighbors_in_the_list_differ_in_hue():
    assert min(hue_distance(one, other) for one, other in pairwise(object_colors(300))) > 0.3


def test_a_color_does_not_depend_on_how_many_there_are():
    assert object_colors(5) == object_colors(300)[:5]
    assert object_colors(0) == []


def test_many_objects_get_many_colors_that_are_seen_on_black():
    colors = object_colors(200)
    assert len(set(colors)) > 190
    assert min(map(luminance, colors)) >= 94
    assert all(type(part) is int and 0 <= part <= 255 for color in colors for part in color)


def test_text_is_black_on_bright_and_white_on_dark():
    assert readable_on((255, 255, 0)) == BLACK
    assert readable_on((60, 60, 200)) == WHITE


def drawn(*labels: Label, size: int = 200) -> np.ndarray:
    canvas = Image.new("RGB", (size, size))
    draw_labels(canvas, list(labels), font_size=12)
    return np.array(canvas)


def rows_of(image: np.ndarray, color: tuple) -> tuple[int, int]:
    """First and last row with a color."""
    rows = np.flatnonzero((image == color).all(-1).any(1))
    return int(rows[0]), int(rows[-1])


def has(image: np.ndarray, color: tuple) -> bool:
    return bool((image == color).all(-1).any())


def test_a_label_stands_on_its_object():
    first, last = rows_of(drawn(Label("cat", (50, 100, 150, 180), RED)), RED)
    assert 80 < first < last <= 100


def test_a_label_of_an_object_at_the_top_is_inside_it():
    first, last = rows_of(drawn(Label("cat", (50, 0, 150, 100), RED)), RED)
    assert 0 <= first < last < 20


def test_labels_make_room_for_each_other():
    box = (50, 100, 150, 180)
    image = drawn(Label("cat", box, RED), Label("dog", box, GREEN))
    assert rows_of(image, RED)[1] <= 100
    assert rows_of(image, GREEN)[0] >= 100


def test_a_label_without_room_is_left_out_and_the_first_stays():
    box = (50, 100, 110, 130)
    colors = [(255, number, 0) for number in range(20)]
    image = drawn(*[Label("quite long", box, color) for color in colors])
    assert has(image, colors[0])
    assert not has(image, colors[-1])


def test_a_label_much_larger_than_its_object_is_left_out():
    assert not drawn(Label("a long name", (50, 100, 56, 106), RED)).any()
    assert not drawn(Label("cat", (50, 100, 150, 104), RED)).any()


def test_no_label_leaves_the_image():
    image = drawn(Label("telephone", (160, 100, 200, 180), RED))
    columns = np.flatnonzero((image == RED).all(-1).any(0))
    assert columns[0] > 100  # moved to the left, so that all of it is seen
    assert columns[-1] < 200


def test_no_labels_draw_nothing():
    assert not drawn().any()


def test_a_needed_label_is_written_at_a_small_object_too():
    box = (100, 100, 103, 103)
    assert has(drawn(Label("cat 0.95", box, RED, needed=True)), RED)
    assert not has(drawn(Label("cat 0.95", box, RED)), RED)
