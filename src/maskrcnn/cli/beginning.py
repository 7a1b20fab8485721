"""What a training run begins with: its weights, and the settings that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..config import RunSettings
from ..errors import SettingError, WeightsError
from .overrides import change_settings

if TYPE_CHECKING:
    from ..model.mask_rcnn import MaskRCNN
    from ..structures.classes import Classes
    from ..weights.starting import Start

COCO_WEIGHTS = "torchvision/maskrcnn_resnet50_fpn"
NO_WEIGHTS = "none"
FROM_SCRATCH = (
    "model.backbone.norm=group",
    "model.backbone.frozen_stages=0",
    "train.optimiser=adamw",
    "train.learning_rate=0.0008",
    "train.schedule=cosine",
)
"""Settings that random weights need; the user's own win over them."""


class Beginning(NamedTuple):
    """Weights and settings of a run that is to start.

    Args:
        settings: Of the run.
        start: What the weights file has; None: random weights.
        warning: Why the weights are random although nobody asked for it.
    """

    settings: RunSettings
    start: Start | None
    warning: str | None = None


def choose_beginning(weights: str | None, overrides: Sequence[str], config: Path | None) -> Beginning:
    """Read the weights to start from, and put the settings of the user over those that follow from them.

    A detector brings its model's settings along. A plain backbone has none, and random weights need `FROM_SCRATCH`.

    Args:
        weights: File or name; "none": random; None: torchvision's COCO weights, or random if they cannot be fetched.
        overrides, config: As for `change_settings`.

    Raises:
        SettingError: A setting is wrong, or does not go with random weights.
        WeightsError: Weights that were asked for cannot be read.
    """
    change_settings(RunSettings(), overrides, config)  # what is wrong with them is said before anything is fetched
    start, warning = _read(weights)
    if start is None:
        settings = change_settings(change_settings(RunSettings(), FROM_SCRATCH), overrides, config)
        _check_from_scratch(settings)
        return Beginning(settings, None, warning)
    defaults = RunSettings() if start.settings is None else RunSettings(model=start.settings)
    return Beginning(change_settings(defaults, overrides, config), start)


def build_start(beginning: Beginning, classes: Classes) -> tuple[MaskRCNN, str]:
    """The model with its first weights, random ones by the run's seed, and where they come from in words."""
    from ..model.build import build_model
    from ..train.loop import seed_random_numbers
    from ..weights.starting import start_from

    settings = beginning.settings
    seed_random_numbers(settings.train.seed, 0)
    model = build_model(settings.model, len(classes))
    if beginning.start is None:
        return model, f"random: {settings.model.backbone.name} with {settings.model.backbone.norm} norm"
    report = start_from(model, beginning.start, settings=settings.model, classes=classes)
    return model, f"{beginning.start.source}: {report}"


def _read(weights: str | None) -> tuple[Start | None, str | None]:
    from ..weights.published import download
    from ..weights.starting import read_start

    if weights == NO_WEIGHTS:
        return None, None
    if weights is not None:
        return read_start(weights), None
    try:
        download(COCO_WEIGHTS)
    except WeightsError as error:
        return None, str(error)
    return read_start(COCO_WEIGHTS), None


def _check_from_scratch(settings: RunSettings) -> None:
    backbone = settings.model.backbone
    if backbone.norm == "frozen_batch":
        raise SettingError(
            "model.backbone.norm=frozen_batch: with random weights there are no statistics to freeze. Leave it out "
            "(then it is group), or give weights to start from with --weights."
        )
    if backbone.frozen_stages:
        raise SettingError(
            f"model.backbone.frozen_stages={backbone.frozen_stages}: with random weights these stages would stay "
            "random for ever. Leave it out (then it is 0), or give weights to start from with --weights."
        )
