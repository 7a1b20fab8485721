"""How often, and how changed, an image is looked at when objects are predicted."""

from typing import Annotated

from pydantic import Field

from .base import Positive, Settings


class TTASettings(Settings):
    """Test-time augmentation: what is found in several views of an image is joined."""

    flip: bool = Field(False, description="Every view is looked at in a mirror too.")
    scales: tuple[Annotated[Positive, Field(allow_inf_nan=False)], ...] = Field(
        (),
        description="Lengths of the shorter side in place of `input.min_size`, or factors in place of "
        "`input.scale_factor` where the weights have that; none: the usual one.",
    )
