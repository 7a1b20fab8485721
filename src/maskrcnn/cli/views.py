"""Test-time augmentation on the command line: `--flip` and `--scales`."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import ValidationError

from ..config import ViewSettings
from ..errors import SettingError

Flip = Annotated[
    bool, typer.Option("--flip", help="Find objects in the mirror image too, and join what is found. Twice the time.")
]
Scales = Annotated[
    str | None,
    typer.Option(
        "--scales",
        metavar="A,B,...",
        help="Find objects at several scales, and join what is found: lengths of the shorter side such as "
        "`600,800,1000`, or factors where the weights have model.input.magnify.",
    ),
]


def chosen_views(flip: bool, scales: str | None) -> ViewSettings | None:
    """The views that the two options ask for; None if neither was given.

    Raises:
        SettingError: The scales are not positive numbers.
    """
    if not flip and scales is None:
        return None
    words = () if scales is None else tuple(scales.split(","))
    try:
        return ViewSettings.model_validate({"flip": flip, "scales": words})
    except ValidationError as error:
        raise SettingError(
            f"--scales {scales}: scales are positive numbers with commas between them. Give for instance --scales "
            "600,800,1000."
        ) from error
