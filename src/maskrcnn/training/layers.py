"""The layers of a model that a run may leave as they are."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from ..config.training import Layer
from ..errors import SettingError
from ..model.norms import FrozenBatchNorm

LAYERS: tuple[str, ...] = get_args(Layer)


def freeze_layers(model: nn.Module, layers: Collection[str]) -> list[nn.Module]:
    """Freeze what is not trained.

    Args:
        model: Its modules `backbone`, `neck` and `rpn` are the layers of these names, all others are heads.
        layers: What is trained.

    Returns:
        The frozen modules, which must stay in evaluation mode.
    """
    frozen = [module for name, module in model.named_children() if _layer_of(name) not in layers]
    for module in frozen:
        module.requires_grad_(False)
    return frozen


def require_trainable(model: nn.Module) -> None:
    """Refuse a model whose frozen layers are random, for they would stay random.

    The norms of a trained network have statistics, scales and shifts of their own.

    Raises:
        SettingError: No frozen norm of the model has any.
    """
    frozen = [module for module in model.modules() if _is_frozen_norm(module)]
    if not frozen or not all(_is_untouched(norm) for norm in frozen):
        return
    rule = "frozen layers would stay random"
    if any(isinstance(norm, FrozenBatchNorm) for norm in frozen):
        rule = "there are no statistics that a frozen batch norm could have"
    raise SettingError(
        f"backbone.frozen_stages: the weights are random, and {len(frozen)} norms of the model are frozen: {rule}. "
        "Give weights (--weights), or train all layers, with backbone.norm=group and backbone.frozen_stages=0 "
        "(maskrcnn.FROM_RANDOM)."
    )


def _layer_of(name: str) -> str:
    return name if name in LAYERS else "heads"


def _is_frozen_norm(module: nn.Module) -> bool:
    if isinstance(module, FrozenBatchNorm):
        return True
    if not isinstance(module, (_NormBase, nn.GroupNorm, nn.LayerNorm)) or not isinstance(module.weight, nn.Parameter):
        return False
    return not module.weight.requires_grad


def _is_untouched(norm: nn.Module) -> bool:
    """Whether a norm is as it was made."""
    initial = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
    tensors = {name: getattr(norm, name, None) for name in initial}
    return all(tensor is None or bool(torch.all(tensor == initial[name])) for name, tensor in tensors.items())
