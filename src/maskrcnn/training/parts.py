"""The parts of a model that a run may leave as they are."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

from torch import nn

from ..config.training import Part

PARTS: tuple[str, ...] = get_args(Part)


def fix_parts(model: nn.Module, parts: Collection[str]) -> list[nn.Module]:
    """Freeze what is not to learn, and nothing where all parts are.

    Args:
        model: Its modules `body`, `neck` and `rpn` are the parts of these names, all others are heads.
        parts: What learns.

    Returns:
        The frozen modules, which must stay in evaluation mode.
    """
    fixed = [module for name, module in model.named_children() if _part_of(name) not in parts]
    for module in fixed:
        module.requires_grad_(False)
    return fixed


def _part_of(name: str) -> str:
    return name if name in PARTS else "heads"
