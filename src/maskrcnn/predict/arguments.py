"""What a `Predictor` can be asked for; what is wrong is said before weights are read or fetched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from ..config import ModelSettings, TTASettings
from ..config.base import Changes
from ..errors import SettingError, require_choice
from ..model.mask_rcnn import MaskRCNN
from ..ops.devices import Precision
from ..structures.classes import Classes
from ..weights.own import Weights

Engine = Literal["torch", "openvino"]


def check_arguments(
    weights: object,
    model: MaskRCNN | None,
    classes: Classes | Sequence[str] | None,
    precision: Precision,
    settings: Changes,
    engine: Engine,
    tta: TTASettings | None,
) -> None:
    """Arguments of `Predictor` that cannot be meant.

    Raises:
        SettingError: One is unknown, or two contradict each other.
    """
    if model is not None and settings is not None:
        raise SettingError("Predictor: a model of one's own has its settings. Give no others.")
    if weights is not None and classes is not None:
        raise SettingError("Predictor: weights know what their classes are. Leave `classes` out.")
    if tta is not None and not isinstance(tta, TTASettings):
        raise SettingError(f"tta={tta}: must be TTASettings, such as TTASettings(flip=True).")
    require_choice("precision", precision, get_args(Precision))
    require_choice("engine", engine, get_args(Engine))
    ModelSettings().changed_at_prediction(settings)


def weights_of(model: MaskRCNN | None, classes: Classes | Sequence[str] | None) -> Weights:
    """Those that a model has.

    Raises:
        SettingError: There is no model, or its classes are not known or others.
    """
    if model is None or classes is None:
        raise SettingError("Predictor: needs weights, or a model and what its classes are. Give one of both.")
    known = Classes.of(classes)
    if len(known) != model.classes:
        raise SettingError(f"classes: the model has {model.classes}, but {len(known)} are given. Name all, in order.")
    return Weights(model.state_dict(), model.settings, known, source="the model")
