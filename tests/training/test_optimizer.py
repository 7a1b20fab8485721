import pytest
import torch
from torch import nn

from maskrcnn.config import TrainSettings
from maskrcnn.training.optimizer import build_optimizer, peak_learning_rate, set_learning_rate, split_parameters
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
