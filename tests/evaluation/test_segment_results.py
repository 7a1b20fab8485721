import torch

from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.collect import collect_results, keep_segments, to_segment_results
from maskrcnn.structures.batch import Batch
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.panoptic import Panoptic, Segment

CLASSES = Classes(("cat", "dog"), (17, 18), stuff=("sky",), stuff_ids=(187,))


def objects(panoptic: Panoptic | None = None) -> Instances:
    return Instances(
        (2, 3), torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([1]), scores=torch.tensor([0.75]), panoptic=panoptic
    )


def test_every_segment_is_a_record():
    ids = torch.tensor([[1, 1, 0], [1, 2, 2]], dtype=torch.int32)
    segments = [Segment(1, 1, is_thing=True, area=3, score=0.75, instance=0), Segment(2, 0, is_thing=False, area=2)]
    dog, sky = to_segment_results(objects(Panoptic(ids, segments)), 5, CLASSES)
    assert (dog["image_id"], dog["category_id"], dog["score"]) == (5, 18, 0.75)
    assert (sky["category_id"], sky["score"]) == (187, 1.0)
    assert dog["segmentation"]["size"] == [2, 3]
    assert "bbox" not in dog  # a box would take the place of the mask where sizes are compared


def test_objects_stand_in_where_a_model_finds_no_segments():
    batch = Batch(torch.zeros(1, 3, 2, 3), [(2, 3)], [(2, 3)], image_ids=[5])
    truth = Annotations("val.json", {5: (2, 3)}, {17: "cat", 18: "dog"}, [])
    (record,) = collect_results(lambda batch: [objects()], [batch], CLASSES, truth, describe=to_segment_results)
    assert record == {"image_id": 5, "category_id": 18, "score": 0.75, "bbox": [0, 0, 1, 1]}


def test_an_image_without_segments_has_no_records():
    assert to_segment_results(objects(Panoptic(torch.zeros(2, 3, dtype=torch.int32), [])), 5, CLASSES) == []


def test_segments_are_kept_beside_the_objects():
    kept = []
    describe = keep_segments(kept)
    panoptic = Panoptic(torch.ones(2, 3, dtype=torch.int32), [Segment(1, 0, is_thing=False, area=6)])
    assert [record["category_id"] for record in describe(objects(panoptic), 5, CLASSES)] == [18]
    assert [record["category_id"] for record in describe(objects(), 6, CLASSES)] == [18]
    assert [(record["image_id"], record["category_id"]) for record in kept] == [(5, 187)]
