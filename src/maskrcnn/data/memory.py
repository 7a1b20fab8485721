"""Datasets made of arrays: said in COCO's terms, and checked as those of files are."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from torch import Tensor

from ..errors import DataError
from ..structures.classes import Classes
from ..structures.instances import Instances
from ..structures.masks import encode_crop, tight_crop
from .dataset import Contents, Dataset, coco_objects
from .images import image_size, load_image
from .readers.coco import to_data

Image = Path | str | np.ndarray | Tensor | PIL.Image.Image
Objects = Instances | Sequence[Mapping[str, Any]]


def dataset_from_samples(
    samples: Iterable[tuple[Image, Objects]], classes: Sequence[str] | Classes, source: str
) -> Dataset:
    """Make a dataset; arguments and errors as for `Dataset.from_samples`."""
    classes = Classes.of(classes)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    pixels: dict[int, Tensor] = {}
    for number, (image, objects) in enumerate(samples, start=1):
        if isinstance(image, Path | str):
            name, (height, width) = str(image), image_size(image)
        else:
            name, pixels[number] = f"image_{number}.png", _pixels(image, f"{source}: image_{number}")
            height, width = pixels[number].shape[1:]
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        for found in _described(objects, (height, width), classes, f"{source}: image_{number}"):
            annotations.append({**found, "id": len(annotations) + 1, "image_id": number})
    keypoints = {} if classes.keypoint_schema is None else classes.keypoint_schema.described()
    ids = zip(classes.category_ids, classes.names, strict=True)
    categories = [{"id": number, "name": name, **keypoints} for number, name in ids]
    coco = {"images": images, "categories": categories, "annotations": annotations}
    return to_data(Contents(Path(source), Path(), coco), pixels=pixels)


def _pixels(image: np.ndarray | Tensor | PIL.Image.Image, name: str) -> Tensor:
    """[C, H, W] uint8 of an image in memory, with as many channels as it has; gray arrays become RGB."""
    shape = () if isinstance(image, PIL.Image.Image) else image.shape
    channels = (shape[2] if isinstance(image, np.ndarray) else shape[0]) if len(shape) > 2 else None
    try:
        return load_image(image, channels).cpu().clone()  # the caller may use its array again
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


def _described(objects: Objects, size: tuple[int, int], classes: Classes, name: str) -> Iterator[dict[str, Any]]:
    """The objects of an image as COCO's annotations without ids."""
    if isinstance(objects, Instances):
        if objects.size != size:
            raise DataError(f"{name}: its `Instances` are of size {objects.size}, but the image is {size}. Match them.")
        yield from coco_objects(objects, classes)
        return
    ids = dict(zip(classes.names, classes.category_ids, strict=True))
    for place, given in enumerate(objects):
        found = dict(given)
        category = found.pop("category", None)
        if category is not None and category not in ids:
            known = ", ".join(classes.names)
            raise DataError(f"{name}: object {place}: category {category!r} is not one of {known}. Correct it.")
        if category is not None:
            found["category_id"] = ids[category]
        mask = found.get("segmentation")
        if isinstance(mask, Tensor | np.ndarray):
            bitmap = np.asarray(mask) != 0
            if bitmap.shape != size:
                raise DataError(
                    f"{name}: object {place}: a mask of shape {bitmap.shape}, but it must be that of its image, {size} "
                    "(height, width). Paste it into an array of this shape."
                )
            found["segmentation"] = encode_crop(tight_crop(0, 0, bitmap), size)
        yield found
