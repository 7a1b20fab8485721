"""ResNet (He et al. 2016) and its wide, grouped (ResNeXt, Xie et al. 2017) and averaging (CLIP) relatives."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from ...config import BackboneSettings
from ..inference.fusion import compute_in_blocks, convolve
from ..norms import Norm, NormedConvolution, takes_statistics


class Layout(NamedTuple):
    """What a name stands for.

    Args:
        blocks: Residual blocks of stages 2 to 5.
        bottleneck: Whether blocks have three convolutions, and four times as many outputs as the stage is wide.
        groups, group_width: Groups of the 3x3 convolution of a bottleneck and channels of each, in stage 2.
        averaging: The stem has three convolutions, and images shrink by averages instead of strides and maxima, as
            in CLIP (Radford et al. 2021, section 2.4).
    """

    blocks: tuple[int, int, int, int]
    bottleneck: bool = True
    groups: int = 1
    group_width: int = 64
    averaging: bool = False


LAYOUTS = {
    "resnet18": Layout((2, 2, 2, 2), bottleneck=False),
    "resnet34": Layout((3, 4, 6, 3), bottleneck=False),
    "resnet50": Layout((3, 4, 6, 3)),
    "resnet101": Layout((3, 4, 23, 3)),
    "resnet152": Layout((3, 8, 36, 3)),
    "resnext50_32x4d": Layout((3, 4, 6, 3), groups=32, group_width=4),
    "resnext101_32x4d": Layout((3, 4, 23, 3), groups=32, group_width=4),
    "resnext101_64x4d": Layout((3, 4, 23, 3), groups=64, group_width=4),
    "resnext101_32x8d": Layout((3, 4, 23, 3), groups=32, group_width=8),
    "resnext152_32x8d": Layout((3, 8, 36, 3), groups=32, group_width=8),
    "wide_resnet50_2": Layout((3, 4, 6, 3), group_width=128),
    "wide_resnet101_2": Layout((3, 4, 23, 3), group_width=128),
    "clip_resnet50": Layout((3, 4, 6, 3), averaging=True),
}
PUBLISHED_WIDTH = 64
STAGES = 4
EXPANSION = 4


class Stage(NamedTuple):
    """What the blocks of one stage have in common."""

    width: int
    groups: int
    middle: int
    dilation: int
    stride_in_1x1: bool
    averaging: bool
    norm: Norm
    epsilon: float

    def convolution(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> NormedConvolution:
        """A convolution of the stage's kind; the larger ones are dilated."""
        dilation = self.dilation if kernel > 1 else 1
        return NormedConvolution(
            *(inputs, outputs),
            kernel=kernel,
            norm=self.norm,
            stride=stride,
            groups=groups,
            dilation=dilation,
            epsilon=self.epsilon,
        )

    def shortcut(self, inputs: int, outputs: int, stride: int) -> nn.Module:
        """The way past a block."""
        if inputs == outputs and stride == 1:
            return nn.Identity()
        return self.convolution(inputs, outputs, 1, stride=1 if self.averaging else stride)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, of ResNet-18 and -34."""

    def __init__(self, inputs: int, stage: Stage, *, stride: int) -> None:
        super().__init__()
        self.step1 = stage.convolution(inputs, stage.width, 3, stride=stride)
        self.step2 = stage.convolution(stage.width, stage.width, 3)
        self.shortcut = stage.shortcut(inputs, stage.width, stride)

    def forward(self, features: Tensor) -> Tensor:
        residual = convolve(self.step1, features, rectify=True)
        # The features may be overwritten: they are the block's alone, unless the shortcut makes new ones of them.
        return convolve(self.step2, residual, rectify=True, onto=self.shortcut(features))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut, of ResNet-50 and deeper."""

    def __init__(self, inputs: int, stage: Stage, *, stride: int) -> None:
        super().__init__()
        outputs = stage.width * EXPANSION
        strides = (stride, 1) if stage.stride_in_1x1 else (1, stride)
        # Averages take the place of both ways' strides: after the 3x3 convolution, and before the shortcut's.
        self.average = stride if stage.averaging else 1
        if stage.averaging:
            strides = (1, 1)
        self.step1 = stage.convolution(inputs, stage.middle, 1, stride=strides[0])
        self.step2 = stage.convolution(stage.middle, stage.middle, 3, stride=strides[1], groups=stage.groups)
        self.step3 = stage.convolution(stage.middle, outputs, 1)
        self.shortcut = stage.shortcut(inputs, outputs, stride)

    def forward(self, features: Tensor) -> Tensor:
        residual = convolve(self.step1, features, rectify=True)
        residual = convolve(self.step2, residual, rectify=True)
        if self.average > 1:
            residual, features = F.avg_pool2d(residual, self.average), F.avg_pool2d(features, self.average)
        # The features may be overwritten: they are the block's alone, unless the shortcut makes new ones of them.
        return convolve(self.step3, residual, rectify=True, onto=convolve(self.shortcut, features))


