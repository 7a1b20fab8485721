"""Where a training starts: its first weights, and the settings that follow from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..config import RunSettings
from ..config.base import Changes
from ..config.presets import FROM_RANDOM, preset_changes, read_preset
from ..errors import SettingError, WeightsError
from ..model.build import build_model
from ..model.mask_rcnn import MaskRCNN
from ..structures.classes import Classes
from ..weights.published import PUBLISHED, download, find_preset, preset_settings
from ..weights.start import Start, read_start, start_from
from .layers import require_trainable
from .loop import seed_random_numbers

COCO_WEIGHTS = "torchvision/maskrcnn_resnet50_fpn"
NO_WEIGHTS = "none"


class TrainingStart(NamedTuple):
    """Weights and settings of a run that is to start.

    Args:
        settings: Of the run.
        weights: What the weights file has; None: random weights.
        warning: Why the weights are random although nobody asked for it.
    """

    settings: RunSettings
    weights: Start | None = None
    warning: str | None = None


def choose_start(weights: str | Path | None, *changes: Changes, preset: str | None = None) -> TrainingStart:
    """Read the weights to start from, and put the settings of the user over those that follow from them.

    A detector brings its model's settings along, unless a preset is named. A plain backbone has none, and random
    weights need `FROM_RANDOM`, which a preset and the user win over.

    Args:
        weights: File or name; "none": random; None: published weights of the preset's model or backbone, or
            torchvision's COCO weights, or random if they cannot be fetched.
        changes: As for `Settings.changed`; they win over the preset.
        preset: Name of the model's settings; None: those of the weights.

    Raises:
        SettingError: A setting is wrong.
        WeightsError: Weights that were asked for cannot be read.
    """
    base = preset_settings(preset)
    chosen = base.changed(*changes)  # what is wrong with them is said before anything is fetched
    start, warning = _read(weights, preset, chosen.backbone.name)
    if start is None:
        own = preset_changes(find_preset(preset)) if preset else {}
        return TrainingStart(RunSettings().changed(FROM_RANDOM, own, *changes), None, warning)
    if start.settings is not None and preset is None:
        # The range of values belongs to the data of the weights, not to those that are trained on now.
        chosen = RunSettings.of(start.settings).changed({"input.range": None}, *changes)
    return TrainingStart(chosen, start)


def default_weights(preset: str | None, backbone: str = RunSettings().backbone.name) -> str | None:
    """Published weights that fit a preset: the best of the same model, else its backbone on ImageNet, else COCO's.

    Without a preset those of COCO; of another backbone than theirs its own on ImageNet, or none.
    """
    if preset is None:
        own = f"torchvision/{backbone}"
        return COCO_WEIGHTS if backbone == RunSettings().backbone.name else own if own in PUBLISHED else None
    preset = find_preset(preset)
    same = {sum(one.scores.values()): name for name, one in PUBLISHED.items() if one.preset == preset}
    own = f"torchvision/{read_preset(preset).backbone.name}"
    return same[max(same)] if same else own if own in PUBLISHED else COCO_WEIGHTS


def build_start(start: TrainingStart, classes: Classes, *, resume: bool = False) -> tuple[MaskRCNN, str]:
    """The model with its first weights, random ones by the run's seed, and where they come from in words.

    Args:
        resume: The weights are still to come, from a checkpoint.

    Raises:
        SettingError: The settings freeze weights that are random.
    """
    settings = start.settings
    seed_random_numbers(settings.train.seed, 0)
    model = build_model(settings.model, len(classes), keypoints=classes.keypoint_count)
    if resume:
        return model, "the run's own"
    if start.weights is None:
        require_trainable(model)
        return model, f"random: {settings.model.backbone.name} with {settings.model.backbone.norm} norm"
    report = start_from(model, start.weights, settings=settings.model, classes=classes)
    return model, f"{start.weights.source}: {report}"


def require_fit(model: MaskRCNN, settings: RunSettings, classes: Classes) -> None:
    """Say before the first step that a model of the user's is for other classes, or that settings would do nothing.

    Its parts hold their settings; only those of the input and of the training can change.

    Raises:
        SettingError: It is so.
    """
    if model.classes != len(classes):
        raise SettingError(
            f"model: it has {model.classes} classes, but the data has {len(classes)}: {', '.join(classes.names)}. "
            f"Build it with classes={len(classes)}."
        )
    own, given = (one.model_dump(exclude={"input"}) for one in (model.settings, settings.model))
    if changed := list(_differences(own, given)):
        raise SettingError(
            f"{', '.join(changed)}: the model was built with other values, which it keeps. Build it with these."
        )


def _differences(own: Mapping[str, Any], given: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in own.items():
        other = given[name]
        if isinstance(value, Mapping) and isinstance(other, Mapping) and value.keys() == other.keys():
            yield from _differences(value, other, f"{prefix}{name}.")
        elif value != other:
            yield f"{prefix}{name}={other}"


def _read(weights: str | Path | None, preset: str | None, backbone: str) -> tuple[Start | None, str | None]:
    if weights == NO_WEIGHTS:
        return None, None
    if weights is not None:
        return read_start(weights), None
    name = default_weights(preset, backbone)
    if name is None:
        return (
            None,
            f"backbone.name={backbone}: there are no published weights of it.",
        )
    try:
        download(name)
    except WeightsError as error:
        return None, str(error)
    return read_start(name), None
