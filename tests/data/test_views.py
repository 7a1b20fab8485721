import pytest
import torch

from maskrcnn.config import InputSettings
from maskrcnn.data.inputs import make_batch, resized_size
from maskrcnn.data.views import join_scales, mirror_batch, mirror_boxes, scaled_inputs
from maskrcnn.errors import SettingError


def test_a_scale_enlarges_every_picture_alike_also_a_long_one():
    usual = InputSettings(shorter=800, longer=1333)
    half, same, twice = scaled_inputs(usual, (400, 800, 1600, 400.0))
    assert same == usual
    for size in ((600, 800), (500, 1500)):
        height, width = resized_size(size, usual)
        for settings, factor in ((half, 0.5), (twice, 2)):
            scaled = resized_size(size, settings)
            assert scaled == pytest.approx((factor * height, factor * width), abs=2)


def test_scales_of_a_magnification_are_factors():
    usual = InputSettings(magnify=2, longer=2000)
    [scaled] = scaled_inputs(usual, (1.5,))
    assert (scaled.magnify, scaled.longer) == (1.5, 1500)
    assert resized_size((100, 200), scaled) == (150, 300)


def test_without_scales_there_is_the_usual_one():
    usual = InputSettings(shorter=333)
    assert scaled_inputs(usual, ()) == [usual]


@pytest.mark.parametrize(
    ("settings", "scale", "message"),
    [
        (
            {},
            1.5,
            r"scale 1.5: scales are lengths of the shorter side in whole pixels .*shorter is 800.* 100 to 6400\.",
        ),
        ({}, 600.5, "scale 600.5: scales are lengths of the shorter side in whole pixels"),
        ({"magnify": 2}, 600, r"scale 600: scales are factors .* model.input.magnify is 2. .* from 0.25 to 16\."),
    ],
)
def test_a_scale_of_the_other_kind_is_named(settings, scale, message):
    with pytest.raises(SettingError, match=message):
        scaled_inputs(InputSettings(**settings), (scale,))


def test_boxes_keep_their_order_of_corners_in_a_mirror():
    boxes = torch.tensor([[1.0, 2, 4, 7], [0, 0, 10, 3]])
    assert mirror_boxes(boxes, 10).tolist() == [[6, 2, 9, 7], [0, 0, 10, 3]]
    assert torch.equal(mirror_boxes(mirror_boxes(boxes, 10), 10), boxes)
    assert mirror_boxes(torch.zeros(0, 4), 10).shape == (0, 4)


def test_pictures_are_mirrored_within_their_own_width_and_padded_at_the_right():
    images = [torch.arange(1.0, 7).view(1, 2, 3), torch.arange(1.0, 5).view(1, 1, 4)]
    batch = make_batch(
        images, [(2, 3), (1, 4)], pad_to=4, proposals=[torch.tensor([[0.0, 0, 1, 2]]), torch.zeros(0, 4)]
    )
    mirror = mirror_batch(batch)
    assert mirror.images[0, 0, :2].tolist() == [[3, 2, 1, 0], [6, 5, 4, 0]]
    assert mirror.images[1, 0, 0].tolist() == [4, 3, 2, 1]
    assert mirror.proposals[0].tolist() == [[2, 0, 3, 2]]
    again = mirror_batch(mirror)
    assert torch.equal(again.images, batch.images)
    assert torch.equal(again.proposals[0], batch.proposals[0])


def test_the_first_scale_carries_the_others():
    one, two = (make_batch([torch.zeros(3, side, side)], [(9, 9)], pad_to=1) for side in (4, 8))
    joined = join_scales([one, two])
    assert (joined.sizes, [batch.sizes for batch in joined.rescaled]) == ([(4, 4)], [[(8, 8)]])
    assert joined.to("cpu").rescaled == (two,)
