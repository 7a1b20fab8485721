"""Test-time augmentation."""

from typing import Annotated

from pydantic import Field

from .base import Positive, Settings


class TTASettings(Settings):
    """Test-time augmentation: the detections of several versions of an image are merged."""

    flip: bool = Field(False, description="Each scale also with the flipped image.")
    scales: tuple[Annotated[Positive, Field(allow_inf_nan=False)], ...] = Field(
        (),
        description="Lengths of the shorter side instead of `input.min_size`, or factors instead of "
        "`input.scale_factor` if the weights have that; empty: the usual one.",
    )
