"""Pictures in, objects out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..config import ModelSettings, ViewSettings
from ..data.inputs import make_batch, prepare_picture
from ..data.pictures import read_picture
from ..data.views import join_scales, scaled_inputs
from ..errors import DataError, SettingError
from ..model.build import build_model
from ..model.folding import prepare_for_prediction
from ..model.openvino import use_openvino
from ..ops.allocator import keep_freed_memory
from ..ops.devices import choose_device
from ..ops.precision import Precision, uses_bfloat16
from ..structures.batch import Batch
from ..structures.instances import Instances
from ..weights.own import Weights, apply_weights
from ..weights.reading import read_weights
from .views import predict_views, views_of

Picture = str | Path | np.ndarray | Tensor
Engine = Literal["torch", "openvino"]


class Predictor:
    """A model ready to find objects.

    Example:
        predictor = Predictor("nuclei")
        found = predictor.predict("cells.png")
        print(found.boxes, found.scores)

    Args:
        weights: A file, a name, or weights already read; see `read_weights`.
        device: Where to compute; none: the first of CUDA and CPU that is there; with openvino the CPU.
        precision: auto: bfloat16 where the machine computes it fast, with coordinates in float32 all the same.
        settings: Of the model, instead of those in the weights; only what does not change the network's layers.
        engine: What computes body and neck; openvino needs `pip install "maskrcnn[openvino]"`, and a CPU.
        views: Test-time augmentation, for instance `ViewSettings(flip=True, scales=(600, 800, 1000))`: boxes, masks
            and keypoints are found in all views together. Takes as much longer as there are views.

    Raises:
        WeightsError: The weights cannot be read.
        SettingError: There is no such device; the views are not for these weights; or the engine is not installed, or
            not for this model or device.
    """

    def __init__(
        self,
        weights: str | Path | Weights,
        *,
        device: str | torch.device | None = None,
        precision: Precision = "auto",
        settings: ModelSettings | None = None,
        engine: Engine = "torch",
        views: ViewSettings | None = None,
    ) -> None:
        read = weights if isinstance(weights, Weights) else read_weights(weights)
        self.device = choose_device("cpu" if device is None and engine == "openvino" else device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.dtype = torch.bfloat16 if uses_bfloat16(precision, self.device) else torch.float32
        self.classes = read.classes
        self.notes = read.notes
        self.settings = settings or read.settings
        self.flip = views is not None and views.flip
        self.inputs = scaled_inputs(self.settings.input, views.scales if views else ())
        if self.settings.semantic_head is not None and (self.flip or len(self.inputs) > 1):
            raise SettingError(
                f"{read.source}: these weights find segments, and views (--flip, --scales) are for boxes, masks and "
                "keypoints only. Predict without them."
            )
        model = build_model(self.settings, len(read.classes), keypoints=read.classes.keypoint_count)
        apply_weights(model, read.state, source=read.source)
        self.model = prepare_for_prediction(model.to(self.device), self.dtype)
        if engine == "openvino":
            use_openvino(self.model)

    def predict(self, picture: Picture) -> Instances:
        """Objects of one picture, best first.

        Args:
            picture: A file, an array [H, W, C] or a tensor [C, H, W], both uint8; RGB where the model sees 3 channels.

        Returns:
            Boxes, labels, scores and masks (`SoftMasks`) in the picture's own pixels, on the CPU.

        Raises:
            DataError: It cannot be read, or is no such array.
        """
        return next(self.predict_all([picture]))

    def predict_all(self, pictures: Iterable[Picture], *, batch: int = 1) -> Iterator[Instances]:
        """Objects of each picture in turn; only `batch` pictures are in memory at a time.

        Pictures of different sizes in one batch are padded to the same size, which moves results a little: the network
        sees the padding at their edges, and group norm averages over it.
        """
        remaining = iter(pictures)
        while group := [load_picture(picture, self.inputs[0].channels) for picture in islice(remaining, batch)]:
            sizes = [(picture.shape[1], picture.shape[2]) for picture in group]
            scales = [
                make_batch([prepare_picture(picture, inputs) for picture in group], sizes, pad_to=inputs.pad_to)
                for inputs in self.inputs
            ]
            yield from self.predict_batch(join_scales(scales))

    def predict_batch(self, batch: Batch) -> list[Instances]:
        """Objects of each picture of a prepared batch, on the CPU; found in all its views."""
        views = views_of(batch, flip=self.flip)
        if len(views) == 1:
            found = self.model.predict(self._placed(batch))
        else:
            skeleton = self.classes.skeleton
            partners = skeleton.mirrored if skeleton else ()
            found = predict_views(self.model, views, partners=partners, place=self._placed)
        return [objects.to("cpu") for objects in found]

    def _placed(self, batch: Batch) -> Batch:
        placed = batch.to(self.device)
        placed.images = placed.images.to(self.dtype)
        return placed


def load_picture(picture: Picture, channels: int) -> Tensor:
    """[C, H, W] uint8 of a file, an array [H, W, C] or a tensor [C, H, W]; red, green, blue where C is 3."""
    if isinstance(picture, str | Path):
        return read_picture(picture, channels)
    pixels = torch.from_numpy(picture).permute(2, 0, 1) if _is_colour_array(picture) else picture
    if not isinstance(pixels, Tensor) or pixels.dtype != torch.uint8 or pixels.ndim != 3 or len(pixels) != channels:
        kind = "uint8 RGB" if channels == 3 else "uint8"
        raise DataError(
            f"a picture given as {type(picture).__name__} must be {kind}, an array [height, width, {channels}] or "
            f"a tensor [{channels}, height, width], but is {getattr(picture, 'dtype', '?')} "
            f"{list(getattr(picture, 'shape', []))}."
        )
    return pixels


def _is_colour_array(picture: Picture) -> bool:
    return isinstance(picture, np.ndarray) and picture.ndim == 3
