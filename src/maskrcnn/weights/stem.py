"""The first convolution, made to see pictures as another model feeds them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..config import InputSettings
from .imagenet import Pixels

# ImageNet's deviations of red, green and blue as values of 0..255, by which normalised and raw pixels differ.
DEVIATION = (58.395, 57.12, 57.375)
RAW_BELOW = 0.02


def pixels_of(settings: InputSettings) -> Pixels:
    """How pixels reach a network with these settings."""
    return Pixels(settings.colours, raw=max(settings.deviation) < RAW_BELOW)


def find_stem(state: Mapping[str, Tensor]) -> str | None:
    """Name of the first convolution of a model's body, which is the first kernel among its tensors."""
    return next((name for name, tensor in state.items() if name.startswith("backbone.") and tensor.ndim == 4), None)


def fit_stem(kernel: Tensor, channels: int, *, source: Pixels, target: Pixels) -> tuple[Tensor, list[str]]:
    """Change a first convolution so that it gives for `target`'s pixels what it gave for `source`'s.

    Colours are put in the other order. Raw pixels are some 57 times larger than normalised ones, and the weights
    follow. For another number of channels each gets the mean over the old ones, times old over new, so that the sums
    keep their size (as timm does).

    Args:
        kernel: [C, D, h, w].
        channels: Channels of the model's pictures, E.
        source, target: What the weights were trained with, and what the model sees.

    Returns:
        [C, E, h, w], and what was done in words.
    """
    remarks = []
    colourful = kernel.shape[1] == 3
    if colourful and source.colours == "bgr":
        kernel = kernel.flip(1)
    if source.raw != target.raw:
        scale = torch.tensor(DEVIATION, dtype=kernel.dtype, device=kernel.device)
        scale = scale[:, None, None] if colourful else scale.mean()
        kernel = kernel * scale if source.raw else kernel / scale
        kinds = ("raw", "normalised") if source.raw else ("normalised", "raw")
        remarks.append(f"the stem was trained on {kinds[0]} pixels and is scaled for {kinds[1]} ones")
    if kernel.shape[1] != channels:
        remarks.append(f"the stem's {kernel.shape[1]} channels are averaged for pictures of {channels}")
        share = kernel.shape[1] / channels
        kernel = (kernel.mean(1, keepdim=True) * share).expand(-1, channels, -1, -1).contiguous()
    elif colourful and source.colours != target.colours:
        remarks.append(f"the stem's channels are turned from {source.colours} to {target.colours}")
    if colourful and channels == 3 and target.colours == "bgr":
        kernel = kernel.flip(1)
    return kernel, remarks
