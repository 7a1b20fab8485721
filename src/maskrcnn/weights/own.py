"""The library's own weights: one safetensors file that also holds the model's settings and the classes.

A safetensors file cannot run code when it is read. Its metadata has one entry, `maskrcnn`, with JSON:
{"version": 3, "settings": ModelSettings, "classes": {"names": [...], "category_ids": [...]}, "notes": {...}}.
Tensors whose names begin with `extra.` are no part of the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import BaseModel
from safetensors.torch import save
from torch import Tensor, nn

from ..config import ModelSettings
from ..config.base import explain_errors
from ..errors import WeightsError
from ..ops.files import replacing
from ..progress import counted
from ..structures.classes import Classes
from .files import NUMBERS, find_format, read_safetensors
from .foreign.names import Table, rename

if TYPE_CHECKING:
    from ..model.mask_rcnn import MaskRCNN

VERSION = 3
SUFFIX = ".safetensors"
REMEDY = (
    "Build the model from the settings stored beside the weights; if it was trained with parts of your own, give the "
    "model with these parts in Python (model=)."
)
_EXTRA = "extra."
KEY = "maskrcnn"
_FAULTS_SHOWN = 4
# One entry per class and one for the background.
CLASS_BIAS = "box_head.0.logits.bias"


class _Version(BaseModel):
    version: int


class _Description(_Version):
    settings: ModelSettings
    classes: Classes
    notes: dict[str, str] = {}


@dataclass(repr=False)
class Weights:
    """What a weights file holds.

    Args:
        state: The model's tensors by name, floating point ones in float32 (float64 if they were saved so).
        settings: Enough to build the model.
        classes: Names and category ids of the labels it predicts.
        notes: Free text by name, such as the data it was trained on.
        source: Where they come from, for messages.
        extra: Tensors of another library that the model has no use for, by that library's names; they are kept only
            so that they can be written back.
    """

    state: dict[str, Tensor]
    settings: ModelSettings
    classes: Classes
    notes: dict[str, str] = field(default_factory=dict)
    source: str = "weights"
    extra: dict[str, Tensor] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"Weights({self.source}: {self.settings.backbone.name}, {counted(len(self.classes), 'class', 'classes')})"
        )

    def build_model(self) -> MaskRCNN:
        """The model with these weights, ready to predict.

        Raises:
            WeightsError: They do not fit the settings, or are not all finite.
        """
        self.check()  # before as much memory is taken as the settings ask for
        model = _build(self.settings, self.classes)
        apply_weights(model, self.state, source=self.source)
        return model.eval()

    def check(self, settings: ModelSettings | None = None, *, remedy: str | None = None) -> None:
        """Raise a WeightsError if the tensors are not those of a model of these settings (None: their own).

        Args:
            settings: Of the model.
            remedy: What the message advises; None: the usual.
        """
        with torch.device("meta"):
            model = _build(settings or self.settings, self.classes)
        check_weights(model, self.state, source=self.source, remedy=remedy or REMEDY)


def save_weights(
    path: str | Path,
    state: Mapping[str, Tensor],
    settings: ModelSettings,
    classes: Classes,
    *,
    notes: Mapping[str, str] | None = None,
    extra: Mapping[str, Tensor] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a weights file, whole or not at all.

    Args:
        path: A .safetensors file in a folder that exists; a file already there is replaced.
        state: The model's `state_dict()`.
        settings: The settings it was built from.
        classes: Names and category ids of its labels.
        notes: Free text by name.
        extra: As in `Weights`.
        dtype: Store floating point tensors as this; torch.float16 halves the file. None: as they are.

    Raises:
        WeightsError: The file cannot be written, or a value does not fit into `dtype`.
    """
    path = Path(path)
    description = _Description(version=VERSION, settings=settings, classes=classes, notes=dict(notes or {}))
    tensors = {**state, **{_EXTRA + name: tensor for name, tensor in (extra or {}).items()}}
    stored = {name: _stored(path, name, tensor, dtype) for name, tensor in tensors.items()}
    content = save(stored, metadata={KEY: description.model_dump_json()})
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise WeightsError(
            f"{path}: {len(content) / 1e6:.0f} MB of weights could not be written ({error.strerror}). "
            "The folder must exist, be writable and have room; whatever was there before is untouched."
        ) from error


def load_weights(path: str | Path) -> Weights:
    """Read a weights file.

    Args:
        path: A file that `save_weights` wrote.

    Raises:
        WeightsError: It is missing, cut off, of another kind or of a newer version.
    """
    path = Path(path)
    if find_format(path) != "safetensors":
        raise WeightsError(
            f"{path}: this is a torch or pickle file, but weights of maskrcnn are .safetensors files. Those of other "
            f"libraries are read by read_weights and `maskrcnn convert {path.name} OUT.safetensors`; of a training run "
            "of maskrcnn take best.safetensors or last.safetensors beside it."
        )
    return unpack_weights(path, *read_safetensors(path))


