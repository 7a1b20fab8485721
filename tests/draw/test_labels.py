import numpy as np
from PIL import Image

from maskrcnn.draw.images import Label, draw_labels

RED, GREEN = (255, 0, 0), (0, 255, 0)


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
