"""What all settings have in common."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from .overrides import AT_PREDICTION, Changes, change_settings, require_at_prediction

__all__ = ["AT_PREDICTION", "Count", "Fraction", "NotNegative", "Positive", "Settings"]

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]

SCORE_THRESHOLD = 0.5
"""From which score on an object counts as found where predictions are drawn, counted or not ranked, unless the weights
note another; the model's own thresholds are settings."""


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors, values are checked also when they are assigned."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    def changed(self, *changes: Changes) -> Self:
        """A validated copy with other values; what comes later wins.

        Example:
            settings = RunSettings().changed({"train.steps": 2000}, ["box_head.detections_per_image=300"])

        Args:
            changes: Dictionaries by dotted key or nested, lists of `key=value`, YAML files (as `Path`), or settings,
                of which counts what differs from the defaults.

        Raises:
            SettingError: A key is unknown (with the one that was probably meant), or a value breaks its rule.
        """
        return change_settings(self, *changes)

    def changed_at_prediction(self, *changes: Changes) -> Self:
        """As `changed`, but only what leaves a model's layers as they are.

        Raises:
            SettingError: The weights were learned with a value, so that it cannot be changed any more.
        """
        changed = change_settings(self, *changes)
        require_at_prediction(self, *changes)
        return changed
