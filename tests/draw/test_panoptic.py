import pytest
import torch

from maskrcnn.draw.colors import object_colours
from maskrcnn.draw.panoptic import TINT, draw_panoptic, segment_colours
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.panoptic import Panoptic, Segment

CLASSES = Classes(("cat",), (1,), stuff=("sky", "grass"), stuff_ids=(2, 3))
THING, GRASS = Segment(1, 0, True, 400, score=0.9, instance=0), Segment(2, 1, False, 1200)


def scene(*segments: Segment) -> Panoptic:
    """A square thing at (10, 10) of 20 px; grass in the lower part; nothing elsewhere."""
    ids = torch.zeros(60, 40, dtype=torch.int32)
    for segment in segments:
        if segment.is_thing:
            ids[10:30, 10:30] = segment.id
        else:
            ids[30:] = segment.id
    return Panoptic(ids, list(segments))


def grey(height: int = 60, width: int = 40) -> torch.Tensor:
    return torch.full((3, height, width), 100, dtype=torch.uint8)


def colour_at(picture: torch.Tensor, x: int, y: int) -> tuple:
    return tuple(picture[:, y, x].tolist())


def test_a_segment_is_tinted_inside_and_outlined_in_its_colour():
    picture = scene(THING, GRASS)
    first, second = segment_colours(picture.segments, 2)
    drawn = draw_panoptic(grey(), picture, CLASSES)
    assert colour_at(drawn, 12, 26) == pytest.approx([(1 - TINT) * 100 + TINT * part for part in first], abs=1)
    assert colour_at(drawn, 5, 50) == pytest.approx([(1 - TINT) * 100 + TINT * part for part in second], abs=1)
    assert (colour_at(drawn, 20, 29), colour_at(drawn, 20, 30)) == (first, second)
    assert colour_at(drawn, 5, 5) == colour_at(drawn, 9, 20) == (100, 100, 100)


def test_stuff_has_the_same_colour_in_every_picture_and_things_have_their_own():
    stuff = segment_colours([GRASS], 2)[0]
    assert segment_colours([THING, GRASS], 2) == [object_colours(1)[0], stuff]
    assert segment_colours([Segment(1, 0, False, 5), GRASS], 2)[1] == stuff
    assert len(set(segment_colours([Segment(i, 0, True, 5) for i in range(1, 6)], 2))) == 5


def test_the_name_stands_in_the_middle_of_its_segment():
    ids = torch.zeros(200, 200, dtype=torch.int32)
    ids[100:] = 1
    picture = Panoptic(ids, [Segment(1, 0, False, 20000)])
    drawn = draw_panoptic(grey(200, 200), picture, CLASSES)
    colour = torch.tensor(segment_colours(picture.segments, 2)[0], dtype=torch.uint8)
    rows = (drawn == colour[:, None, None]).all(dim=0)[103:].any(dim=1).nonzero() + 103
    assert 130 < rows.min() < rows.max() <= 150


@pytest.mark.parametrize("scale", [0.5, 1, 3])
def test_a_picture_without_segments_is_only_resized(scale):
    drawn = draw_panoptic(grey(), scene(), CLASSES, scale=scale)
    assert drawn.shape == (3, 60 * scale, 40 * scale)
    assert (drawn == 100).all()


def test_the_picture_itself_is_not_drawn_on():
    picture = grey()
    draw_panoptic(picture, scene(THING, GRASS), CLASSES)
    assert torch.equal(picture, grey())


def test_one_pixel_can_be_drawn():
    drawn = draw_panoptic(grey(1, 1), Panoptic(torch.ones(1, 1, dtype=torch.int32), [Segment(1, 0, True, 1)]), CLASSES)
    assert drawn.shape == (3, 1, 1)
