"""How weights move: the optimizer, the learning rate of each step, and a moving average of the weights."""

import math

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim.swa_utils import AveragedModel

from ..config import RunSettings, TrainSettings
from ..config.training import LEARNING_RATES, REFERENCE_BATCH, WEIGHT_DECAYS

_WARMUP_START = 0.001
Tensors = tuple[Tensor, ...] | list[Tensor]


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


def learning_rate_factor(step: int, *, steps: int, settings: TrainSettings) -> float:
    """What the learning rate is multiplied with in a step.

    Linear warm-up from a thousandth (Goyal et al. 2017, "Accurate, Large Minibatch SGD"), then either a fall to a tenth
    at each milestone or half a cosine down to zero (Loshchilov and Hutter 2017, "SGDR").

    Args:
        step: The step about to be made, 0..steps - 1.
        steps: All steps of the run.
        settings: Schedule, milestones and length of the warm-up, which is at most a tenth of all steps.
    """
    # Not torch's schedulers: they have a state, which checkpoints would have to store, and a warm-up, a decay and their
    # sequence take more lines than a function of the step.
    warmup = min(settings.warmup_steps, steps // 10)
    rise = _WARMUP_START + (1 - _WARMUP_START) * step / warmup if step < warmup else 1.0
    if settings.scheduler == "step":
        return rise * 0.1 ** sum(step >= milestone * steps for milestone in settings.milestones)
    progress = max(0, step - warmup) / max(1, steps - warmup)
    return rise * (1 + math.cos(math.pi * progress)) / 2


def average_weights(model: nn.Module, decay: float, *, updates: int = 0) -> AveragedModel:
    """Exponential moving average of a model's weights (Polyak and Juditsky 1992; as in Tan and Le 2019).

    `update_parameters(model)` mixes the model's weights in, the first times with more weight, so that the start is soon
    forgotten; buffers, such as the statistics of norms, are taken over as they are. `module` is the averaged model.

    Args:
        model: Averaging starts from its weights.
        decay: Share of the old average that stays in each update, after its first updates.
        updates: How many came before, of a run that goes on.
    """

    def mix(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        number = int(average.n_averaged)  # not `count`, which waits for the GPU
        torch._foreach_lerp_(averaged, current, 1 - min(decay, number / (9 + number)))

    average = AveragedModel(model, multi_avg_fn=mix)
    average.n_averaged.fill_(1 + updates)  # the weights it starts from are the first
    average.requires_grad_(False)
    return average
