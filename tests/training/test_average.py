import torch
from torch import nn

from maskrcnn.training.average import WeightAverage


def norm(value):
    model = nn.BatchNorm1d(1)
    nn.init.constant_(model.weight, value)
    nn.init.constant_(model.running_mean, value)
    return model


def test_the_first_updates_weigh_more_and_later_ones_as_the_decay_says():
    average = WeightAverage(norm(0.0), decay=0.75)
    average.update(norm(1.0), step=0)  # decay 1 / 10
    torch.testing.assert_close(average.model.weight.data, torch.tensor([0.9]))
    average.update(norm(0.0), step=1000)  # decay 0.75
    torch.testing.assert_close(average.model.weight.data, torch.tensor([0.675]))


def test_buffers_are_taken_over_as_they_are():
    average = WeightAverage(norm(0.0), decay=0.75)
    average.update(norm(8.0), step=1000)
    assert average.model.running_mean.item() == 8


def test_the_model_is_not_touched_and_the_average_is_not_trained():
    model = norm(1.0)
    average = WeightAverage(model, decay=0.5)
    average.update(norm(5.0), step=100)
    assert model.weight.item() == 1
    assert model.weight.requires_grad
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
