"""What a module of one's own can get wrong, named before it becomes an error inside of another part.

Shapes are compared on the host, so that a device does not wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from ..errors import SettingError

ATTRIBUTES = {
    "backbone": ("channels",),
    "neck": ("channels", "levels"),
    "rpn": ("loss", "predict", "probabilities"),
    "box_head": ("pool_size", "loss", "predict"),
    "mask_head": ("pool_size", "paste", "loss", "predict"),
    "keypoint_head": ("pool_size", "loss", "decode"),
    "semantic_head": ("loss", "predict"),
}
"""What the others ask a part for; `interfaces` says what each must do."""
PASTES = ("grown", "sampled")
"""Ways in which masks are enlarged, see `MaskHeadSettings.paste`."""


def check_part(part: object, name: str) -> None:
    """A part is a module, and has the attributes and methods that the others use.

    Args:
        part: A module; an `nn.ModuleList` of mask heads; or None if the model has no such part.
        name: One of `ATTRIBUTES`.

    Raises:
        SettingError: It is no module, an attribute or a method is missing, or a backbone's `channels` name no levels.
    """
    if part is None:
        return
    modules: list[Any] = list(part) if name == "mask_head" and isinstance(part, nn.ModuleList) else [part]
    for one in modules:
        kind = type(one).__name__
        if not isinstance(one, nn.Module):
            raise SettingError(f"{name}: it is a {kind}, but must be a torch.nn.Module.")
        if missing := [attribute for attribute in ATTRIBUTES[name] if not hasattr(one, attribute)]:
            raise SettingError(
                f"{name}: {kind} has no {', '.join(missing)}. See maskrcnn.model.interfaces for what it must have."
            )
        if name == "mask_head" and one.paste not in PASTES:
            raise SettingError(f"mask_head: {kind}.paste is {one.paste!r}, but must be one of {', '.join(PASTES)}.")
        if name == "backbone" and not _are_levels(one.channels):
            raise SettingError(
                f"backbone: {kind}.channels is {one.channels}, but must give the number of channels of each level, the "
                "finest first, such as {2: 256, 3: 512, 4: 1024, 5: 2048}; level l has a stride of 2**l pixels."
            )


def _are_levels(channels: Any) -> bool:
    if not isinstance(channels, Mapping) or not channels:
        return False
    whole = all(isinstance(number, int) for pair in channels.items() for number in pair)
    return whole and list(channels) == list(range(min(channels), max(channels) + 1))


def check_channels(maps: Any, channels: Mapping[int, int]) -> dict[int, Tensor]:
    """A backbone gives one map [B, C, H, W] for each of its levels, with as many channels as it says.

    Raises:
        SettingError: Something else was given.
    """
    levels = list(channels)
    if not isinstance(maps, Mapping) or list(maps) != levels:
        given = list(maps) if isinstance(maps, Mapping) else f"a {type(maps).__name__}"
        raise SettingError(f"backbone: gave {given}, but must give a map for each of its levels {levels}, by level.")
    for level, values in maps.items():
        if values.ndim != 4 or values.shape[1] != channels[level]:
            raise SettingError(
                f"backbone: the map of level {level} has the shape {list(values.shape)}, but must be "
                f"[images, {channels[level]}, height, width]."
            )
    return dict(maps)


def check_strides(maps: dict[int, Tensor], levels: Iterable[int], images: Tensor) -> dict[int, Tensor]:
    """Where boxes are pooled, the map of level l has one pixel for each 2**l pixels of the images, rounded up.

    Raises:
        SettingError: It has other sides, so that boxes would lie elsewhere.
    """
    for level in levels:
        values = maps[level]
        expected = [-(-side // 2**level) for side in images.shape[-2:]]
        if list(values.shape[-2:]) != expected:
            raise SettingError(
                f"backbone: the map of level {level} is {values.shape[-2]} x {values.shape[-1]} px for images of "
                f"{images.shape[-2]} x {images.shape[-1]} px, but level {level} has a stride of {2**level} px: "
                f"{expected[0]} x {expected[1]} px. Give the map another level, or change its stride."
            )
    return maps


def check_losses(losses: Any, name: str, others: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """A part's losses are scalars by names that no other part has; with the other parts' losses, these first.

    Raises:
        SettingError: Something else was given.
    """
    if not isinstance(losses, Mapping):
        raise SettingError(f"{name}.loss: gave a {type(losses).__name__}, but must give scalars by name.")
    for key, loss in losses.items():
        if others and key in others:
            raise SettingError(f"{name}.loss: another part has a loss {key!r} too. Give it a name of its own.")
        if not isinstance(loss, Tensor) or loss.ndim:
            given = f"a tensor of the shape {list(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise SettingError(f"{name}.loss: {key} is {given}, but must be a scalar. Take its mean or its sum.")
    return {**(others or {}), **losses}


def check_masks(masks: Any, count: int) -> Tensor:
    """A mask head gives [N, m, m] for N boxes.

    Raises:
        SettingError: It gives something else.
    """
    if not isinstance(masks, Tensor) or masks.ndim != 3 or len(masks) != count or masks.shape[1] != masks.shape[2]:
        given = list(masks.shape) if isinstance(masks, Tensor) else type(masks).__name__
        raise SettingError(f"mask_head.predict: gave {given} for {count} boxes, but must give [{count}, m, m].")
    return masks
