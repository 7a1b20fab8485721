import math

import pytest

from maskrcnn.config import TrainSettings
from maskrcnn.training.optimizer import learning_rate_factor


def factor(step, steps=1000, **settings):
    return learning_rate_factor(step, steps=steps, settings=TrainSettings(**settings))


def test_the_rate_rises_in_a_line_from_a_thousandth():
    assert [factor(step, warmup_steps=50) for step in (0, 25, 50)] == pytest.approx([0.001, 0.5005, 1])


def test_the_warm_up_is_at_most_a_tenth_of_the_run():
    assert factor(99, warmup_steps=500) < 1
    assert factor(100, warmup_steps=500) == 1
    assert factor(0, steps=9, warmup_steps=500) == 1


def test_the_rate_falls_to_a_tenth_at_each_milestone():
    steps = [factor(step, milestones=(0.5, 0.75)) for step in (499, 500, 749, 750, 999)]
    assert steps == pytest.approx([1, 0.1, 0.1, 0.01, 0.01])


def test_the_cosine_goes_from_one_through_a_half_to_zero():
    steps = [factor(step, scheduler="cosine", warmup_steps=100) for step in (100, 325, 550, 1000)]
    assert steps == pytest.approx([1, (1 + math.sqrt(0.5)) / 2, 0.5, 0])


@pytest.mark.parametrize("schedule", ["step", "cosine"])
@pytest.mark.parametrize("steps", [1, 2, 10, 1000])
def test_every_rate_lies_above_zero_and_at_most_at_one(schedule, steps):
    assert all(0 < factor(step, steps, scheduler=schedule) <= 1 for step in range(steps))
