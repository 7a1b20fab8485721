import math

import pytest
import torch
from torch import nn

from maskrcnn.config import TrainSettings
from maskrcnn.training.optimizer import (
    average_weights,
    build_optimizer,
    learning_rate_factor,
    peak_learning_rate,
    set_learning_rate,
    split_parameters,
)
from tests.training import small


def layers():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 3, bias=False))
    return model.to(memory_format=torch.channels_last)


def test_norms_and_biases_are_not_decayed():
    model = layers()
    decayed, plain = split_parameters(model)
    assert [id(weight) for weight in decayed] == [id(model[0].weight), id(model[3].weight)]
    assert len(plain) == 5


def test_frozen_weights_are_left_out():
    model = layers()
    model[0].requires_grad_(False)
    decayed, plain = split_parameters(model)
    assert (len(decayed), len(plain)) == (1, 4)
    assert len(build_optimizer(model[:1].append(nn.ReLU()).append(model[1]), TrainSettings()).param_groups) == 1


@pytest.mark.parametrize(
    ("kind", "decay"), [(torch.optim.SGD, 0.0001), (torch.optim.AdamW, 0.05)], ids=["sgd", "adamw"]
)
def test_the_kinds_have_their_own_defaults(kind, decay):
    name = kind.__name__.lower()
    optimizer = build_optimizer(layers(), TrainSettings(optimizer=name))
    assert type(optimizer) is kind
    assert [group["weight_decay"] for group in optimizer.param_groups] == [decay, 0]
    given = build_optimizer(layers(), TrainSettings(optimizer=name, weight_decay=0.3))
    assert given.param_groups[0]["weight_decay"] == 0.3


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_fused_steps_on_channels_last_weights_equal_plain_ones(name):
    results = []
    for fused in (True, False):
        torch.manual_seed(0)
        model = layers()
        optimizer = build_optimizer(model, TrainSettings(optimizer=name))
        for group in optimizer.param_groups:
            group |= {"lr": 0.1, "fused": fused}
        for _ in range(3):
            for weight in model.parameters():
                weight.grad = torch.randn(weight.shape).to(memory_format=_layout(weight))
            optimizer.step()
        results.append(model.state_dict())
    for fused, plain in zip(results[0].values(), results[1].values(), strict=True):
        torch.testing.assert_close(fused, plain)


def _layout(weight):
    """Autograd gives a gradient the layout of its weight."""
    return torch.channels_last if weight.dim() == 4 else torch.contiguous_format


@pytest.mark.parametrize(
    ("train", "batch", "expected"),
    [
        ({"optimizer": "sgd"}, 16, 0.02),
        ({"optimizer": "adamw"}, 16, 0.0002),
        ({"optimizer": "sgd"}, 2, 0.0025),
        ({"optimizer": "sgd", "accumulate_steps": 4}, 8, 0.04),
        ({"learning_rate": 0.4}, 4, 0.1),
    ],
)
def test_the_learning_rate_is_linear_in_the_images_per_step(train, batch, expected):
    settings = small.settings(**{"learning_rate": None} | train)
    settings.data.batch_size = batch
    assert peak_learning_rate(settings) == pytest.approx(expected)


def test_the_rate_of_a_step_is_given_to_every_group():
    settings = small.settings(learning_rate=1.6, milestones=(0.5,), warmup_steps=0)
    optimizer = build_optimizer(layers(), settings.train)
    assert set_learning_rate(optimizer, 5, steps=10, settings=settings) == pytest.approx(0.02)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.02, 0.02])


def factor(step, steps=1000, **settings):
    return learning_rate_factor(step, steps=steps, settings=TrainSettings(**settings))


@pytest.mark.parametrize(
    ("settings", "factors"),
    [
        pytest.param({"warmup_steps": 50}, {0: 0.001, 25: 0.5005, 50: 1}, id="warm-up from a thousandth"),
        pytest.param({"warmup_steps": 500}, {0: 0.001, 50: 0.5005, 100: 1}, id="warm-up of a tenth of the run at most"),
        pytest.param({"steps": 9, "warmup_steps": 500}, {0: 1}, id="no warm-up of a short run"),
        pytest.param({"milestones": (0.5, 0.75)}, {499: 1, 500: 0.1, 749: 0.1, 750: 0.01, 999: 0.01}, id="milestones"),
        pytest.param(
            {"scheduler": "cosine", "warmup_steps": 100},
            {100: 1, 325: (1 + math.sqrt(0.5)) / 2, 550: 0.5, 1000: 0},
            id="half a cosine",
        ),
    ],
)
def test_the_rate_rises_and_falls_as_scheduled(settings, factors):
    assert {step: factor(step, **settings) for step in factors} == pytest.approx(factors)


@pytest.mark.parametrize("schedule", ["step", "cosine"])
@pytest.mark.parametrize("steps", [1, 2, 10, 1000])
def test_every_rate_lies_above_zero_and_at_most_at_one(schedule, steps):
    assert all(0 < factor(step, steps, scheduler=schedule) <= 1 for step in range(steps))


def norm(value):
    model = nn.BatchNorm1d(1)
    nn.init.constant_(model.weight, value)
    nn.init.constant_(model.running_mean, value)
    return model


def test_the_first_updates_weigh_more_and_later_ones_as_the_decay_says():
    average = average_weights(norm(0.0), decay=0.75)
    average.update_parameters(norm(1.0))  # decay 1 / 10
    torch.testing.assert_close(average.module.weight.data, torch.tensor([0.9]))
    late = average_weights(average.module, decay=0.75, updates=1000)
    late.update_parameters(norm(0.0))  # decay 0.75
    torch.testing.assert_close(late.module.weight.data, torch.tensor([0.675]))


def test_buffers_are_taken_over_as_they_are():
    average = average_weights(norm(0.0), decay=0.75, updates=1000)
    average.update_parameters(norm(8.0))
    assert average.module.running_mean.item() == 8


def test_the_model_is_not_touched_and_the_average_is_not_trained():
    model = norm(1.0)
    average = average_weights(model, decay=0.5, updates=100)
    average.update_parameters(norm(5.0))
    assert model.weight.item() == 1
    assert model.weight.requires_grad
    assert not any(parameter.requires_grad for parameter in average.module.parameters())
