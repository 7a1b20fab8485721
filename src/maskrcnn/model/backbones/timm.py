"""Networks of the library timm as backbones (extra `timm`)."""

from __future__ import annotations

import difflib
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from ...config import BackboneSettings
from ...errors import SettingError

LEVELS = (2, 3, 4, 5)


class TimmBackbone(nn.Module):
    """Any of timm's networks that gives maps of strides 4, 8, 16 and 32, such as timm/convnext_tiny.

    Its norms keep timm's own kind and epsilon; the setting of the norm counts for batch norms only.
    """

    def __init__(self, settings: BackboneSettings, *, channels: int) -> None:
        """
        Args:
            settings: With a name such as timm/swin_tiny_patch4_window7_224.
            channels: Of the images.

        Raises:
            SettingError: timm is not installed, does not know the name, or the network gives no such maps.
        """
        super().__init__()
        timm = _import_timm(settings.name)
        self.network = _create(timm, settings, channels)
        self._sources = _find_sources(self.network, settings)
        counts = _feature_info(self.network).channels()
        self.channels = {level: counts[place] for level, place in self._sources.items()}
        self.roi_levels = LEVELS
        self._channels_come_last = getattr(self.network, "output_fmt", None) == "NHWC"
        self._freeze(timm, settings)

    def forward(self, images: Tensor) -> dict[int, Tensor]:
        """[B, D, H, W] normalized images to {level: [B, C, H / 2**level, W / 2**level]}, levels 2 to 5."""
        maps = self.network(images)
        levels = {level: maps[place] for level, place in self._sources.items()}
        if self._channels_come_last:
            levels = {level: features.permute(0, 3, 1, 2) for level, features in levels.items()}
        return levels

    def _freeze(self, timm: ModuleType, settings: BackboneSettings) -> None:
        frozen = _frozen_modules(self.network, self._sources, settings)
        for module in frozen:
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)
        if settings.norm == "frozen_batch":
            self.network = timm.layers.freeze_batch_norm_2d(self.network)
            return
        for parent in list(self.network.modules()):
            for name, child in parent.named_children():
                if child in frozen:
                    setattr(parent, name, timm.layers.freeze_batch_norm_2d(child))
        if settings.norm == "sync_batch":
            self.network = timm.layers.convert_sync_batchnorm(self.network)


def _import_timm(name: str) -> ModuleType:
    try:
        import timm
        import timm.layers
    except ImportError as error:
        raise SettingError(
            f"backbone.name={name}: needs the library timm, which is not installed. "
            'Install it with pip install "maskrcnn[timm]", or choose another backbone.'
        ) from error
    return timm


def _create(timm: ModuleType, settings: BackboneSettings, channels: int) -> nn.Module:
    name = settings.name.removeprefix("timm/")
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=5)
        hint = f"Near ones: {', '.join(f'timm/{one}' for one in near)}." if near else "timm.list_models() lists them."
        raise SettingError(f"backbone.name={settings.name}: timm {timm.__version__} knows no such model. {hint}")
    if settings.norm == "group":
        raise SettingError(
            f"backbone.norm=group: {settings.name} keeps its own norms. Set backbone.norm=frozen_batch, "
            "batch or sync_batch, which say what happens to batch norms."
        )
    options = {"pretrained": False, "features_only": True, "in_chans": channels}
    try:
        try:
            # Transformers with windows take images of any size only with this option; others know no such option.
            return timm.create_model(name, strict_img_size=False, **options)
        except TypeError:
            return timm.create_model(name, **options)
    except (RuntimeError, TypeError, ValueError, AssertionError, AttributeError) as error:
        raise SettingError(
            f"backbone.name={settings.name}: timm cannot make it give feature maps of images with {channels} "
            f"channels ({error}). Choose another one, such as timm/convnext_tiny."
        ) from error


def _feature_info(network: nn.Module) -> Any:
    """What timm says about a network's maps."""
    return network.feature_info


def _find_sources(network: nn.Module, settings: BackboneSettings) -> dict[int, int]:
    """Which of the network's maps is which level."""
    strides = list(_feature_info(network).reduction())
    if any(strides.count(2**level) != 1 for level in LEVELS):
        raise SettingError(
            f"backbone.name={settings.name}: its maps have strides {', '.join(map(str, strides))}, but the "
            "pyramid needs one map each of strides 4, 8, 16 and 32. Choose another one, such as timm/convnext_tiny."
        )
    return {level: strides.index(2**level) for level in LEVELS}


def _frozen_modules(network: nn.Module, sources: dict[int, int], settings: BackboneSettings) -> set[nn.Module]:
    """The modules of the stem and the stages that are frozen, in the order in which images pass them."""
    if settings.frozen_stages == 0:
        return set()
    level = max(settings.frozen_stages, LEVELS[0])
    end = _feature_info(network).module_name()[sources[level]]
    names = [name for name, _ in network.named_modules()]
    for start in (end, end.replace(".", "_", 1)):
        inside = [place for place, name in enumerate(names) if name == start or name.startswith(f"{start}.")]
        if inside:
            count = inside[0] if settings.frozen_stages == 1 else inside[-1] + 1
            return set(list(network.modules())[1:count])
    raise SettingError(
        f"backbone.frozen_stages={settings.frozen_stages}: the stages of {settings.name} cannot be told apart. "
        "Set backbone.frozen_stages=0."
    )
