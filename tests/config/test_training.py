import pytest

from maskrcnn.config import RunSettings, TrainSettings


@pytest.mark.parametrize("layers", [("backbone",), (), "neck"])
def test_something_with_a_loss_must_learn(layers):
    with pytest.raises(ValueError, match="rpn or heads must be among the layers that learn"):
        RunSettings.model_validate({"train": {"layers": layers}})


def test_a_single_part_needs_no_list():
    assert TrainSettings(layers="rpn").layers == ("rpn",)


def test_other_layers_are_refused():
    with pytest.raises(ValueError, match="'backbone', 'neck', 'rpn' or 'heads'"):
        TrainSettings(layers=("rpn", "fpn"))
