import torch

from maskrcnn.structures.batch import Batch
from maskrcnn.structures.instances import Instances


def batch(**fields) -> Batch:
    images = torch.zeros(2, 3, 32, 64).to(memory_format=torch.channels_last)
    return Batch(images, sizes=[(20, 40), (32, 64)], image_sizes=[(10, 20), (32, 64)], **fields)


def test_a_batch_counts_its_images():
    assert len(batch()) == 2


def test_images_and_targets_move_to_a_device_and_the_rest_stays():
    none = Instances(size=(20, 40), boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64))
    moved = batch(targets=[none, none], paths=("a.png", "b.png"), image_ids=(3, 4)).to("meta")
    assert moved.images.device.type == "meta"
    assert moved.images.is_contiguous(memory_format=torch.channels_last)
    assert {target.boxes.device.type for target in moved.targets} == {"meta"}
    assert (moved.sizes, moved.image_sizes) == (batch().sizes, batch().image_sizes)
    assert (moved.paths, moved.image_ids) == (("a.png", "b.png"), (3, 4))


def test_a_batch_without_targets_has_none_elsewhere_either():
    assert batch().to("meta").targets is None
