"""The options that several verbs have, each written once; `--help` shows them in panels."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from ..config import TTASettings
from ..data.confinement import VARIABLE
from ..errors import SettingError

data_option = partial(typer.Option, rich_help_panel="Data")
model_option = partial(typer.Option, rich_help_panel="Model")
scoring_option = partial(typer.Option, rich_help_panel="Scoring")
output_option = partial(typer.Option, rich_help_panel="Output")
SETTING = re.compile(r"[a-z_]+(\.[a-z_]+)*=.")
FLIP = "flip"

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE ...", help="Settings, such as `train.steps=2000 mask_head=null`."),
]
PredictionOverrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE ...", help="Settings, such as `box_head.detections_per_image=300`."),
]
Preset = Annotated[
    str | None,
    model_option("--preset", metavar="NAME", help="Settings of a known model to start from, see `maskrcnn models`."),
]
ConfigFile = Annotated[Path | None, model_option("--config", metavar="FILE", help="YAML file with settings.")]

_DATA = data_option("--data", metavar="PATH", help="A dataset of any known format: file or folder.")
Data = Annotated[Path, _DATA]
OptionalData = Annotated[Path | None, _DATA]
Images = Annotated[
    Path | None, data_option("--images", metavar="DIR", help="Folder of the images, if not beside the file.")
]
Split = Annotated[str, data_option("--split", metavar="NAME", help="Split of a folder: `train`, `val` or `test`.")]
Splits = Annotated[
    list[str] | None,
    data_option("--split", metavar="NAME", help="Only this split: `train`, `val` or `test`; repeatable; default: all."),
]
Validation = Annotated[
    Path | None,
    data_option("--val", metavar="PATH", help="Validation data; default: the folder's own, or a part of the images."),
]
DataFormat = Annotated[
    str | None,
    data_option(
        "--format", metavar="NAME", help="Format of the data: `coco`, `yolo`, `labelme`, ...; default: recognized."
    ),
]
"""The formats that exist are listed by the message about one that does not."""
Where = Annotated[
    list[str] | None,
    data_option(
        "--where",
        metavar="FIELD=VALUE",
        help="Only images whose records have this value, e.g. `gray=true`; repeatable.",
    ),
]
SkipInvalid = Annotated[bool, data_option("--skip-invalid", help="Leave out objects that break a rule.")]


def _allow_outside(allowed: bool) -> None:
    if allowed:
        os.environ[VARIABLE] = "1"


AllowOutside = Annotated[
    bool,
    data_option("--allow-outside", help="Read images outside of the dataset's folders, too.", callback=_allow_outside),
]
ProposalFile = Annotated[
    Path | None,
    data_option(
        "--proposals",
        metavar="FILE",
        help="Boxes instead of the network's own proposals (Fast R-CNN): a file of `maskrcnn propose`, "
        "COCO results, or Detectron's .pkl.",
    ),
]

_WEIGHTS = model_option(
    "--weights",
    metavar="FILE_OR_NAME",
    help="Weights of this library, torchvision, detectron2, MMDetection, MMOCR, Detectron or maskrcnn-benchmark; or a "
    "name of `maskrcnn models`, such as `nuclei`.",
)
Source = Annotated[str, _WEIGHTS]
OptionalSource = Annotated[str | None, _WEIGHTS]
Device = Annotated[
    str | None,
    model_option("--device", metavar="NAME", help="`cpu`, `cuda`, `cuda:1`, `mps`; default: CUDA if available."),
]
BatchSize = Annotated[
    int, model_option("--batch-size", metavar="N", min=1, help="Images that go through the network together.")
]
PrecisionName = Literal["auto", "bfloat16", "float32"]
AUTO: PrecisionName = "auto"
EngineName = Literal["torch", "openvino"]
TORCH: EngineName = "torch"
Precision = Annotated[
    PrecisionName,
    model_option("--precision", metavar="NAME", help="`bfloat16`, `float32` or `auto`: bfloat16 if it is fast."),
]
Engine = Annotated[
    EngineName,
    model_option(
        "--engine",
        metavar="NAME",
        help="`torch` or `openvino`, which is for CPUs and has to be installed: a little faster if many images have "
        "few sizes.",
    ),
]
TTA = Annotated[
    str | None,
    model_option(
        "--tta",
        metavar="A,B,...",
        help="Test-time augmentation: `flip`, lengths of the shorter side such as `600,800,1000` (factors where the "
        "weights have input.scale_factor), or both, `flip,600,800`.",
    ),
]

ScoreFrom = Annotated[
    str | None,
    scoring_option(
        "--score-threshold",
        metavar="SCORE",
        help="Least score of predictions where they are not ranked, as in instance accuracy; default: as stored in the "
        "weights, or 0.5; `best`: the one with the best accuracy on these images.",
    ),
]
Compare = Annotated[
    Path | None,
    scoring_option(
        "--compare",
        metavar="FILE",
        help="Results, or scores of --json, of another run on the same images: both side by side, with the interval "
        "of the difference.",
    ),
]
Errors = Annotated[
    bool, scoring_option("--errors", help="Split the missing AP into kinds of errors, and list the worst images.")
]
Worst = Annotated[
    Path | None,
    output_option(
        "--worst",
        metavar="DIR",
        help="As --errors, and draw the worst images into a folder, annotated objects beside predicted ones.",
    ),
]
JsonFile = Annotated[Path | None, output_option("--json", metavar="FILE", help="Write the scores.")]


def is_setting(word: str) -> bool:
    """Whether a word of the command line is a setting rather than an image: `key=value`, and no such file."""
    return bool(SETTING.match(word)) and not Path(word).exists()


def parse_tta(words: str | None) -> TTASettings | None:
    """The value of `--tta`; None if it was not given.

    Raises:
        SettingError: A scale is not a positive number.
    """
    if words is None:
        return None
    parts = [part.strip() for part in words.split(",")]
    try:
        return TTASettings.model_validate({"flip": FLIP in parts, "scales": [part for part in parts if part != FLIP]})
    except ValidationError as error:
        raise SettingError(
            f"--tta {words}: must be `flip`, positive numbers with commas between them, or both. Give for instance "
            "--tta flip,600,800,1000."
        ) from error


def parse_threshold(words: str | None) -> float | Literal["best"] | None:
    """The value of `--score-threshold`.

    Raises:
        SettingError: It is neither a number from 0 to 1 nor `best`.
    """
    if words is None or words == "best":
        return words  # type: ignore[return-value]
    try:
        number = float(words)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise SettingError(f"--score-threshold {words}: must be a number from 0 to 1, or best. Correct it.")
    return number
