"""A moving average of the weights, which is usually better than the last weights."""

import copy

import torch
from torch import nn


class WeightAverage:
    """Exponential moving average of a model's weights (Polyak and Juditsky 1992; as in Tan and Le 2019).

    Args:
        model: Averaging starts from its weights.
        decay: Share of the old average that stays in each update, after its first updates.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Mix the model's weights in; buffers, such as the statistics of norms, are taken over as they are.

        Args:
            model: The model in training.
            step: How many updates came before: the first ones weigh more, so that the start is soon forgotten.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1 - decay)
        for averaged, current in zip(self.model.buffers(), model.buffers(), strict=True):
            averaged.copy_(current)
