import json

import pytest
import torch

from maskrcnn.errors import TrainingError
from maskrcnn.training.log import LossWindow


def values(**numbers):
    return {name: torch.tensor(number) for name, number in numbers.items()}


def test_means_are_over_the_steps_since_the_last_look(tmp_path):
    window = LossWindow(tmp_path)
    window.add(1, (), values(boxes=1.0, masks=4.0))
    window.add(2, (), values(boxes=3.0, masks=4.0))
    window.settle()
    assert window.take_means() == {"boxes": 2, "masks": 4}
    window.add(3, (), values(boxes=7.0, masks=0.0))
    window.settle()
    assert window.take_means() == {"boxes": 7, "masks": 0}


def test_an_empty_window_has_no_means(tmp_path):
    window = LossWindow(tmp_path)
    window.settle()
    assert window.take_means() == {}


def test_a_window_goes_on_from_its_content(tmp_path):
    first = LossWindow(tmp_path)
    first.add(1, (), values(boxes=1.0))
    first.settle()
    second = LossWindow(tmp_path, *first.content())
    second.add(2, (), values(boxes=2.0))
    second.settle()
    assert second.take_means() == {"boxes": 1.5}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_of_several_steps_the_first_that_is_not_finite_is_named(tmp_path, bad):
    window = LossWindow(tmp_path)
    window.add(7, ("a.png",), values(boxes=1.0))
    window.add(8, ("b.png", "c.png"), values(boxes=bad, masks=2.0))
    window.add(9, ("d.png",), values(boxes=bad))
    with pytest.raises(TrainingError) as caught:
        window.settle()
    report = tmp_path / "failed_batch.json"
    assert str(caught.value) == (
        f"{report}: in step 8 boxes = {bad}, but losses must be finite. Its images: b.png, c.png. Look at their "
        "annotations, or lower train.learning_rate (or lengthen train.warmup_steps) and start again; the checkpoint "
        "from before that step is kept."
    )
    assert json.loads(report.read_text()) == {
        "step": 8,
        "paths": ["b.png", "c.png"],
        "losses": {"boxes": str(bad), "masks": "2.0"},
    }
