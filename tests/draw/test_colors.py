import colorsys
from itertools import pairwise

from maskrcnn.draw.colors import BLACK, WHITE, luminance, object_colours, readable_on


def hue_distance(one, other) -> float:
    difference = abs(colorsys.rgb_to_hsv(*one)[0] - colorsys.rgb_to_hsv(*other)[0])
    return min(difference, 1 - difference)


def test_neighbours_in_the_list_differ_in_hue():
    assert min(hue_distance(one, other) for one, other in pairwise(object_colours(300))) > 0.3


def test_a_colour_does_not_depend_on_how_many_there_are():
    assert object_colours(5) == object_colours(300)[:5]
    assert object_colours(0) == []


def test_many_objects_get_many_colours_that_are_seen_on_black():
    colours = object_colours(200)
    assert len(set(colours)) > 190
    assert min(map(luminance, colours)) >= 94
    assert all(type(part) is int and 0 <= part <= 255 for colour in colours for part in colour)


def test_text_is_black_on_bright_and_white_on_dark():
    assert readable_on((255, 255, 0)) == BLACK
    assert readable_on((60, 60, 200)) == WHITE
