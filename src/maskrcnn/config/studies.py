"""The paper's ablations: what each of their variants changes, and what the paper reports of it."""

from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field

from .base import Settings

FILE = Path(__file__).with_suffix(".yaml")


class Variant(Settings):
    """One row of a table."""

    changes: tuple[str, ...] = Field(description="Settings in the words of the command line.")
    published: tuple[float, ...] = Field(min_length=1, max_length=3, description="AP, and where known AP50 and AP75.")


class Study(Settings):
    """One table."""

    table: str = Field(description="Its number in the paper.")
    title: str = Field(description="What it compares.")
    score: Literal["segm", "keypoints"] = Field(description="What AP is meant.")
    variants: dict[str, Variant] = Field(min_length=2, description="Its rows by name.")


@cache
def read_studies() -> dict[str, Study]:
    """All studies by name."""
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {name: Study.model_validate(study) for name, study in content.items()}
