"""The model of the verbs that predict: its options, its test-time augmentation, and its weights with some settings
changed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import ValidationError

from ..config import ModelSettings, TTASettings
from ..errors import SettingError

if TYPE_CHECKING:
    from ..predict.predictor import Predictor

SETTING = re.compile(r"[a-z_]+(\.[a-z_]+)*=.")

_WEIGHTS = typer.Option(
    "--weights",
    metavar="FILE_OR_NAME",
    help="Weights file of this library, detectron2, mmdetection, torchvision, Detectron or maskrcnn-benchmark, or "
    "a name of `maskrcnn models`, such as `nuclei` or `detectron2/R50-FPN-3x`.",
)
Source = Annotated[str, _WEIGHTS]
OptionalSource = Annotated[str | None, _WEIGHTS]
Device = Annotated[
    str | None, typer.Option("--device", metavar="NAME", help="`cpu`, `cuda`, `cuda:1`; default: CUDA if available.")
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Images that go through the network together.")]
PrecisionName = Literal["auto", "bfloat16", "float32"]
AUTO: PrecisionName = "auto"
EngineName = Literal["torch", "openvino"]
TORCH: EngineName = "torch"
Precision = Annotated[
    PrecisionName, typer.Option("--precision", help="Precision of the computation; auto: bfloat16 if it is fast.")
]
Engine = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help="What computes the backbone. `openvino`: for CPUs, a little faster if many images have "
        "few sizes; `pip install maskrcnn[openvino]`.",
    ),
]

Flip = Annotated[
    bool,
    typer.Option("--flip", help="Find objects in the flipped image too, and merge the detections. Twice the time."),
]
Scales = Annotated[
    str | None,
    typer.Option(
        "--scales",
        metavar="A,B,...",
        help="Find objects at several scales, and merge the detections: lengths of the shorter side such as "
        "`600,800,1000`, or factors where the weights have input.scale_factor.",
    ),
]


def open_predictor(
    source: str,
    overrides: Sequence[str],
    *,
    device: str | None,
    precision: PrecisionName,
    engine: EngineName = TORCH,
    detections: int | None = None,
    tta: TTASettings | None = None,
) -> Predictor:
    """The model of `--weights` with the settings that words such as `box_head.detections_per_image=300` change.

    Args:
        source: As for `read_weights`.
        overrides: Settings; they win over `detections`.
        device, precision, engine, tta: As for `Predictor`.
        detections: Most detections per image; None: as the weights' own settings say.

    Raises:
        SettingError: A setting is unknown, wrong, or would change the layers.
        WeightsError: The weights cannot be read.
    """
    from ..predict.predictor import Predictor
    from ..weights.reading import read_weights

    ModelSettings().changed_at_prediction(overrides)  # what is wrong is said before weights are read or fetched
    weights = read_weights(source)
    most = {} if detections is None else {"box_head.detections_per_image": detections}
    settings = weights.settings.changed(most, overrides)
    return Predictor(weights, device=device, precision=precision, settings=settings, engine=engine, tta=tta)


def chosen_tta(flip: bool, scales: str | None) -> TTASettings | None:
    """The test-time augmentation that `--flip` and `--scales` ask for; None if neither was given.

    Raises:
        SettingError: The scales are not positive numbers.
    """
    if not flip and scales is None:
        return None
    words = () if scales is None else tuple(scales.split(","))
    try:
        return TTASettings.model_validate({"flip": flip, "scales": words})
    except ValidationError as error:
        raise SettingError(
            f"--scales {scales}: scales are positive numbers with commas between them. Give for instance --scales "
            "600,800,1000."
        ) from error


def is_setting(word: str) -> bool:
    """Whether a word of the command line is a setting rather than an image: `key=value`, and no such file."""
    return bool(SETTING.match(word)) and not Path(word).exists()
