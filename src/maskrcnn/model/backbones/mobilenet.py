"""MobileNetV3-Large (Howard et al. 2019) as the backbone of torchvision's fasterrcnn_mobilenet_v3_large_fpn."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torchvision.models import mobilenet_v3_large

from ...config import BackboneSettings
from ...errors import SettingError
from ..norms import FrozenBatchNorm

# Places among torchvision's layers at which the image shrinks, and the last one: where stages end.
STAGE_ENDS = (0, 2, 4, 7, 13, 16)
SOURCES = {5: 13, 6: 16}


class MobileNet(nn.Module):
    """Its two coarsest maps, both of stride 32: the input of the last layers (level 5) and the end (level 6)."""

    # Both have the same stride, so that a box's size does not choose between them.
    roi_levels = (5,)

    def __init__(self, settings: BackboneSettings, *, channels: int) -> None:
        """
        Args:
            settings: With any of the batch norms.
            channels: Of the images.

        Raises:
            SettingError: The norm is of another kind.
        """
        super().__init__()
        if settings.norm == "group":
            raise SettingError(
                f"backbone.norm=group: {settings.name} has batch norms only. Set "
                "backbone.norm=frozen_batch, batch or sync_batch."
            )
        network = mobilenet_v3_large(weights=None, norm_layer=partial(nn.BatchNorm2d, eps=settings.norm_epsilon))
        self.features = network.features
        if channels != 3:
            first = self.features[0][0]
            self.features[0][0] = nn.Conv2d(channels, first.out_channels, 3, stride=2, padding=1, bias=False)
            nn.init.kaiming_normal_(self.features[0][0].weight, mode="fan_out")
        frozen = STAGE_ENDS[settings.frozen_stages] if settings.frozen_stages else 0
        for number, layer in enumerate(self.features):
            layer.requires_grad_(number >= frozen)
            if settings.norm == "frozen_batch" or number < frozen:
                freeze_norms(layer)
        if settings.norm == "sync_batch":
            self.features = nn.SyncBatchNorm.convert_sync_batchnorm(self.features)
        self.channels = {level: self.features[place].out_channels for level, place in SOURCES.items()}

    def forward(self, images: Tensor) -> dict[int, Tensor]:
        """[B, D, H, W] normalized images to {level: [B, C, H / 32, W / 32]}, levels 5 and 6."""
        features, levels = images, {}
        for place, layer in enumerate(self.features):
            features = layer(features)
            levels[place] = features
        return {level: levels[place] for level, place in SOURCES.items()}


def freeze_norms(module: nn.Module) -> None:
    """Put frozen batch norms, with nothing measured yet, in the place of those that measure."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm(child.num_features, child.eps))
        else:
            freeze_norms(child)
