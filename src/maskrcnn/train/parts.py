"""The layers of a model that a run may leave as they are."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

from torch import nn

from ..config.training import Layer

LAYERS: tuple[str, ...] = get_args(Layer)


def fix_layers(model: nn.Module, layers: Collection[str]) -> list[nn.Module]:
    """Freeze what is not to learn, and nothing where all of them are.

    Args:
        model: Its modules `backbone`, `neck` and `rpn` are the layers of these names, all others are heads.
        layers: What learns.

    Returns:
        The frozen modules, which must stay in evaluation mode.
    """
    fixed = [module for name, module in model.named_children() if _layers_of(name) not in layers]
    for module in fixed:
        module.requires_grad_(False)
    return fixed


def _layers_of(name: str) -> str:
    return name if name in LAYERS else "heads"
