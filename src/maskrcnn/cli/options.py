"""The options that several verbs have, each written once; `--help` shows them in panels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from ..config import TTASettings
from ..errors import SettingError

DATA, MODEL, SCORING, OUTPUT = "Data", "Model", "Scoring", "Output"
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
    typer.Option(
        "--preset",
        metavar="NAME",
        help="Settings of a known model to start from, see `maskrcnn models`.",
        rich_help_panel=MODEL,
    ),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="YAML file with settings.", rich_help_panel=MODEL)
]

_DATA = typer.Option(
    "--data", metavar="PATH", help="A dataset of any known format: file or folder.", rich_help_panel=DATA
)
Data = Annotated[Path, _DATA]
OptionalData = Annotated[Path | None, _DATA]
Images = Annotated[
    Path | None,
    typer.Option("--images", metavar="DIR", help="Folder of the images, if not beside the file.", rich_help_panel=DATA),
]
Split = Annotated[
    str,
    typer.Option("--split", metavar="NAME", help="Split of a folder: `train`, `val` or `test`.", rich_help_panel=DATA),
]
Splits = Annotated[
    list[str] | None,
    typer.Option(
        "--split",
        metavar="NAME",
        help="Only this split: `train`, `val` or `test`; repeatable; default: all.",
        rich_help_panel=DATA,
    ),
]
Validation = Annotated[
    Path | None,
    typer.Option(
        "--val",
        metavar="PATH",
        help="Validation data; default: the folder's own, or a part of the images.",
        rich_help_panel=DATA,
    ),
]
DataFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="Format of the data: `coco`, `yolo`, `labelme`, ...; default: recognized.",
        rich_help_panel=DATA,
    ),
]
"""The formats that exist are listed by the message about one that does not."""
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="FIELD=VALUE",
        help="Only images whose records have this value, e.g. `gray=true`; repeatable.",
        rich_help_panel=DATA,
    ),
]
SkipInvalid = Annotated[
    bool, typer.Option("--skip-invalid", help="Leave out objects that break a rule.", rich_help_panel=DATA)
]
ProposalFile = Annotated[
    Path | None,
    typer.Option(
        "--proposals",
        metavar="FILE",
        help="Boxes instead of the network's own proposals (Fast R-CNN): a file of `maskrcnn propose`, "
        "COCO results, or Detectron's .pkl.",
        rich_help_panel=DATA,
    ),
]

_WEIGHTS = typer.Option(
    "--weights",
    metavar="FILE_OR_NAME",
    help="Weights of this library, torchvision, detectron2, MMDetection, Detectron or maskrcnn-benchmark; or a name of "
    "`maskrcnn models`, such as `nuclei`.",
    rich_help_panel=MODEL,
)
Source = Annotated[str, _WEIGHTS]
OptionalSource = Annotated[str | None, _WEIGHTS]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="NAME",
        help="`cpu`, `cuda`, `cuda:1`, `mps`; default: CUDA if available.",
        rich_help_panel=MODEL,
    ),
]
BatchSize = Annotated[
    int,
    typer.Option(
        "--batch-size",
        metavar="N",
        min=1,
        help="Images that go through the network together.",
        rich_help_panel=MODEL,
    ),
]
PrecisionName = Literal["auto", "bfloat16", "float32"]
AUTO: PrecisionName = "auto"
EngineName = Literal["torch", "openvino"]
TORCH: EngineName = "torch"
Precision = Annotated[
    PrecisionName,
    typer.Option(
        "--precision",
        metavar="NAME",
        help="`bfloat16`, `float32` or `auto`: bfloat16 if it is fast.",
        rich_help_panel=MODEL,
    ),
]
Engine = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="`torch` or `openvino`, which is for CPUs and has to be installed: a little faster if many images have "
        "few sizes.",
        rich_help_panel=MODEL,
    ),
]
TTA = Annotated[
    str | None,
    typer.Option(
        "--tta",
        metavar="A,B,...",
        help="Test-time augmentation: `flip`, lengths of the shorter side such as `600,800,1000` (factors where the "
        "weights have input.scale_factor), or both, `flip,600,800`.",
        rich_help_panel=MODEL,
    ),
]

ScoreFrom = Annotated[
    str | None,
    typer.Option(
        "--score-threshold",
        metavar="SCORE",
        help="Least score of predictions where they are not ranked, as in instance accuracy; default: as stored in the "
        "weights, or 0.5; `best`: the one with the best accuracy on these images.",
        rich_help_panel=SCORING,
    ),
]
Compare = Annotated[
    Path | None,
    typer.Option(
        "--compare",
        metavar="FILE",
        help="Results, or scores of --json, of another run on the same images: both side by side, with the interval "
        "of the difference.",
        rich_help_panel=SCORING,
    ),
]
Errors = Annotated[
    bool,
    typer.Option(
        "--errors",
        help="Split the missing AP into kinds of errors, and list the worst images.",
        rich_help_panel=SCORING,
    ),
]
Worst = Annotated[
    Path | None,
    typer.Option(
        "--worst",
        metavar="DIR",
        help="As --errors, and draw the worst images into a folder, annotated objects beside predicted ones.",
        rich_help_panel=OUTPUT,
    ),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the scores.", rich_help_panel=OUTPUT)
]


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
