"""ResNet (He et al. 2016), with the stride of a bottleneck in its 3x3 convolution."""

from __future__ import annotations

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from ..config import BackboneSettings
from .norms import NormedConvolution

BLOCKS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, of ResNet-18 and -34."""

    expansion = 1

    def __init__(self, inputs: int, width: int, *, stride: int, frozen: bool, settings: BackboneSettings) -> None:
        super().__init__()
        convolution = partial(NormedConvolution, frozen=frozen, settings=settings)
        self.step1 = convolution(inputs, width, kernel=3, stride=stride)
        self.step2 = convolution(width, width, kernel=3)
        self.shortcut = _make_shortcut(inputs, width, stride, frozen=frozen, settings=settings)

    def forward(self, features: Tensor) -> Tensor:
        residual = self.step2(F.relu(self.step1(features), inplace=True))
        return F.relu(residual + self.shortcut(features), inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut, of ResNet-50 and deeper."""

    expansion = 4

    def __init__(self, inputs: int, width: int, *, stride: int, frozen: bool, settings: BackboneSettings) -> None:
        super().__init__()
        convolution = partial(NormedConvolution, frozen=frozen, settings=settings)
        outputs = width * self.expansion
        self.step1 = convolution(inputs, width, kernel=1)
        self.step2 = convolution(width, width, kernel=3, stride=stride)
        self.step3 = convolution(width, outputs, kernel=1)
        self.shortcut = _make_shortcut(inputs, outputs, stride, frozen=frozen, settings=settings)

    def forward(self, features: Tensor) -> Tensor:
        residual = F.relu(self.step1(features), inplace=True)
        residual = F.relu(self.step2(residual), inplace=True)
        return F.relu(self.step3(residual) + self.shortcut(features), inplace=True)


def _make_shortcut(inputs: int, outputs: int, stride: int, *, frozen: bool, settings: BackboneSettings) -> nn.Module:
    if inputs == outputs and stride == 1:
        return nn.Identity()
    return NormedConvolution(inputs, outputs, kernel=1, stride=stride, frozen=frozen, settings=settings)


class ResNet(nn.Module):
    """The body: stem and four stages of residual blocks, which end at levels 2 to 5 (strides 4 to 32)."""

    def __init__(self, settings: BackboneSettings) -> None:
        super().__init__()
        block = BasicBlock if settings.name in ("resnet18", "resnet34") else Bottleneck
        self.stem = NormedConvolution(
            3, settings.width, kernel=7, stride=2, frozen=settings.frozen_stages > 0, settings=settings
        )
        self.stages = nn.ModuleList()
        inputs = settings.width
        for number, count in enumerate(BLOCKS[settings.name]):
            width, frozen = settings.width * 2**number, settings.frozen_stages > number + 1
            blocks = []
            for i in range(count):
                stride = 2 if i == 0 and number > 0 else 1
                blocks.append(block(inputs, width, stride=stride, frozen=frozen, settings=settings))
                inputs = width * block.expansion
            self.stages.append(nn.Sequential(*blocks))
        self.channels = tuple(settings.width * 2**i * block.expansion for i in range(4))

    def forward(self, images: Tensor) -> dict[int, Tensor]:
        """[B, 3, H, W] normalised images to {level: [B, C, H / 2**level, W / 2**level]}, levels 2..5."""
        features = F.max_pool2d(F.relu(self.stem(images), inplace=True), kernel_size=3, stride=2, padding=1)
        levels = {}
        for level, stage in enumerate(self.stages, start=2):
            features = stage(features)
            levels[level] = features
        return levels
