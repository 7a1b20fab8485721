"""What is predicted for each proposal, and for each pixel."""

from typing import Annotated, Literal

from pydantic import Field

from .base import AT_PREDICTION, Boxes, Channels, Fraction, Grid, Layers, NotNegative, Positive, Settings, SomeLayers
from .features import HeadNorm

DeltaWeights = tuple[Positive, Positive, Positive, Positive]


class BoxHeadSettings(Settings):
    """Class and refined box of each proposal (Girshick 2015)."""

    pool_size: Grid = Field(7, description="Side of the pooled grid of each proposal.")
    convolutions: Layers = Field(0, description="3x3 convolutions before the linear layers, 4 in newer models.")
    convolution_channels: Channels = Field(256, description="Width of those convolutions.")
    norm: HeadNorm = Field("none", description="Norm after each of those convolutions.")
    linear_layers: Layers = Field(2, description="Fully connected layers; 0: the mean over the grid (C4).")
    channels: Channels = Field(1024, description="Width of the fully connected layers.")
    class_agnostic: bool = Field(False, description="One box per proposal instead of one per class.")
    delta_weights: DeltaWeights = Field((10, 10, 5, 5), description="Factors of dx, dy, dw, dh in the targets.")
    positive_iou: Fraction = Field(
        0.5, description="Proposals with at least this IoU with an object are positive, others background."
    )
    batch_size_per_image: Boxes = Field(512, description="Proposals per image that count in the loss.")
    positive_fraction: Fraction = Field(0.25, description="Largest fraction of positives among the samples.")
    ohem: bool = Field(
        False, description="The samples are the proposals with the largest losses (OHEM), not drawn at random."
    )
    smooth_l1_beta: NotNegative = Field(1 / 9, description="Beta of the smooth L1 loss of boxes; 0: L1.")
    loss_epsilon: NotNegative = Field(
        0.0, description="Added to the number of boxes by which losses are divided (mmdetection: 1.1920929e-07)."
    )
    clamp_both_sides: Annotated[bool, AT_PREDICTION] = Field(
        False, description="Refined boxes also cannot shrink below 16/1000 of a side (mmdetection)."
    )
    score_threshold: Annotated[Fraction, AT_PREDICTION] = Field(
        0.05, description="Detections with lower scores are dropped."
    )
    min_box_size: Annotated[NotNegative | None, AT_PREDICTION] = Field(
        1e-2, description="Detections with a shorter side are dropped."
    )
    nms_threshold: Annotated[Fraction, AT_PREDICTION] = Field(
        0.5, description="IoU above which NMS drops the weaker of two detections of a class."
    )
    class_agnostic_nms: Annotated[bool, AT_PREDICTION] = Field(False, description="NMS ignores classes.")
    detections_per_image: Annotated[Boxes, AT_PREDICTION] = Field(100, description="Most detections per image.")


class CascadeStage(Settings):
    """One box head of a cascade."""

    positive_iou: Fraction = Field(description="IoU from which a box is positive.")
    delta_weights: DeltaWeights = Field(description="Factors of dx, dy, dw, dh in the targets.")
    loss_weight: Positive = Field(1.0, description="Factor of the stage's losses.")


class CascadeSettings(Settings):
    """Box heads one after the other, each on the boxes of the one before (Cai and Vasconcelos 2018, Cascade R-CNN)."""

    stages: tuple[CascadeStage, ...] = Field(
        (
            CascadeStage(positive_iou=0.5, delta_weights=(10, 10, 5, 5)),
            CascadeStage(positive_iou=0.6, delta_weights=(20, 20, 10, 10)),
            CascadeStage(positive_iou=0.7, delta_weights=(30, 30, 15, 15)),
        ),
        min_length=1,
        max_length=16,
        description="One entry per box head.",
    )
    average: Literal["scores", "logits"] = Field(
        "scores", description="How the stages are averaged (detectron2: scores, mmdetection: logits)."
    )
    resample: bool = Field(
        False,
        description="Later stages sample again from the refined and the annotated boxes (mmdetection), instead of "
        "using all refined ones (detectron2).",
    )
    mask_head_per_stage: bool = Field(
        False, description="Each stage has a mask head; their masks are averaged (mmdetection)."
    )


class MaskHeadSettings(Settings):
    """Mask of each detection (He et al. 2017): layers on a pooled grid, then a doubling of its size."""

    kind: Literal["convolutions", "linear"] = Field(
        "convolutions", description="Fully convolutional, or fully connected layers (the MLP of the paper's Table 2e)."
    )
    pool_size: Grid = Field(14, description="Side of the pooled grid.")
    channels: Channels = Field(256, description="Width of the convolutions, of linear layers four times that.")
    convolutions: Layers = Field(4, description="Number of 3x3 convolutions, or of linear layers.")
    norm: HeadNorm = Field("none", description="Norm after each convolution.")
    upsamples: Literal[1, 2] = Field(1, description="Doublings of the grid: masks of 28 px a side, or 56.")
    class_agnostic: bool = Field(False, description="One mask per object instead of one per class.")
    activation: Literal["sigmoid", "softmax"] = Field(
        "sigmoid", description="sigmoid: classes do not compete; softmax: each pixel belongs to one class or none."
    )
    targets: Literal["soft", "thresholded", "polygons"] = Field(
        "soft",
        description="What masks are trained on: the resampled bitmap, the same cut at one half on the half-pixel grid "
        "(mmdetection), or the polygons drawn on the grid (detectron2).",
    )
    paste: Annotated[Literal["grown", "sampled"], AT_PREDICTION] = Field(
        "grown",
        description="How masks are enlarged: spread over whole pixels of a grown box (torchvision), or sampled at the "
        "pixels' centers (detectron2, mmdetection).",
    )


class KeypointHeadSettings(Settings):
    """Keypoints of each detection (He et al. 2017, section 5): one 56 x 56 map per keypoint."""

    pool_size: Grid = Field(14, description="Side of the pooled grid; maps have four times as many pixels a side.")
    channels: Channels = Field(512, description="Width of the convolutions.")
    convolutions: SomeLayers = Field(8, description="Number of 3x3 convolutions.")
    score: Annotated[Literal["logit", "share"], AT_PREDICTION] = Field(
        "logit", description="Score of a keypoint: its peak (torchvision), or the peak's share of the map (detectron2)."
    )
    loss_weight: Positive = Field(1.0, description="Factor of the loss.")


class SemanticHeadSettings(Settings):
    """Semantic class of each pixel (Kirillov et al. 2019, Panoptic feature pyramid networks)."""

    classes: Annotated[int, Field(ge=2, le=100_000)] = Field(
        54, description="Semantic classes: those of stuff, and one for all things."
    )
    things: Literal["first", "last"] = Field(
        "first", description="Which class stands for things: the first (detectron2) or the last (mmdetection)."
    )
    channels: Channels = Field(128, description="Width of the convolutions.")
    norm: HeadNorm = Field("group", description="Norm after each convolution.")
    loss_weight: Positive = Field(0.5, description="Factor of the loss.")
    loss_at: Literal["input", "map"] = Field(
        "input",
        description="Where the loss is computed: at every pixel of the network's input (detectron2), or at "
        "the pixels of the head's smaller map (mmdetection).",
    )
    loss_over: Literal["annotated", "all"] = Field(
        "annotated", description="The loss is divided by the annotated pixels, or by all pixels (mmdetection)."
    )
