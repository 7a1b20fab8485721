import torch
from torch import nn

from maskrcnn.training.optimizer import average_weights


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