class AveragingStem(nn.Module):
    """Three 3x3 convolutions instead of one of 7x7."""

    def __init__(self, inputs: int, outputs: int, *, norm: Norm, epsilon: float) -> None:
        super().__init__()
        half = outputs // 2
        self.step1 = NormedConvolution(inputs, half, kernel=3, norm=norm, stride=2, epsilon=epsilon)
        self.step2 = NormedConvolution(half, half, kernel=3, norm=norm, epsilon=epsilon)
        self.step3 = NormedConvolution(half, outputs, kernel=3, norm=norm, epsilon=epsilon)

    def forward(self, images: Tensor) -> Tensor:
        features = convolve(self.step1, images, rectify=True)
        return self.step3(convolve(self.step2, features, rectify=True))


class ResNet(nn.Module):
    """The backbone: stem and up to four stages of residual blocks, which end at levels 2 to 5 (strides 4 to 32)."""

    def __init__(self, settings: BackboneSettings, *, channels: int, stages: int = STAGES) -> None:
        """
        Args:
            settings: Of a residual network.
            channels: Of the images.
            stages: 4, or 3 to end at level 4.
        """
        super().__init__()
        self.averaging = LAYOUTS[settings.name].averaging
        self.stem = _make_stem(settings, channels)
        self.stages = nn.ModuleList(nn.Sequential(*make_stage(settings, number)) for number in range(stages))
        self.channels = {number + 2: outputs_of(settings, number) for number in range(stages)}
        self.roi_levels = tuple(self.channels)
        for number, part in enumerate([self.stem, *self.stages]):
            part.requires_grad_(number >= settings.frozen_stages)

    def forward(self, images: Tensor) -> dict[int, Tensor]:
        """[B, D, H, W] normalized images to {level: [B, C, H / 2**level, W / 2**level]}, levels 2 to 5 or 4."""
        features = convolve(self.stem, images, rectify=True)
        if self.averaging:
            features = F.avg_pool2d(features, 2)
        else:
            features = F.max_pool2d(features, kernel_size=3, stride=2, padding=1)
        levels = {}
        for level, stage in enumerate(self.stages, start=2):
            features = stage(features)
            levels[level] = features
        return levels


class Stage5Head(nn.Module):
    """Stage 5 of a ResNet for pooled features: what the heads of C4 models share (He et al. 2017, figure 4 left)."""

    def __init__(self, settings: BackboneSettings) -> None:
        super().__init__()
        number = STAGES - 1
        for i, block in enumerate(make_stage(settings, number)):
            self.add_module(str(i), block)
        self.outputs = outputs_of(settings, number)
        self.requires_grad_(number + 1 >= settings.frozen_stages)

    def forward(self, pooled: Tensor) -> Tensor:
        """[N, S, S, C] pooled features of level 4 to [N, S / 2, S / 2, outputs]."""
        return self._forward_boxes(pooled) if takes_statistics(self) else compute_in_blocks(self._forward_boxes, pooled)

    def _forward_boxes(self, pooled: Tensor) -> Tensor:
        features = pooled.permute(0, 3, 1, 2)
        for block in self.children():
            features = block(features)
        return features.permute(0, 2, 3, 1)


def outputs_of(settings: BackboneSettings, number: int) -> int:
    """Channels at the end of a stage, counted from 0."""
    return settings.width * 2**number * (EXPANSION if LAYOUTS[settings.name].bottleneck else 1)


def make_stage(settings: BackboneSettings, number: int) -> list[BasicBlock | Bottleneck]:
    """The blocks of a stage, counted from 0."""
    layout = LAYOUTS[settings.name]
    dilated = settings.dilate_stage5 and number == STAGES - 1
    width = settings.width * 2**number
    stage = Stage(
        width=width,
        groups=layout.groups,
        middle=width * layout.group_width // PUBLISHED_WIDTH * layout.groups,
        dilation=2 if dilated else 1,
        stride_in_1x1=settings.stride_in_1x1,
        averaging=layout.averaging,
        norm=_norm_of(settings, number + 1),
        epsilon=settings.norm_epsilon,
    )
    block = Bottleneck if layout.bottleneck else BasicBlock
    stride = 1 if number == 0 or dilated else 2
    inputs = settings.width if number == 0 else outputs_of(settings, number - 1)
    outputs = outputs_of(settings, number)
    rest = [block(outputs, stage, stride=1) for _ in range(layout.blocks[number] - 1)]
    return [block(inputs, stage, stride=stride), *rest]


def _make_stem(settings: BackboneSettings, channels: int) -> nn.Module:
    width, norm, epsilon = settings.width, _norm_of(settings, 0), settings.norm_epsilon
    if not LAYOUTS[settings.name].averaging:
        return NormedConvolution(channels, width, kernel=7, norm=norm, stride=2, epsilon=epsilon)
    return AveragingStem(channels, width, norm=norm, epsilon=epsilon)


def _norm_of(settings: BackboneSettings, part: int) -> Norm:
    """The norm of the stem (0) or a stage (1 to 4): a batch norm that is not to learn does not measure either."""
    return "frozen_batch" if part < settings.frozen_stages and settings.norm != "group" else settings.norm
