"""What all settings have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

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
