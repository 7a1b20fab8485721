"""The optimizer of a run, and the learning rate of each of its steps."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from ..config import RunSettings, TrainSettings
from ..config.training import LEARNING_RATES, REFERENCE_BATCH, WEIGHT_DECAYS
from .schedule import learning_rate_factor


def build_optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """SGD or AdamW over the weights that are not frozen.

    Norm weights and biases are not decayed: shrinking them does not make the function simpler, and it costs accuracy
    (He et al. 2019, "Bag of Tricks for Image Classification", section 3.1).

    Args:
        model: On the device it will be trained on.
        settings: Optimizer, momentum and weight decay. The learning rate is set by `set_learning_rate`.
    """
    decayed, plain = split_parameters(model)
    decay = WEIGHT_DECAYS[settings.optimizer] if settings.weight_decay is None else settings.weight_decay
    groups = [{"params": decayed, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in decayed + plain)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=settings.momentum, fused=fused)
    return torch.optim.AdamW(groups, lr=0.0, fused=fused)


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The trainable weights that are decayed, and those that are not: biases and all weights of norms."""
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for module in model.modules():
        norm = isinstance(module, (_NormBase, nn.GroupNorm, nn.LayerNorm))
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                (plain if norm or name == "bias" else decayed).append(parameter)
    return decayed, plain


def peak_learning_rate(settings: RunSettings) -> float:
    """The learning rate after warm-up: linear in the images per step (Goyal et al. 2017)."""
    train = settings.train
    rate = LEARNING_RATES[train.optimizer] if train.learning_rate is None else train.learning_rate
    return rate * settings.data.batch_size * train.accumulate_steps / REFERENCE_BATCH


def set_learning_rate(optimizer: torch.optim.Optimizer, step: int, *, steps: int, settings: RunSettings) -> float:
    """Give the optimizer the learning rate of a step, and return it."""
    rate = peak_learning_rate(settings) * learning_rate_factor(step, steps=steps, settings=settings.train)
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate
