"""How the rows and columns of a tensor are ordered: other libraries' ways to ours, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from ..config import BackboneSettings

HIDDEN = re.compile(r"box_head\.\d+\.hidden\.0\.weight")
MASK_HIDDEN = re.compile(r"mask_head\.(?:\d+\.)?hidden\.0\.weight")
LOGITS = re.compile(r"box_head\.\d+\.logits\.(weight|bias)")
DELTAS = re.compile(r"box_head\.\d+\.deltas\.(weight|bias)")
MASK_LOGITS = re.compile(r"mask_head\.(?:\d+\.)?logits\.(weight|bias)")
TRACKED = "num_batches_tracked"


def bins_first(state: Mapping[str, Tensor], channels: int) -> dict[str, Tensor]:
    """Columns of the first linear layers from channel, row, column to row, column, channel.

    Args:
        state: Tensors by our names, in the other order.
        channels: Of the maps that are pooled; a box head with convolutions has its own.
    """
    return {name: _swapped(name, tensor, state, channels, to_bins=True) for name, tensor in state.items()}


def channels_first(state: Mapping[str, Tensor], channels: int) -> dict[str, Tensor]:
    """The reverse of `bins_first`."""
    return {name: _swapped(name, tensor, state, channels, to_bins=False) for name, tensor in state.items()}


def background_last(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """From layers whose first class is background to ours.

    Args:
        state: Tensors by our names, with rows for the background first.

    Returns:
        The state, and the rows of boxes and masks of the background, which nothing reads, by our names.
    """
    ours: dict[str, Tensor] = {}
    rows: dict[str, Tensor] = {}
    for name, tensor in state.items():
        count = background_rows(name, tensor)
        ours[name] = tensor.roll(-1, dims=0) if LOGITS.fullmatch(name) else tensor[count:] if count else tensor
        if count:
            rows[name] = tensor[:count]
    return ours, rows


def background_rows(name: str, tensor: Tensor) -> int:
    """Rows of the background that another library's tensor has and ours has not; boxes of one class have none."""
    if DELTAS.fullmatch(name):
        return 4 if len(tensor) > 4 else 0
    return 1 if MASK_LOGITS.fullmatch(name) and len(tensor) > 1 else 0


def split_counters(
    state: Mapping[str, Tensor], backbone: BackboneSettings
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The state without the numbers of batches counted by norms that are frozen here, and those numbers.

    Args:
        state: Tensors by our names.
        backbone: Settings `norm` and `frozen_stages` count.
    """
    frozen = {name: one for name, one in state.items() if name.endswith(TRACKED) and _is_frozen(name, backbone)}
    return {name: one for name, one in state.items() if name not in frozen}, frozen


def _is_frozen(name: str, backbone: BackboneSettings) -> bool:
    if not name.startswith(("backbone.", "shared_head.")):
        return False
    stage = re.match(r"backbone\.stages\.(\d)\.", name)
    number = int(stage[1]) + 1 if stage else 0 if name.startswith("backbone.stem.") else 4
    if name.startswith("backbone.features."):
        number = 5  # stages of a MobileNet are not told apart: with norms that measure it is read as wholly trainable
    return backbone.norm == "frozen_batch" or number < backbone.frozen_stages


def _swapped(name: str, tensor: Tensor, state: Mapping[str, Tensor], channels: int, *, to_bins: bool) -> Tensor:
    if not (HIDDEN.fullmatch(name) or MASK_HIDDEN.fullmatch(name)):
        return tensor
    head = name.removesuffix(".hidden.0.weight")
    for last in (f"{head}.convolutions.0.convolution.weight", f"{head}.convolutions.0.weight"):
        channels = len(state[last]) if last in state else channels
    size = round((tensor.shape[1] / channels) ** 0.5)
    if to_bins:
        return tensor.unflatten(1, (channels, size, size)).permute(0, 2, 3, 1).flatten(1)
    return tensor.unflatten(1, (size, size, channels)).permute(0, 3, 1, 2).flatten(1)
