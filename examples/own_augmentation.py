"""Augmentation of one's own: of torchvision, of albumentations, or any function of an image and its objects."""

import sys
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor
from torchvision.transforms import v2

import maskrcnn
from maskrcnn.data.shapes import shapes_in_memory


def of_torchvision() -> maskrcnn.Augment:
    """Transforms of torchvision that move boxes and masks with the image."""
    return maskrcnn.torchvision_augment(v2.Compose([v2.RandomRotation(20), v2.RandomVerticalFlip()]))


def of_albumentations() -> maskrcnn.Augment:
    """Transforms of albumentations; boxes follow from the masks."""
    import albumentations as A

    return maskrcnn.albumentations_augment(A.Compose([A.RandomRotate90(), A.GridDistortion(p=0.5), A.GaussNoise()]))


def of_a_function(image: Tensor, objects: maskrcnn.Instances) -> tuple[Tensor, maskrcnn.Instances]:
    """An image [3, h, w] uint8 without its colors; its objects stay where they are."""
    return v2.functional.rgb_to_grayscale(image, num_output_channels=3), objects


KINDS = {"torchvision": of_torchvision, "albumentations": of_albumentations, "function": lambda: of_a_function}


def main(
    augment: maskrcnn.Augment, output: Path, images: int = 200, changes: Mapping[str, object] = {}
) -> maskrcnn.Report:
    """Train with it; the changes of the settings (`augment.horizontal_flip` and others) come after it."""
    changes = {"backbone.name": "resnet18", "input.min_size": 128, "train.steps": 300, **changes}
    data = shapes_in_memory(images)
    result = maskrcnn.train(data, output=output, weights="none", settings=changes, augment=augment)
    assert result.report is not None  # the run was not stopped
    return result.report


if __name__ == "__main__":
    kind = sys.argv[1] if len(sys.argv) > 1 else "torchvision"
    print(main(KINDS[kind](), Path("runs") / kind))
