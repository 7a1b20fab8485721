"""Every setting of the library with its only default.

Defaults of the model are those of torchvision's `maskrcnn_resnet50_fpn`, so that its checkpoints keep their numbers.
Boxes and lengths are in pixels of the network's input; fractions and thresholds lie in 0..1.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors, values are checked also when they are assigned."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class InputSettings(Settings):
    """How a picture becomes the network's input."""

    shorter: Count = Field(800, description="Length the shorter side is resized to.")
    longer: Count = Field(1333, description="Limit of the longer side; it wins over `shorter`.")
    magnify: Positive | None = Field(
        None,
        description="One factor for all pictures instead of `shorter` (microscopy, aerial); `longer` still limits.",
    )
    stretch: tuple[float, float] | None = Field(
        None, description="Percentiles of a picture's brightness stretched to black and white; none: left as it is."
    )
    mean: tuple[float, float, float] = Field((0.485, 0.456, 0.406), description="Mean of red, green, blue in 0..1.")
    deviation: tuple[float, float, float] = Field((0.229, 0.224, 0.225), description="Their standard deviation.")


class BackboneSettings(Settings):
    """Residual network (He et al. 2016) that turns a picture into feature maps."""

    name: Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"] = Field(
        "resnet50", description="Depth of the residual network."
    )
    width: Annotated[int, Field(ge=32, multiple_of=32)] = Field(
        64, description="Channels of the stem and the first stage, doubled by each later stage; 64 as published."
    )
    norm: Literal["frozen_batch", "batch", "group"] = Field(
        "frozen_batch", description="frozen_batch for fine-tuning, group for training from random weights."
    )
    norm_epsilon: Annotated[float, Field(ge=0)] = Field(
        1e-5, description="Added to the variance; torchvision's published first-generation files use 0."
    )
    frozen_stages: Annotated[int, Field(ge=0, le=5)] = Field(
        2, description="How many stages keep their weights: 0 none, 1 the stem, 2 the stem and the first stage, ..."
    )


class FPNSettings(Settings):
    """Feature pyramid network (Lin et al. 2017), levels P2 to P6."""

    channels: Count = Field(256, description="Width of every pyramid level.")


class AnchorSettings(Settings):
    """Boxes of fixed shape at every pyramid position, from which proposals start."""

    sizes: tuple[Positive, ...] = Field(
        (32, 64, 128, 256, 512),
        min_length=5,
        max_length=5,
        description="Side of the square anchor, one per pyramid level P2..P6.",
    )
    ratios: tuple[Positive, ...] = Field((0.5, 1.0, 2.0), min_length=1, description="Height over width.")


class RPNSettings(Settings):
    """Region proposal network (Ren et al. 2015), on every level of the pyramid."""

    positive_iou: Fraction = Field(0.7, description="Anchors that overlap an object at least so much are positive.")
    negative_iou: Fraction = Field(
        0.3, description="Anchors that overlap every object less are negative; those between do not count."
    )
    samples: Count = Field(256, description="Anchors per picture that count in the loss.")
    positive_fraction: Fraction = Field(0.5, description="Largest share of positive ones among the samples.")
    candidates_training: Count = Field(2000, description="Best anchors kept per level before suppression.")
    candidates: Count = Field(1000, description="The same for prediction.")
    proposals_training: Count = Field(2000, description="Proposals kept per picture after suppression.")
    proposals: Count = Field(1000, description="The same for prediction.")
    nms_threshold: Fraction = Field(0.7, description="Overlap from which the weaker of two proposals is suppressed.")
    score_threshold: Fraction = Field(0.0, description="Proposals with lower scores are dropped.")


class BoxHeadSettings(Settings):
    """Class and refined box of each proposal (Girshick 2015)."""

    pool_size: Count = Field(7, description="Side of the grid that RoIAlign samples in each proposal.")
    channels: Count = Field(1024, description="Width of the two fully connected layers.")
    positive_iou: Fraction = Field(
        0.5, description="Proposals that overlap an object at least so much are positive, others background."
    )
    samples: Count = Field(512, description="Proposals per picture that count in the loss.")
    positive_fraction: Fraction = Field(0.25, description="Largest share of positive ones among the samples.")
    score_threshold: Fraction = Field(0.05, description="Detections with lower scores are dropped.")
    nms_threshold: Fraction = Field(
        0.5, description="Overlap from which the weaker of two detections of a class is suppressed."
    )
    detections: Count = Field(100, description="Most detections per picture.")


class MaskHeadSettings(Settings):
    """Mask of each detection (He et al. 2017): convolutions on a RoIAlign grid, then one doubling of its size."""

    pool_size: Count = Field(
        14, description="Side of the RoIAlign grid; predicted masks have twice as many pixels a side."
    )
    channels: Count = Field(256, description="Width of the convolutions.")
    convolutions: Count = Field(4, description="Number of 3x3 convolutions before the doubling.")


