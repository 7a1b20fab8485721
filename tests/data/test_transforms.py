import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from maskrcnn.data.dataset import Dataset
from maskrcnn.data.transforms import albumentations_augment, torchvision_augment
from maskrcnn.errors import DataError
from maskrcnn.structures.instances import Instances


@pytest.fixture
def record():
    """An image of 8 x 10 px with an object in rows 1..2 and columns 0..3, and one in rows 4..6 and columns 7..8."""
    image, masks = np.zeros((8, 10, 3), np.uint8), np.zeros((2, 8, 10), bool)
    masks[0, 1:3, 0:4] = masks[1, 4:7, 7:9] = True
    image[masks.any(0)] = 200
    samples = [(image, [{"category": name, "segmentation": mask} for name, mask in zip("ab", masks)])]
    return Dataset.from_samples(samples, ["a", "b"])[0]


def flips(kind: str):
    if kind == "torchvision":
        return torchvision_augment(v2.RandomHorizontalFlip(1.0))
    albumentations = pytest.importorskip("albumentations", reason="albumentations is not installed")
    return albumentations_augment(albumentations.HorizontalFlip(p=1.0))


@pytest.mark.parametrize("kind", ["torchvision", "albumentations"])
def test_image_boxes_and_masks_move_together(record, kind):
    image, objects = flips(kind)(record.pixels, record.instances)
    assert objects.boxes.tolist() == [[6, 1, 10, 3], [1, 4, 3, 7]]
    assert objects.labels.tolist() == [0, 1]
    assert (image[0].numpy() == 200 * objects.masks.bitmaps().any(0)).all()


@pytest.mark.parametrize("kind", ["torchvision", "albumentations"])
def test_an_image_without_objects_is_changed_too(record, kind):
    image, objects = flips(kind)(record.pixels, record.instances[:0])
    assert torch.equal(image, record.pixels.flip(2))
    assert len(objects) == 0


def test_objects_that_are_moved_out_or_dropped_are_left_out(record):
    crop = torchvision_augment(v2.Lambda(lambda one: v2.functional.crop(one, 0, 0, 8, 5)))
    image, objects = crop(record.pixels, record.instances)
    assert image.shape == (3, 8, 5)
    assert objects.labels.tolist() == [0]
    sanitized = torchvision_augment(v2.SanitizeBoundingBoxes(min_area=7))
    assert sanitized(record.pixels, record.instances)[1].labels.tolist() == [0]


def test_random_numbers_of_albumentations_follow_from_torch(record):
    albumentations = pytest.importorskip("albumentations", reason="albumentations is not installed")
    augment = albumentations_augment(albumentations.Compose([albumentations.GaussNoise(p=1.0)]))
    images = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        images.append(augment(record.pixels, record.instances)[0])
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])


def test_keypoints_are_refused(record):
    objects = Instances(size=(8, 10), boxes=torch.zeros(1, 4), labels=torch.zeros(1), keypoints=torch.zeros(1, 2, 3))
    with pytest.raises(DataError):
        flips("torchvision")(record.pixels, objects)
