"""A moving average of the weights, which is usually better than the last weights."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Tensors = tuple[Tensor, ...] | list[Tensor]


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