def unpack_weights(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Weights:
    """What the tensors and metadata of a file of ours say.

    Raises:
        WeightsError: It is a file of another library, or of a newer version.
    """
    description = _description(path, metadata)
    extra = {name.removeprefix(_EXTRA): one for name, one in tensors.items() if name.startswith(_EXTRA)}
    state = {name: one for name, one in tensors.items() if not name.startswith(_EXTRA)}
    if description.version == 1:
        state = {rename(name, _TENSORS) or name: tensor for name, tensor in state.items()}
    return Weights(state, description.settings, description.classes, description.notes, str(path), extra)


def apply_weights(model: nn.Module, state: Mapping[str, Tensor], *, source: str) -> None:
    """Load tensors into a model; every name and shape must match.

    Args:
        model: As `build_model` makes it.
        state: Tensors by name.
        source: Where they come from, for messages.

    Raises:
        WeightsError: They do not fit, or are not all finite; the model is then unchanged.
    """
    check_weights(model, state, source=source)
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise WeightsError(
                f"{source}: tensor {name} holds {(~tensor.isfinite()).sum()} numbers that are NaN or infinite, as "
                "after a training that diverged; such a model finds nothing. Take weights from before that."
            )
    model.load_state_dict(state)


def check_weights(model: nn.Module, state: Mapping[str, Tensor], *, source: str, remedy: str = REMEDY) -> None:
    """Raise the WeightsError of `apply_weights` if tensors do not fit a model, which may be on the meta device.

    Args:
        model, state, source: As for `apply_weights`.
        remedy: What the message advises where other layers are asked for than the tensors are of.
    """
    own = model.state_dict()
    state = _tensors(state, source)
    shapes = [one[CLASS_BIAS].shape for one in (own, state) if CLASS_BIAS in one]
    if len(shapes) == 2 and shapes[0] != shapes[1] and len(shapes[1]) == 1:
        expected, found = shapes[0][0] - 1, shapes[1][0] - 1
        raise WeightsError(
            f"{source}: these weights know {found} classes, but the model has {expected}. Build the model with {found} "
            "classes, or fine-tune: start from these weights and train the class layers anew for your classes."
        )
    faults = [f"{name} is missing" for name in own if name not in state]
    faults += [f"{name} is not part of the model" for name in state if name not in own]
    faults += [
        f"{name} has shape {list(state[name].shape)} instead of {list(tensor.shape)}"
        for name, tensor in own.items()
        if name in state and state[name].shape != tensor.shape
    ]
    faults += [
        f"{name} is of the type {str(state[name].dtype).removeprefix('torch.')} instead of float32"
        for name, tensor in own.items()
        if name in state and tensor.is_floating_point() and not state[name].is_floating_point()
    ]
    if faults:
        more = f" and {len(faults) - _FAULTS_SHOWN} more" if len(faults) > _FAULTS_SHOWN else ""
        raise WeightsError(
            f"{source}: these weights are of another model: {'; '.join(faults[:_FAULTS_SHOWN])}{more}. {remedy}"
        )


def _tensors(state: Any, source: str) -> Mapping[str, Tensor]:
    if not isinstance(state, Mapping):
        raise WeightsError(f"{source}: holds a {type(state).__name__} instead of tensors by name. Copy it again.")
    for name, one in state.items():
        if not isinstance(one, Tensor) or one.dtype not in NUMBERS:
            found = str(one.dtype).removeprefix("torch.") if isinstance(one, Tensor) else type(one).__name__
            raise WeightsError(f"{source}: {name} is of the type {found} instead of a tensor. Copy the file again.")
    return state


def _build(settings: ModelSettings, classes: Classes) -> MaskRCNN:
    from ..model.build import build_model

    return build_model(settings, len(classes), keypoints=classes.keypoint_count)


def _stored(path: Path, name: str, tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    if dtype is None or not tensor.is_floating_point():
        return tensor
    converted = tensor.to(dtype)
    if not torch.equal(converted.isfinite(), tensor.isfinite()):
        raise WeightsError(
            f"{path}: tensor {name} reaches {tensor.abs().max():.3g}, but {dtype} ends at "
            f"{torch.finfo(dtype).max:.3g}. Save it with dtype=None."
        )
    return converted


def _description(path: Path, metadata: Mapping[str, str]) -> _Description:
    if KEY not in metadata:
        raise WeightsError(
            f"{path}: a safetensors file without the settings and classes that maskrcnn stores in its metadata. "
            "Detectors of other libraries are read by read_weights and `maskrcnn convert`; store other tensors "
            "with save_weights, with the settings and classes of their model."
        )
    try:
        description = json.loads(metadata[KEY])
        version = _Version.model_validate(description).version
        if version > VERSION:
            raise WeightsError(
                f"{path}: written in version {version} of the weights format, "
                f"but this maskrcnn reads up to version {VERSION}. Update maskrcnn."
            )
        if version == 1:
            description["settings"] = _todays_settings(description["settings"])
        return _Description.model_validate(description)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise WeightsError(
            f"{path}: its settings or classes are not those of this version of maskrcnn "
            f"({explain_errors(error, _Description)}). Update maskrcnn, or write the file again with save_weights."
        ) from error


# What the shipped nuclei model, a file of version 1, calls its tensors and settings, and today's names.
_TENSORS: Table = [
    ("body.*", "backbone.*"),
    ("fpn.*", "neck.*"),
    ("rpn.convolution.*", "rpn.convolutions.0.*"),
    ("box_head.hidden{i+1}.*", "box_head.0.hidden.{i}.*"),
    ("box_head.*", "box_head.0.*"),
    ("mask_head.upsample.*", "mask_head.upsamples.0.*"),
]
_SECTIONS = {"fpn": "neck"}
_SETTINGS = {
    ("input", "shorter"): "min_size",
    ("input", "longer"): "max_size",
    ("input", "magnify"): "scale_factor",
    ("input", "deviation"): "std",
    ("rpn", "samples"): "batch_size_per_image",
    ("rpn", "candidates_training"): "pre_nms_top_n_training",
    ("rpn", "candidates"): "pre_nms_top_n",
    ("rpn", "proposals_training"): "post_nms_top_n_training",
    ("rpn", "proposals"): "post_nms_top_n",
    ("box_head", "samples"): "batch_size_per_image",
    ("box_head", "detections"): "detections_per_image",
}


def _todays_settings(earlier: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        _SECTIONS.get(section, section): {_SETTINGS.get((section, key), key): value for key, value in values.items()}
        for section, values in earlier.items()
    }
