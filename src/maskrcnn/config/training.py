"""What training does with images and weights."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator

from .base import Count, Fraction, NotNegative, Positive, Settings
from .model import ModelSettings

Layer = Literal["backbone", "neck", "rpn", "heads"]
OptimizerName = Literal["sgd", "adamw"]
LEARNING_RATES: dict[OptimizerName, float] = {"sgd": 0.02, "adamw": 0.0002}
"""Of a batch of `REFERENCE_BATCH` images."""
REFERENCE_BATCH = 16
WEIGHT_DECAYS: dict[OptimizerName, float] = {"sgd": 0.0001, "adamw": 0.05}


def _by_optimizer(values: dict[OptimizerName, float]) -> str:
    return ", ".join(f"{value:g} for {name}" for name, value in values.items())


class AugmentSettings(Settings):
    """Random changes of a training image, drawn again each time the image is used."""

    horizontal_flip: Fraction = Field(0.5, description="Probability of a flipped image, left and right swapped.")
    vertical_flip: Fraction = Field(0.0, description="Probability of top and bottom swapped.")
    rotate90: bool = Field(False, description="Rotation by a random multiple of 90 degrees (microscopy, aerial).")
    scale: tuple[Positive, Positive] = Field((0.8, 1.25), description="Range of a random factor on the resized size.")
    crop: Count | None = Field(None, description="Side of a random square crop, after scaling; null: whole images.")
    crop_on_object: Fraction = Field(
        0.0, description="Probability that the crop contains a random object; otherwise it is anywhere."
    )
    brightness: NotNegative = Field(0.2, description="Color jitter of brightness, as in torchvision.")
    contrast: NotNegative = Field(0.2, description="Color jitter of contrast.")
    saturation: NotNegative = Field(0.2, description="Color jitter of saturation.")
    hue: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.0, description="Color jitter of hue, as a fraction of the color circle."
    )
    invert: Fraction = Field(0.0, description="Probability of the negative image (microscopy).")


class DataSettings(Settings):
    """What goes into a batch."""

    batch_size: Count = Field(2, description="Images per step on this machine.")
    workers: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Loader processes; null: chosen for the machine."
    )
    keep_empty: bool = Field(True, description="Train on images without objects too (they teach the background).")
    val_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1, description="Fraction of the images kept for validation if there are no validation data."
    )
    balance: str | None = Field(
        None, description="Field of the image records (e.g. `modality`) whose values are drawn equally often."
    )


class TrainSettings(Settings):
    """The training loop."""

    steps: Count | None = Field(None, description="Optimizer steps; null: 12 epochs, at least 1000.")
    optimizer: OptimizerName = Field("sgd", description="Stochastic gradient descent with momentum, or AdamW.")
    learning_rate: Positive | None = Field(
        None,
        description=f"For a batch of {REFERENCE_BATCH} images, scaled to the batch; null: "
        f"{_by_optimizer(LEARNING_RATES)}.",
    )
    momentum: Fraction = Field(0.9, description="For sgd.")
    weight_decay: NotNegative | None = Field(None, description=f"null: {_by_optimizer(WEIGHT_DECAYS)}.")
    scheduler: Literal["step", "cosine"] = Field(
        "step", description="Decay of the learning rate: in steps, or as half a cosine to zero."
    )
    milestones: tuple[Fraction, ...] = Field(
        (0.67, 0.89), description="For `step`: fractions of the run where the rate falls to a tenth."
    )
    warmup_steps: Annotated[int, Field(ge=0)] = Field(
        500, description="Steps of linear warm-up, at most a tenth of all steps."
    )
    loss_weights: dict[str, NotNegative] = Field(
        {}, description="Factors of the losses by their names in the log, for example {masks: 2}; all others have 1."
    )
    clip_grad_norm: Positive | None = Field(10.0, description="Gradients are clipped to this norm; null: not.")
    accumulate_steps: Count = Field(1, description="Batches per optimizer step.")
    precision: Literal["auto", "bfloat16", "float32"] = Field("auto", description="auto: bfloat16 where it is fast.")
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Decay of the moving average (EMA) of the weights, which is then evaluated and saved; 0: none."
    )
    evaluate_every: Count | None = Field(None, description="Steps between evaluations; null: ten in all.")
    checkpoint_every: Count = Field(500, description="At most so many steps between checkpoints.")
    checkpoint_minutes: Positive = Field(10, description="At most so many minutes between checkpoints.")
    log_every: Count = Field(20, description="Steps between lines of the log; each line is their mean.")
    patience: Count | None = Field(
        None, description="Stop after this number of evaluations without a better AP; null: never."
    )
    layers: tuple[Layer, ...] = Field(
        ("backbone", "neck", "rpn", "heads"),
        description="What is trained: backbone, neck, rpn, heads; the rest is frozen. At least one of rpn and heads, "
        "and only their losses are computed.",
    )
    seed: int = Field(
        0, ge=0, description="Seed of the random weights, the order of the images and their augmentation."
    )

    @field_validator("layers", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("layers")
    @classmethod
    def _something_has_a_loss(cls, value: tuple[Layer, ...]) -> tuple[Layer, ...]:
        if not {"rpn", "heads"} & set(value):
            raise ValueError("must contain rpn or heads, else there is no loss")
        return value


class RunSettings(ModelSettings):
    """All settings of a training run, as they are stored in its checkpoints: those of the model, and of the run."""

    augment: AugmentSettings = Field(AugmentSettings(), description="Random changes of training images.")
    data: DataSettings = Field(DataSettings(), description="Reading and batching.")
    train: TrainSettings = Field(TrainSettings(), description="The training loop.")

    @classmethod
    def of(cls, model: ModelSettings) -> Self:
        """A run that trains this model, with the usual settings."""
        return cls(**{name: getattr(model, name) for name in ModelSettings.model_fields})

    @property
    def model(self) -> ModelSettings:
        """The part that describes the network, as it is stored with its weights."""
        return ModelSettings(**{name: getattr(self, name) for name in ModelSettings.model_fields})
