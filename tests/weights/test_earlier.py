import pytest

from maskrcnn.config import ModelSettings
from maskrcnn.weights.earlier import SETTINGS, todays_settings


def test_settings_are_found_where_they_stand_today():
    earlier = {"neck": "fpn", "fpn": {"channels": 8, "norm": "group"}, "rpn": {"samples": 9}, "loss_epsilon": 0.5}
    settings = ModelSettings.model_validate(todays_settings(earlier))
    assert (settings.neck.name, settings.neck.channels, settings.neck.norm) == ("fpn", 8, "group")
    assert (settings.rpn.batch_size_per_image, settings.rpn.loss_epsilon, settings.box_head.loss_epsilon) == (
        9,
        0.5,
        0.5,
    )
    assert earlier["fpn"] == {"channels": 8, "norm": "group"}


def test_settings_that_a_file_leaves_out_keep_their_defaults():
    assert todays_settings({}) == {}
    assert todays_settings({"mask_head": None}) == {"mask_head": None}


@pytest.mark.parametrize("place", [place for places in SETTINGS.values() for place in places])
def test_every_place_of_today_exists(place):
    section, key = place.split(".")
    assert key in getattr(ModelSettings(), section).model_dump()
