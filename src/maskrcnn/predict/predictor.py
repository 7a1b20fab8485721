"""Images in, objects out."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..config import TTASettings
from ..config.base import Changes
from ..data.images import ImageInput, load_image
from ..data.preprocessing import make_batch, prepare_image
from ..engines.openvino import use_openvino
from ..errors import SettingError
from ..model.build import build_model
from ..model.inference.folding import prepare_for_prediction
from ..model.mask_rcnn import MaskRCNN
from ..ops.devices import Precision, choose_device, keep_freed_memory, uses_bfloat16
from ..structures.batch import Batch, Scales
from ..structures.classes import Classes
from ..structures.instances import Instances
from ..weights.own import Weights, apply_weights
from ..weights.reading import read_weights
from .arguments import Engine, check_arguments, weights_of
from .tta import predict_tta, scaled_inputs, tta_batches


class Predictor:
    """A model ready to find objects.

    Example:
        predictor = Predictor("nuclei")
        instances = predictor("cells.png")
        print(instances.boxes, instances.scores, instances.masks.bitmap(0))
        instances.plot("cells.png").save("drawn.png")

    Args:
        weights: A file, a name, or weights already read; see `read_weights`. None: those that `model` has.
        model: The network, where it is not the one that the weights' settings describe, such as one with a backbone
            of one's own; not changed.
        classes: What the model's labels mean, or their names alone; only where there are no `weights`, which know it.
        device: Where to compute; none: the first of CUDA and CPU that is there; with openvino the CPU.
        precision: auto: bfloat16 where the machine computes it fast, with coordinates in float32 all the same.
        settings: Changes of those in the weights, `{"box_head.detections_per_image": 300}` or
            `["box_head.detections_per_image=300"]`; only what leaves the layers as they are. A `model` has its own.
        engine: What computes backbone and neck; openvino needs `pip install "maskrcnn[openvino]"`, and a CPU.
        tta: Test-time augmentation, for instance `TTASettings(flip=True, scales=(600, 800, 1000))`: boxes, masks
            and keypoints are found in all these images together. Takes as many times as long.

    Raises:
        WeightsError: The weights cannot be read.
        SettingError: A setting is unknown, wrong, or would change the layers, which is said before weights are read or
            fetched; there is no such device; neither weights nor a model with its classes are given; test-time
            augmentation is not for these weights; or the engine is not installed, or not for this model or device.
    """

    def __init__(
        self,
        weights: str | Path | Weights | None = None,
        *,
        model: MaskRCNN | None = None,
        classes: Classes | Sequence[str] | None = None,
        device: str | torch.device | None = None,
        precision: Precision = "auto",
        settings: Changes = None,
        engine: Engine = "torch",
        tta: TTASettings | None = None,
    ) -> None:
        check_arguments(weights, model, classes, precision, settings, engine, tta)
        self.device = choose_device("cpu" if device is None and engine == "openvino" else device)
        read = weights_of(model, classes) if weights is None else weights
        read = read if isinstance(read, Weights) else read_weights(read)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.dtype = torch.bfloat16 if uses_bfloat16(precision, self.device) else torch.float32
        self.classes = read.classes
        self.notes = read.notes
        self.settings = read.settings.changed(settings)
        if model is not None:  # what the data of the weights were is known only to them
            own_range = {"input.range": read.settings.input.range or model.settings.input.range}
            self.settings = model.settings.changed(own_range)
        self.flip = tta is not None and tta.flip
        self.inputs = scaled_inputs(self.settings.input, tta.scales if tta else ())
        if self.settings.semantic_head is not None and (self.flip or len(self.inputs) > 1):
            raise SettingError(
                f"{read.source}: these weights find segments, and test-time augmentation is for boxes, "
                ", masks and keypoints only. Predict without it."
            )
        if model is None:
            read.check(self.settings)  # before as much memory is taken as the settings ask for
            network = build_model(self.settings, len(read.classes), keypoints=read.classes.keypoint_count)
        else:
            network = copy.deepcopy(model)
        apply_weights(network, read.state, source=read.source)
        self.model = prepare_for_prediction(network.to(self.device), self.dtype)
        if engine == "openvino":
            use_openvino(self.model)

    def __repr__(self) -> str:
        precision = str(self.dtype).removeprefix("torch.")
        return f"Predictor({self.settings.backbone.name}, {len(self.classes)} classes, {self.device}, {precision})"

    @overload  # a str and an array are iterable, too, but are images
    def __call__(self, image: ImageInput) -> Instances: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(self, image: Iterable[ImageInput]) -> list[Instances]: ...

    def __call__(self, image: ImageInput | Iterable[ImageInput]) -> Instances | list[Instances]:
        """Objects of one image, best first; of several images, in turn, those of each.

        Args:
            image: A file, a Pillow image, an array [H, W, C] or [H, W], a tensor [C, H, W], both uint8 and RGB where
                the model sees 3 channels; or an iterable of such images. `predict_all` keeps not all of their objects.

        Returns:
            Boxes, labels, scores and masks (`SoftMasks`) in the image's own pixels, on the CPU, with their `classes`.

        Raises:
            DataError: It cannot be read, or is no such array.
        """
        if isinstance(image, str | Path | np.ndarray | Tensor | Image.Image) or not isinstance(image, Iterable):
            return next(self.predict_all([image]))
        return list(self.predict_all(image))

    def predict_all(self, images: Iterable[ImageInput], *, batch_size: int = 1) -> Iterator[Instances]:
        """Objects of each image in turn; only `batch_size` images are in memory at a time.

        Images of different sizes in one batch are padded to the same size, which moves results a little: the network
        sees the padding at their edges, and group norm averages over it.

        Raises:
            DataError: An image cannot be read, or is no such array.
            SettingError: `batch_size` is below 1.
        """
        if batch_size < 1:
            raise SettingError(f"batch_size={batch_size}: must be at least 1.")
        remaining = iter(images)
        while group := [self._loaded(image) for image in islice(remaining, batch_size)]:
            sizes = [(image.shape[1], image.shape[2]) for image in group]
            scales = (
                make_batch(
                    [prepare_image(image, inputs) for image in group], sizes, size_divisible=inputs.size_divisible
                )
                for inputs in self.inputs
            )
            yield from self.predict_scales(Scales(tuple(scales)))

    def _loaded(self, image: ImageInput) -> Tensor:
        settings = self.inputs[0]
        return load_image(image, settings.channels, value_range=settings.range, stretch=settings.stretch)

    def predict_scales(self, scales: Scales) -> list[Instances]:
        """Objects of each image of a prepared batch, on the CPU; found at all its scales, and flipped."""
        keypoint_schema = self.classes.keypoint_schema
        partners = keypoint_schema.mirrored if keypoint_schema else ()
        predictions = predict_tta(self.model, tta_batches(scales, flip=self.flip), partners=partners, place=self.placed)
        return [replace(objects.to("cpu"), classes=self.classes) for objects in predictions]

    def placed(self, batch: Batch) -> Batch:
        """The same batch on the model's device and in its precision."""
        placed = batch.to(self.device)
        placed.images = placed.images.to(self.dtype)
        return placed
