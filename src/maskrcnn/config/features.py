"""From the image to feature maps and proposals."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from .base import AT_PREDICTION, Boxes, Channels, Fraction, Length, NotNegative, Positive, Settings, SomeLayers

ResNetName = Literal[
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x4d",
    "resnext101_64x4d",
    "resnext101_32x8d",
    "resnext152_32x8d",
    "wide_resnet50_2",
    "wide_resnet101_2",
    "clip_resnet50",
]
HeadNorm = Literal["none", "batch", "sync_batch", "group"]


class InputSettings(Settings):
    """How an image becomes the network's input."""

    min_size: Length = Field(800, description="Length the shorter side is resized to.")
    max_size: Length = Field(1333, description="Limit of the longer side; it wins over `min_size`.")
    scale_factor: Annotated[float, Field(gt=0, le=100)] | None = Field(
        None,
        description="One factor for all images instead of `min_size` (microscopy, aerial); `max_size` still limits.",
    )
    resize: Literal["float", "pillow", "opencv"] = Field(
        "float",
        description="float: bilinear on the normalized image, sizes rounded down (torchvision); pillow, opencv: "
        "bilinear on its 8-bit values, sizes rounded to the nearest (detectron2, mmdetection).",
    )
    size_divisible: Length = Field(32, description="Batches are padded to a multiple of this many pixels.")
    range: tuple[float, float] | None = Field(
        None,
        description="Values that become black and white in images of more than 8 bits per channel, such as 0,4095; "
        "null: a training finds it in its data; else by the values of each image.",
    )
    stretch: tuple[float, float] | None = Field(
        None,
        description="Percentiles of an image's brightness that become black and white, found in its own values before "
        "they are cut to 8 bits; null: unchanged.",
    )
    channel_order: Literal["rgb", "bgr"] = Field("rgb", description="Order in which the network sees the channels.")
    mean: tuple[float, ...] = Field(
        (0.485, 0.456, 0.406),
        max_length=1024,
        description="Mean of each channel in 0..1; of color images in the order red, green, blue.",
    )
    std: tuple[Positive, ...] = Field(
        (0.229, 0.224, 0.225), description="Standard deviation of each channel; one value per channel."
    )

    @field_validator("range")
    @classmethod
    def _check_range(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not -math.inf < value[0] < value[1] < math.inf:
            raise ValueError("must be two numbers, the smaller one first")
        return value

    @model_validator(mode="after")
    def _check_channels(self) -> "InputSettings":
        if len(self.mean) != len(self.std):
            raise ValueError(
                f"mean has {len(self.mean)} and std {len(self.std)} values, but both must have one for each channel"
            )
        return self

    @property
    def channels(self) -> int:
        """Channels of an image."""
        return len(self.mean)


class BackboneSettings(Settings):
    """The network from an image to feature maps."""

    name: ResNetName | Literal["mobilenet_v3_large"] | Annotated[str, Field(pattern=r"^timm/\w+")] = Field(
        "resnet50",
        description="A residual network, torchvision's MobileNet, or timm/<name>: any timm model with feature "
        "maps (needs the extra `timm`).",
    )
    width: Annotated[int, Field(ge=32, le=1024, multiple_of=32)] = Field(
        64, description="Channels of the stem and the first stage, doubled by each later stage; 64 as published."
    )
    stride_in_1x1: Annotated[bool, AT_PREDICTION] = Field(
        False,
        description="The stride of bottlenecks is in their first convolution (Caffe, MSRA), not in the 3x3 (PyTorch).",
    )
    dilate_stage5: bool = Field(False, description="Stage 5 keeps stride 16 and is dilated instead (DC5).")
    norm: Literal["frozen_batch", "batch", "sync_batch", "group"] = Field(
        "frozen_batch",
        description="frozen_batch for fine-tuning, group for training from random weights; sync_batch: statistics of "
        "all processes of torch.distributed, in one process the same as batch.",
    )
    norm_epsilon: Annotated[NotNegative, AT_PREDICTION] = Field(
        1e-5, description="Added to the variance; torchvision's published first-generation files use 0."
    )
    frozen_stages: Annotated[int, Field(ge=0, le=5)] = Field(
        2, description="Stages that are not trained: 0 none, 1 the stem, 2 the stem and the first stage, ..."
    )


class NeckSettings(Settings):
    """From the backbone's maps to those of the RPN and the heads."""

    name: Literal["fpn", "c4", "c5"] = Field(
        "fpn",
        description="fpn: a pyramid of all levels (Lin et al. 2017); c4: the map of stage 4, with stage 5 as the head "
        "of every proposal; c5: the map of stage 5.",
    )
    channels: Channels = Field(256, description="For fpn: channels of every level.")
    norm: HeadNorm = Field("none", description="For fpn: norm after each convolution.")


class AnchorSettings(Settings):
    """Boxes of fixed shape at every position of a feature map, from which proposals start."""

    sizes: tuple[tuple[Positive, ...], ...] = Field(
        ((32,), (64,), (128,), (256,), (512,)),
        min_length=1,
        max_length=16,
        description="Sides of the anchors of each level, the finest first; one number or several per level.",
    )
    ratios: tuple[Positive, ...] = Field((0.5, 1.0, 2.0), min_length=1, description="Height over width.")
    order: Literal["ratios_outer", "sizes_outer"] = Field(
        "ratios_outer", description="Order of a level's anchors: all sizes for each ratio, or all ratios for each size."
    )
    rounded: bool = Field(True, description="Corners rounded to whole pixels, as in torchvision.")
    stride: Literal["measured", "nominal"] = Field(
        "measured", description="Distance of anchors: padded input size / map size (torchvision), or 2**level."
    )
    offset: Fraction = Field(
        0.0, description="Center of the first anchor, in strides from the corner of the image (Detectron: 0.5)."
    )
    shapes: tuple[tuple[tuple[Positive, Positive], ...], ...] | None = Field(
        None,
        description="Width and height of each anchor of each level, instead of sizes, ratios and order "
        "(Detectron rounds them differently).",
    )

    @field_validator("sizes", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return tuple(sides if isinstance(sides, list | tuple) else (sides,) for sides in value)


class RPNSettings(Settings):
    """Region proposal network (Ren et al. 2015), on every level of the pyramid."""

    convolutions: SomeLayers = Field(1, description="3x3 convolutions before the predictions.")
    positive_iou: Fraction = Field(0.7, description="Anchors with at least this IoU with an object are positive.")
    negative_iou: Fraction = Field(
        0.3, description="Anchors with less IoU with every object are negative; those between are ignored."
    )
    rescue_iou: Fraction = Field(
        0.0, description="The best anchors of each object are positive too, if they have at least this IoU."
    )
    batch_size_per_image: Boxes = Field(256, description="Anchors per image that count in the loss.")
    positive_fraction: Fraction = Field(0.5, description="Largest fraction of positives among the samples.")
    smooth_l1_beta: NotNegative = Field(1 / 9, description="Beta of the smooth L1 loss of boxes; 0: L1.")
    loss_normalizer: Literal["chosen", "batch_size_per_image"] = Field(
        "chosen", description="The losses are divided by the number of sampled anchors, or by `batch_size_per_image`."
    )
    loss_epsilon: NotNegative = Field(
        0.0, description="Added to the number by which the losses are divided (mmdetection: 1.1920929e-07)."
    )
    pre_nms_top_n_training: Boxes = Field(2000, description="Best anchors kept per level before NMS.")
    pre_nms_top_n: Boxes = Field(1000, description="The same for prediction.")
    post_nms_top_n_training: Boxes = Field(2000, description="Proposals kept per image after NMS.")
    post_nms_top_n: Boxes = Field(1000, description="The same for prediction.")
    rank_by: Literal["score", "logit"] = Field(
        "score", description="Proposals are ranked after or before the sigmoid; differs where it saturates."
    )
    nms_threshold: Fraction = Field(0.7, description="IoU above which NMS drops the weaker of two proposals.")
    score_threshold: Fraction = Field(0.0, description="Proposals with lower scores are dropped.")
    min_box_size: NotNegative = Field(1e-3, description="Proposals with a shorter side are dropped; 0: empty ones.")
    clamp_both_sides: bool = Field(
        False, description="Proposals also cannot shrink below 16/1000 of an anchor's side (mmdetection)."
    )


class RoISettings(Settings):
    """Pooling of the features of a box to a fixed grid (He et al. 2017, section 3)."""

    method: Literal["align", "pool", "warp"] = Field(
        "align", description="align: nothing is rounded; pool: box and bins are (Fast R-CNN); warp: the box only (MNC)."
    )
    reduce: Literal["average", "max"] = Field(
        "average", description="How `align` and `warp` reduce the samples of a bin."
    )
    sampling_ratio: Annotated[int, Field(ge=0)] = Field(
        2, description="Sampling points per bin and side; 0: as many as the bin has pixels, rounded up."
    )
    half_pixel: bool = Field(
        False, description="Pixel centers lie at .5 (detectron2, mmdetection), not at whole numbers (torchvision)."
    )
    level_slack: tuple[NotNegative, NotNegative] = Field(
        (0.0, 1e-6),
        description="Rounding guards (a, b) of a box's level, floor(4 + log2(side / 224 + a) + b): detectron2 has "
        "(1e-8, 0), mmdetection (2.5e-7, 0).",
    )
