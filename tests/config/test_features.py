import pytest
from pydantic import ValidationError

from maskrcnn.config import AnchorSettings, BackboneSettings, InputSettings


def test_a_mean_without_its_deviation_is_refused():
    with pytest.raises(ValidationError, match="mean has 1 and std 3"):
        InputSettings(mean=(0.5,))


def test_an_image_has_as_many_channels_as_means():
    assert InputSettings(mean=(0.1, 0.2), std=(1, 1)).channels == 2


def test_one_size_per_level_may_stand_alone():
    assert AnchorSettings(sizes=(16, (32, 64))).sizes == ((16,), (32, 64))


@pytest.mark.parametrize("sizes", [5, (), ((0,),), ("a",)])
def test_sizes_that_are_none_are_refused(sizes):
    with pytest.raises(ValidationError):
        AnchorSettings(sizes=sizes)


@pytest.mark.parametrize(("name", "known"), [("resnet50", True), ("timm/convnext_tiny", True), ("vgg16", False)])
def test_a_backbone_is_one_of_the_list_or_of_timm(name, known):
    if known:
        assert BackboneSettings(name=name).name == name
    else:
        with pytest.raises(ValidationError):
            BackboneSettings(name=name)
