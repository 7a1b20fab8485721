import colorsys
from itertools import pairwise

from maskrcnn.draw.images import BLACK, WHITE, luminance, object_colors, readable_on


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
