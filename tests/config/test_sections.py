"""Rules of single sections; rules of all settings are in test_base.py."""

import pytest

from maskrcnn.config import AnchorSettings, BackboneSettings, InputSettings, TrainSettings
from maskrcnn.errors import SettingError


def test_an_image_has_as_many_channels_as_means():
    assert InputSettings(mean=(0.1, 0.2), std=(1, 1)).channels == 2


@pytest.mark.parametrize(
    ("section", "given", "expected"),
    [
        pytest.param(AnchorSettings, {"sizes": (16, (32, 64))}, ((16,), (32, 64)), id="one size of a level"),
        pytest.param(TrainSettings, {"layers": "rpn"}, ("rpn",), id="one layer"),
        pytest.param(BackboneSettings, {"name": "timm/convnext_tiny"}, "timm/convnext_tiny", id="a model of timm"),
    ],
)
def test_values_are_taken_in_their_short_form(section, given, expected):
    (name,) = given
    assert getattr(section(**given), name) == expected


@pytest.mark.parametrize(
    ("section", "given", "named"),
    [
        pytest.param(InputSettings, {"mean": (0.5,)}, "mean has 1 and std 3 values", id="mean without its std"),
        pytest.param(AnchorSettings, {"sizes": 5}, "sizes=5", id="sizes without levels"),
        pytest.param(AnchorSettings, {"sizes": ()}, "sizes=()", id="no sizes"),
        pytest.param(AnchorSettings, {"sizes": ((0,),)}, "[0][0]=0", id="a size of 0"),
        pytest.param(AnchorSettings, {"sizes": ("a",)}, "[0][0]=a", id="a size in letters"),
        pytest.param(BackboneSettings, {"name": "vgg16"}, "name=vgg16", id="unknown backbone"),
        pytest.param(TrainSettings, {"layers": ()}, "rpn or heads", id="no layer"),
        pytest.param(TrainSettings, {"layers": ("backbone",)}, "rpn or heads", id="no layer with a loss"),
        pytest.param(TrainSettings, {"layers": ("rpn", "fpn")}, "'backbone', 'neck', 'rpn' or 'heads'", id="a layer"),
    ],
)
def test_values_that_break_a_rule_are_refused(section, given, named):
    with pytest.raises(SettingError) as caught:
        section(**given)
    assert named in str(caught.value)
