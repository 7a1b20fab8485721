import numpy as np
import pytest
import torch

from maskrcnn.structures.classes import Classes
from maskrcnn.structures.panoptic import Panoptic, Segment, decode_ids, describe_segments, encode_ids

CLASSES = Classes(("cat", "dog"), (17, 18), stuff=("sky", "grass"), stuff_ids=(187, 193))
MAP = torch.tensor([[2, 2, 2, 2], [0, 1, 1, 2], [0, 1, 0, 0]], dtype=torch.int32)
SEGMENTS = [
    Segment(1, label=1, is_thing=True, area=3, score=0.87654321, instance=4),
    Segment(2, label=0, is_thing=False, area=5),
]


def test_segments_are_described_as_coco_does():
    assert describe_segments(Panoptic(MAP, SEGMENTS), CLASSES) == [
        {"id": 1, "category_id": 18, "isthing": 1, "area": 3, "bbox": [1, 1, 2, 2], "iscrowd": 0, "score": 0.876543},
        {"id": 2, "category_id": 187, "isthing": 0, "area": 5, "bbox": [0, 0, 4, 2], "iscrowd": 0},
    ]


def test_an_image_without_segments_is_legal():
    assert describe_segments(Panoptic(torch.zeros(3, 4, dtype=torch.int32), []), CLASSES) == []


def test_the_lowest_byte_of_an_id_is_red():
    pixels = encode_ids(torch.tensor([[0, 255, 256, 65536 + 2 * 256 + 3]]))
    assert pixels.tolist() == [[[0, 0, 0], [255, 0, 0], [0, 1, 0], [3, 2, 1]]]


def test_ids_come_back_from_their_colors():
    ids = torch.tensor([[0, 1, 255, 256, 2**24 - 1]], dtype=torch.int32)
    decoded = decode_ids(encode_ids(ids))
    np.testing.assert_array_equal(decoded, ids.numpy())
    assert decoded.dtype == np.int32


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_map_moves_to_a_device(device):
    moved = Panoptic(MAP, SEGMENTS).to(device)
    assert (moved.map.device.type, moved.segments) == (device, SEGMENTS)