class ModelSettings(Settings):
    """Mask R-CNN with FPN; `mask_head: null` gives Faster R-CNN."""

    input: InputSettings = Field(InputSettings(), description="How a picture becomes the network's input.")
    backbone: BackboneSettings = Field(BackboneSettings(), description="Residual network.")
    fpn: FPNSettings = Field(FPNSettings(), description="Feature pyramid.")
    anchors: AnchorSettings = Field(AnchorSettings(), description="Where proposals start.")
    rpn: RPNSettings = Field(RPNSettings(), description="Region proposal network.")
    box_head: BoxHeadSettings = Field(BoxHeadSettings(), description="Classes and boxes.")
    mask_head: MaskHeadSettings | None = Field(MaskHeadSettings(), description="Masks; null: boxes only, Faster R-CNN.")


class AugmentSettings(Settings):
    """Random changes of a training picture; each is drawn anew every time the picture is seen."""

    flip: Fraction = Field(0.5, description="Probability of a mirror image, left and right swapped.")
    vertical_flip: Fraction = Field(0.0, description="Probability of top and bottom swapped.")
    quarter_turns: bool = Field(False, description="Turn by a random multiple of 90 degrees (microscopy, aerial).")
    scale: tuple[Positive, Positive] = Field((0.8, 1.25), description="Range of a random factor on the resized size.")
    crop: Count | None = Field(None, description="Side of a random square crop, after scaling; none: whole pictures.")
    brightness: Annotated[float, Field(ge=0)] = Field(
        0.2, description="Colour jitter of brightness, as in torchvision."
    )
    contrast: Annotated[float, Field(ge=0)] = Field(0.2, description="Colour jitter of contrast.")
    saturation: Annotated[float, Field(ge=0)] = Field(0.2, description="Colour jitter of saturation.")
    hue: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.0, description="Colour jitter of hue, as a part of the colour circle."
    )
    invert: Fraction = Field(0.0, description="Probability of the negative picture (microscopy).")


class DataSettings(Settings):
    """What goes into a batch."""

    batch: Count = Field(2, description="Pictures per step on this machine.")
    workers: Annotated[int, Field(ge=0)] | None = Field(None, description="Loader processes; none: by the machine.")
    keep_empty: bool = Field(True, description="Train on pictures without objects too (they teach the background).")
    held_out: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1, description="Part of the pictures kept for validation when there are no validation data."
    )
    balance: str | None = Field(
        None, description="Field of the image records (e.g. `modality`) whose values are drawn equally often."
    )


class TrainSettings(Settings):
    """The training loop."""

    steps: Count | None = Field(None, description="Optimiser steps; none: 12 passes over the data, at least 1000.")
    optimiser: Literal["sgd", "adamw"] = Field(
        "sgd", description="Stochastic gradient descent with momentum, or AdamW."
    )
    learning_rate: Positive | None = Field(
        None, description="For a batch of 16 pictures, scaled to the batch; none: 0.02 for sgd, 0.0002 for adamw."
    )
    momentum: Fraction = Field(0.9, description="Of sgd.")
    weight_decay: Annotated[float, Field(ge=0)] | None = Field(None, description="None: 0.0001 sgd, 0.05 adamw.")
    schedule: Literal["step", "cosine"] = Field(
        "step", description="How the learning rate falls: in steps, or along half a cosine wave to zero."
    )
    milestones: tuple[Fraction, ...] = Field((0.67, 0.89), description="Of `step`: where the rate falls to a tenth.")
    warmup: Annotated[int, Field(ge=0)] = Field(500, description="Steps of linear warm-up, at most a tenth of all.")
    clip: Positive | None = Field(10.0, description="Largest norm of the gradient.")
    accumulate: Count = Field(1, description="Batches per optimiser step.")
    precision: Literal["auto", "bfloat16", "float32"] = Field("auto", description="auto: bfloat16 where it is fast.")
    average: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Decay of a moving average of the weights, which is then evaluated and kept; 0: none."
    )
    evaluate_every: Count | None = Field(None, description="Steps between evaluations; none: ten in all.")
    checkpoint_every: Count = Field(500, description="Steps between checkpoints.")
    log_every: Count = Field(20, description="Steps between lines of the log, each the mean over them.")
    patience: Count | None = Field(None, description="Stop after so many evaluations without a better AP.")
    seed: int = Field(0, ge=0, description="Of the random weights, the order of the pictures and their augmentation.")


class RunSettings(Settings):
    """All settings of a training run, as they are stored in its checkpoints."""

    model: ModelSettings = Field(ModelSettings(), description="The network.")
    augment: AugmentSettings = Field(AugmentSettings(), description="Random changes of training pictures.")
    data: DataSettings = Field(DataSettings(), description="Reading and batching.")
    train: TrainSettings = Field(TrainSettings(), description="The training loop.")
