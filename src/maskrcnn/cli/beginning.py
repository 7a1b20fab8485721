"""What a training run begins with: its weights, and the settings that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..config import RunSettings
from ..config.presets import read_preset
from ..errors import SettingError, WeightsError
from .overrides import change_settings, find_preset, keys_of_preset, settings_of_preset

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


def choose_beginning(
    weights: str | None, overrides: Sequence[str], config: Path | None, preset: str | None = None
) -> Beginning:
    """Read the weights to start from, and put the settings of the user over those that follow from them.

    A detector brings its model's settings along, unless a preset is named. A plain backbone has none, and random
    weights need `FROM_SCRATCH`.

    Args:
        weights: File or name; "none": random; None: published weights of the preset's model or backbone, or
            torchvision's COCO weights, or random if they cannot be fetched.
        overrides, config: As for `change_settings`; they win over the preset.
        preset: Name of the model's settings; None: those of the weights.

    Raises:
        SettingError: A setting is wrong, or does not go with random weights.
        WeightsError: Weights that were asked for cannot be read.
    """
    base = settings_of_preset(preset)
    change_settings(base, overrides, config)  # what is wrong with them is said before anything is fetched
    start, warning = _read(weights, preset)
    if start is None:
        given = keys_of_preset(preset)
        scratch = [words for words in FROM_SCRATCH if words.partition("=")[0] not in given]
        settings = change_settings(change_settings(base, scratch), overrides, config)
        _check_from_scratch(settings)
        return Beginning(settings, None, warning)
    if start.settings is not None and preset is None:
        base = RunSettings(model=start.settings)
    return Beginning(change_settings(base, overrides, config), start)


def build_start(beginning: Beginning, classes: Classes) -> tuple[MaskRCNN, str]:
    """The model with its first weights, random ones by the run's seed, and where they come from in words."""
    from ..model.build import build_model
    from ..training.loop import seed_random_numbers
    from ..weights.starting import start_from

    settings = beginning.settings
    seed_random_numbers(settings.train.seed, 0)
    model = build_model(settings.model, len(classes), keypoints=classes.keypoint_count)
    if beginning.start is None:
        return model, f"random: {settings.model.backbone.name} with {settings.model.backbone.norm} norm"
    report = start_from(model, beginning.start, settings=settings.model, classes=classes)
    return model, f"{beginning.start.source}: {report}"


def _read(weights: str | None, preset: str | None) -> tuple[Start | None, str | None]:
    from ..weights.published import download
    from ..weights.starting import read_start

    if weights == NO_WEIGHTS:
        return None, None
    if weights is not None:
        return read_start(weights), None
    name = default_weights(preset)
    try:
        download(name)
    except WeightsError as error:
        return None, str(error)
    return read_start(name), None


def default_weights(preset: str | None) -> str:
    """Published weights that fit a preset: the best of the same model, else its backbone on ImageNet, else COCO's."""
    from ..weights.published import PUBLISHED

    if preset is None:
        return COCO_WEIGHTS
    preset = find_preset(preset)
    same = {sum(one.scores.values()): name for name, one in PUBLISHED.items() if one.preset == preset}
    backbone = f"torchvision/{read_preset(preset).backbone.name}"
    return same[max(same)] if same else backbone if backbone in PUBLISHED else COCO_WEIGHTS


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
