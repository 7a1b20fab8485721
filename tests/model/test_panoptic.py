import numpy as np
import pytest
import torch

from maskrcnn.config import PanopticSettings
from maskrcnn.model.panoptic import merge_panoptic
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.masks import Crop, MaskCrops
from maskrcnn.structures.panoptic import THING, Segment

SIZE = (4, 10)


def strips(*found: tuple[int, int, float]) -> Instances:
    """Objects that fill columns x1 to x2 of the upper two rows: (x1, x2, score); their labels count from 5."""
    crops = [Crop(x1, 0, np.ones((2, x2 - x1), dtype=bool)) for x1, x2, _ in found]
    return Instances(
        size=SIZE,
        boxes=torch.tensor([[x1, 0.0, x2, 2.0] for x1, x2, _ in found]).reshape(-1, 4),
        labels=torch.arange(5, 5 + len(found)),
        scores=torch.tensor([score for *_, score in found]),
        masks=MaskCrops.of(crops, SIZE),
    )


def pixels(*columns: int) -> torch.Tensor:
    """Each column's kind of pixel all the way down: 0 for things, above it those of stuff."""
    kinds = torch.tensor([columns]).expand(SIZE[0], -1)
    return torch.where(kinds == 0, THING, kinds - 1)


def merge(instances: Instances, semantic: torch.Tensor, **changed: float):
    settings = PanopticSettings(**{"overlap_threshold": 0.5, "stuff_area_limit": 0, "score_threshold": 0.3} | changed)
    return merge_panoptic(instances, semantic, settings)


def test_objects_lie_on_top_in_the_order_of_their_scores_and_stuff_fills_the_rest():
    found = merge(strips((0, 4, 0.5), (2, 6, 0.9)), pixels(0, 0, 0, 0, 0, 0, 1, 1, 3, 3))
    assert found.map.dtype == torch.int32
    assert found.map.tolist() == [[2, 2, 1, 1, 1, 1, 3, 3, 4, 4]] * 2 + [[0, 0, 0, 0, 0, 0, 3, 3, 4, 4]] * 2
    assert found.segments == [
        Segment(1, label=6, is_thing=True, area=8, score=pytest.approx(0.9), instance=1),
        Segment(2, label=5, is_thing=True, area=4, score=pytest.approx(0.5), instance=0),
        Segment(3, label=0, is_thing=False, area=8),
        Segment(4, label=2, is_thing=False, area=8),
    ]


def test_an_object_is_dropped_if_more_of_it_is_taken_than_the_overlap():
    kept = merge(strips((0, 4, 0.9), (2, 6, 0.8)), pixels(*[0] * 10), overlap_threshold=0.5)
    dropped = merge(strips((0, 4, 0.9), (2, 6, 0.8)), pixels(*[0] * 10), overlap_threshold=0.49)
    assert [segment.instance for segment in kept.segments] == [0, 1]
    assert [segment.instance for segment in dropped.segments] == [0]
    assert not dropped.map[:, 4:].any()


def test_an_object_that_is_wholly_hidden_is_dropped_at_any_overlap():
    found = merge(strips((0, 4, 0.9), (1, 3, 0.8), (3, 3, 0.7)), pixels(*[0] * 10), overlap_threshold=1)
    assert [segment.instance for segment in found.segments] == [0]


def test_uncertain_objects_are_left_out():
    found = merge(strips((0, 4, 0.9), (4, 6, 0.24), (6, 8, 0.25)), pixels(*[0] * 10), score_threshold=0.25)
    assert [segment.instance for segment in found.segments] == [0, 2]


def test_small_rests_of_stuff_stay_empty():
    semantic = pixels(1, 1, 1, 1, 2, 3, 3, 3, 3, 3)
    found = merge(strips((0, 4, 0.9)), semantic, stuff_area_limit=8)
    assert [(segment.is_thing, segment.label, segment.area) for segment in found.segments] == [
        (True, 5, 8),
        (False, 0, 8),
        (False, 2, 20),
    ]
    assert found.map[:, 4].tolist() == [0] * 4
    assert len(merge(strips((0, 4, 0.9)), semantic, stuff_area_limit=9).segments) == 2


def test_an_image_with_nothing_in_it_has_no_segments():
    found = merge(strips(), pixels(*[0] * 10))
    assert (found.segments, found.map.any()) == ([], False)


def test_equal_scores_keep_the_order_of_the_objects():
    found = merge(strips(*[(i, i + 1, 0.5) for i in range(10)]), pixels(*[0] * 10))
    assert [segment.instance for segment in found.segments] == list(range(10))


def test_objects_without_masks_cannot_be_merged():
    instances = strips((0, 4, 0.9))
    instances.masks = None
    with pytest.raises(ValueError, match="scores.*masks"):
        merge(instances, pixels(*[0] * 10))


def test_an_object_takes_the_pixels_of_its_window_only():
    mask = MaskCrops.of([Crop(2, 1, np.ones((1, 3), dtype=bool))], SIZE)
    boxes, labels, scores = torch.tensor([[2.0, 1.0, 5.0, 2.0]]), torch.tensor([5]), torch.tensor([0.9])
    found = merge(Instances(size=SIZE, boxes=boxes, labels=labels, scores=scores, masks=mask), pixels(*[1] * 10))
    assert (found.map == 1).nonzero().tolist() == [[1, 2], [1, 3], [1, 4]]
