"""Transforms of torchvision and albumentations as an `Augment`, the change of images and objects in training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors

from ..errors import DataError
from ..structures.annotated_masks import ObjectMasks
from ..structures.instances import Instances
from .augmentation import Augment


def torchvision_augment(transform: Callable[..., Any]) -> Augment:
    """A transform of `torchvision.transforms.v2`, to be given to `train` or `training_batches` as `augment`.

    Example:
        augment = torchvision_augment(v2.Compose([v2.RandomHorizontalFlip(), v2.RandomRotation(15)]))
        maskrcnn.train("data/", augment=augment)

    Args:
        transform: Gets the image as `tv_tensors.Image` [C, h, w] uint8, and a dictionary of the objects' `boxes`
            (`BoundingBoxes`), `masks` (`Mask` [N, h, w] bool) and `labels` [N]. It may leave objects out.

    Raises:
        DataError: When it is used: objects have keypoints, whose left and right ones a flip would confuse.
    """
    return partial(_by_torchvision, transform)


def albumentations_augment(transform: Callable[..., Any]) -> Augment:
    """A transform of albumentations, to be given to `train` or `training_batches` as `augment`.

    Example:
        augment = albumentations_augment(A.Compose([A.RandomRotate90(), A.RandomBrightnessContrast()]))
        maskrcnn.train("data/", augment=augment)

    Args:
        transform: Gets `image` [h, w, C] uint8 and, where there are objects, `masks` [N, h, w] uint8; boxes follow from
            the masks, so that it needs no `bbox_params`. Its random numbers follow from torch's.

    Raises:
        DataError: When it is used: objects have keypoints, whose left and right ones a flip would confuse.
    """
    return partial(_by_albumentations, transform)


def _by_torchvision(transform: Callable[..., Any], image: Tensor, instances: Instances) -> tuple[Tensor, Instances]:
    masks, numbers = _bitmaps(instances), torch.arange(len(instances))
    boxes = tv_tensors.BoundingBoxes(instances.boxes, format="XYXY", canvas_size=instances.size)
    objects = {"boxes": boxes, "masks": tv_tensors.Mask(torch.from_numpy(masks)), "labels": numbers}
    changed, found = transform(tv_tensors.Image(image), objects)
    pixels = changed.as_subclass(Tensor)
    return pixels, _moved(instances[found["labels"]], found["masks"].numpy() > 0, pixels)


def _by_albumentations(transform: Any, image: Tensor, instances: Instances) -> tuple[Tensor, Instances]:
    masks = _bitmaps(instances).astype(np.uint8)
    transform.set_random_seed(int(torch.randint(2**31, ())))
    given = {"masks": masks} if len(instances) else {}
    found = transform(image=np.ascontiguousarray(image.permute(1, 2, 0).numpy()), **given)
    pixels = torch.from_numpy(np.ascontiguousarray(found["image"])).permute(2, 0, 1)
    return pixels, _moved(instances, np.asarray(found.get("masks", masks)) > 0, pixels)


def _bitmaps(instances: Instances) -> np.ndarray:
    if instances.keypoints is not None:
        raise DataError(
            "augment: these objects have keypoints, and the transform does not know which of them are left and right. "
            "Write a function that moves them too, or use the flips of the settings (augment.horizontal_flip)."
        )
    assert instances.masks is not None  # those of a dataset have, if only their boxes
    return instances.masks.bitmaps()


def _moved(instances: Instances, bitmaps: np.ndarray, pixels: Tensor) -> Instances:
    """The objects that still have a pixel, with the boxes around their pixels [N, h, w]."""
    size = (pixels.shape[1], pixels.shape[2])
    kept = torch.from_numpy(bitmaps.any(axis=(1, 2)))
    masks = ObjectMasks.from_bitmaps(bitmaps.reshape(-1, *size)[kept.numpy()], size)
    return replace(instances[kept], size=size, masks=masks, boxes=masks.crops().windows.to(instances.boxes))
