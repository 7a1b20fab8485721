"""Named settings: presets of the paper's and other libraries' models, and the variants of the paper's ablations."""

import difflib
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from ..errors import SettingError
from .base import Settings
from .model import ModelSettings

FOLDER = Path(__file__).parents[1] / "presets"
STUDIES = Path(__file__).with_name("studies.yaml")
FROM_RANDOM: dict[str, Any] = {
    "backbone.norm": "group",
    "backbone.frozen_stages": 0,
    "train.optimizer": "adamw",
    "train.learning_rate": 0.0008,
    "train.scheduler": "cosine",
}
"""What random weights need: `RunSettings().changed(FROM_RANDOM)`."""


def preset_names() -> list[str]:
    """All presets, as `<publisher>/<model>`."""
    return list(_read_all())


def read_preset(name: str) -> ModelSettings:
    """Settings of a model.

    Args:
        name: As `preset_names` lists it.

    Raises:
        SettingError: There is no preset of that name.
    """
    return ModelSettings.model_validate(preset_changes(name))


def preset_changes(name: str) -> dict[str, Any]:
    """What a preset changes of the defaults, in the form of a settings file: `{"rpn": {...}, ...}`.

    Raises:
        SettingError: There is no preset of that name.
    """
    presets = _read_all()
    if name not in presets:
        near = difflib.get_close_matches(name, presets, n=2, cutoff=0.4)
        guess = f" Did you mean {' or '.join(near)}?" if near else ""
        raise SettingError(f"{name}: there is no preset of that name.{guess} `maskrcnn models` lists them.")
    own = {key: value for key, value in presets[name].items() if key != "base"}
    base = presets[name].get("base")
    if base is None:
        return own
    return _merge(preset_changes(base if "/" in base else f"{name.partition('/')[0]}/{base}"), own)


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


@cache
def _read_all() -> dict[str, dict[str, Any]]:
    """The files `<publisher>.yaml` with `<model>: {base: <another>, <section>: <settings>}`."""
    return {
        f"{path.stem}/{model}": preset
        for path in sorted(FOLDER.glob("*.yaml"))
        for model, preset in yaml.safe_load(path.read_text(encoding="utf-8")).items()
    }


class Variant(Settings):
    """One row of a table."""

    changes: tuple[str, ...] = Field(description="Settings as `key=value`.")
    published: tuple[float, ...] = Field(min_length=1, max_length=3, description="AP, and where known AP50 and AP75.")


class Study(Settings):
    """One of the paper's tables: what its variants change, and what the paper reports of them."""

    table: str = Field(description="Its number in the paper.")
    title: str = Field(description="What it compares.")
    score: Literal["segm", "keypoints"] = Field(description="What AP is meant.")
    variants: dict[str, Variant] = Field(min_length=2, description="Its rows by name.")


@cache
def read_studies() -> dict[str, Study]:
    """All studies by name."""
    content = yaml.safe_load(STUDIES.read_text(encoding="utf-8"))
    return {name: Study.model_validate(study) for name, study in content.items()}
