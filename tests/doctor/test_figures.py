import io

import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.doctor import figures

RANDOM = np.random.default_rng(0)
LENGTHS = {"train": RANDOM.lognormal(4, 1, 200), "val": np.zeros(0)}
CASES = {
    "classes": lambda: figures.draw_classes({"train": np.array([3, 900, 0])}, ["cat", "dog", "yeti"]),
    "no classes": lambda: figures.draw_classes({}, []),
    "many classes": lambda: figures.draw_classes({"train": np.arange(80)}, [f"class {n}" for n in range(80)]),
    "sizes": lambda: figures.draw_sizes(LENGTHS, (32, 64), (16, 32)),
    "no sizes": lambda: figures.draw_sizes({}, (), ()),
    "ratios": lambda: figures.draw_ratios({"train": RANDOM.lognormal(0, 2, 50)}, (0.5, 1, 2), ()),
    "overlaps": lambda: figures.draw_overlaps(RANDOM.random(50), RANDOM.random(50)),
    "no overlaps": lambda: figures.draw_overlaps(np.zeros(0), None),
    "numbers": lambda: figures.draw_numbers({"train": np.array([0, 4, 90]), "val": np.zeros(0, dtype=int)}, 100),
    "no numbers": lambda: figures.draw_numbers({}, 100),
    "image sizes": lambda: figures.draw_image_sizes({"train": np.array([[64, 96], [64, 96], [10, 20]])}),
    "no images": lambda: figures.draw_image_sizes({"train": np.zeros((0, 2))}),
    "places": lambda: figures.draw_places(RANDOM.random((30, 2))),
    "no places": lambda: figures.draw_places(np.zeros((0, 2))),
}


@pytest.mark.parametrize("case", CASES)
def test_each_figure_is_an_image_also_of_nothing(case):
    with Image.open(io.BytesIO(CASES[case]())) as figure:
        assert figure.format == "PNG"
        assert figure.width == 528
        assert figure.height >= 280


def test_more_classes_make_a_higher_figure():
    heights = [Image.open(io.BytesIO(CASES[case]())).height for case in ("classes", "many classes")]
    assert heights[1] > 2 * heights[0]


def example(box, size=(100, 200)):
    image = torch.full((3, *size), 90, dtype=torch.uint8)
    image[2] = 250
    return Image.open(io.BytesIO(figures.draw_example(image, box, side=150)))


def test_an_example_without_a_box_is_the_whole_image():
    assert example(None).size == (150, 75)


def test_an_example_is_cut_around_its_box_which_is_red():
    shown = example((100, 20, 140, 60))
    assert shown.size == (150, 150)
    # 40 px with a margin of 14 on each side, enlarged to 150: the box begins at 31.
    red = np.asarray(shown).astype(int)
    assert red[75, 31, 0] > 180
    assert red[75, 75, 0] < 130


@pytest.mark.parametrize("box", [(199, 99, 200, 100), (0, 0, 0.2, 0.2), (0, 0, 200, 100)])
def test_boxes_at_the_border_are_shown(box):
    assert max(example(box).size) == 150
