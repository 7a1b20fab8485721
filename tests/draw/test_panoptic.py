import pytest
import torch

from maskrcnn.draw.images import object_colors
from maskrcnn.draw.instances import SEGMENT_TINT, draw_panoptic, segment_colors
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


def gray(height: int = 60, width: int = 40) -> torch.Tensor:
    return torch.full((3, height, width), 100, dtype=torch.uint8)


def color_at(image: torch.Tensor, x: int, y: int) -> tuple:
    return tuple(image[:, y, x].tolist())


def test_a_segment_is_tinted_inside_and_outlined_in_its_color():
    image = scene(THING, GRASS)
    first, second = segment_colors(image.segments, 2)
    drawn = draw_panoptic(gray(), image, CLASSES)
    assert color_at(drawn, 12, 26) == pytest.approx(
        [(1 - SEGMENT_TINT) * 100 + SEGMENT_TINT * part for part in first], abs=1
    )
    assert color_at(drawn, 5, 50) == pytest.approx(
        [(1 - SEGMENT_TINT) * 100 + SEGMENT_TINT * part for part in second], abs=1
    )
    assert (color_at(drawn, 20, 29), color_at(drawn, 20, 30)) == (first, second)
    assert color_at(drawn, 5, 5) == color_at(drawn, 9, 20) == (100, 100, 100)


def test_stuff_has_the_same_color_in_every_image_and_things_have_their_own():
    stuff = segment_colors([GRASS], 2)[0]
    assert segment_colors([THING, GRASS], 2) == [object_colors(1)[0], stuff]
    assert segment_colors([Segment(1, 0, False, 5), GRASS], 2)[1] == stuff
    assert len(set(segment_colors([Segment(i, 0, True, 5) for i in range(1, 6)], 2))) == 5


def test_the_name_stands_in_the_middle_of_its_segment():
    ids = torch.zeros(200, 200, dtype=torch.int32)
    ids[100:] = 1
    image = Panoptic(ids, [Segment(1, 0, False, 20000)])
    drawn = draw_panoptic(gray(200, 200), image, CLASSES)
    color = torch.tensor(segment_colors(image.segments, 2)[0], dtype=torch.uint8)
    rows = (drawn == color[:, None, None]).all(dim=0)[103:].any(dim=1).nonzero() + 103
    assert 130 < rows.min() < rows.max() <= 150


@pytest.mark.parametrize("scale", [0.5, 1, 3])
def test_an_image_without_segments_is_only_resized(scale):
    drawn = draw_panoptic(gray(), scene(), CLASSES, scale=scale)
    assert drawn.shape == (3, 60 * scale, 40 * scale)
    assert (drawn == 100).all()


def test_the_image_itself_is_not_drawn_on():
    image = gray()
    draw_panoptic(image, scene(THING, GRASS), CLASSES)
    assert torch.equal(image, gray())


def test_one_pixel_can_be_drawn():
    drawn = draw_panoptic(gray(1, 1), Panoptic(torch.ones(1, 1, dtype=torch.int32), [Segment(1, 0, True, 1)]), CLASSES)
    assert drawn.shape == (3, 1, 1)
