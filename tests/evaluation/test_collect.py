import numpy as np
import pytest
import torch

from maskrcnn.errors import DataError
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.collect import (
    collect_proposals,
    collect_results,
    is_by_image,
    keep_segments,
    records_of,
    to_segment_results,
)
from maskrcnn.structures.batch import Batch
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.panoptic import Panoptic, Segment

CLASSES = Classes(("cell",), (7,))
TRUTH = Annotations("val.json", {4: (8, 8), 2: (8, 8), 9: (8, 8)}, {7: "cell"}, [])
THINGS_AND_STUFF = Classes(("cat", "dog"), (17, 18), stuff=("sky",), stuff_ids=(187,))
CATS_AND_DOGS = Annotations("val.json", {5: (4, 6), 3: (4, 6)}, {17: "cat", 4: "dog"}, [])
BITMAP = np.zeros((1, 4, 6), dtype=bool)
BITMAP[0, 1:3, 2:5] = True


def batch(*image_ids: int) -> Batch:
    sizes = [(8, 8)] * len(image_ids)
    return Batch(torch.zeros(len(image_ids), 3, 32, 32), sizes, sizes, image_ids=image_ids)


def one_object_each(images: Batch) -> list[Instances]:
    labels, scores = torch.zeros(1, dtype=torch.int64), torch.ones(1)
    return [Instances(size, torch.tensor([[0.0, 0, 4, 4]]), labels, scores) for size in images.image_sizes]


def test_records_follow_the_order_of_the_images_and_progress_counts_them():
    counts = []
    results = collect_results(one_object_each, [batch(4, 2), batch(9)], CLASSES, TRUTH, on_progress=counts.append)
    assert [record["image_id"] for record in results] == [4, 2, 9]
    assert counts == [2, 1]


def test_no_images_give_no_records():
    assert collect_results(one_object_each, [], CLASSES, TRUTH) == []


def test_a_model_that_loses_an_image_is_noticed():
    with pytest.raises(ValueError, match="longer"):
        collect_results(lambda images: one_object_each(images)[:1], [batch(4, 2)], CLASSES, TRUTH)


def test_what_cannot_be_scored_is_noticed_where_it_is_found():
    def broken(images: Batch) -> list[Instances]:
        found = one_object_each(images)
        found[0].boxes[0, 2] = float("nan")
        return found

    with pytest.raises(DataError, match="predictions: record 0: bbox .*nan"):
        collect_results(broken, [batch(4)], CLASSES, TRUTH)


def test_proposals_come_with_the_id_of_their_image_one_after_the_other():
    counts = []
    stream = collect_proposals(one_object_each, iter([batch(4, 2), batch(9)]), on_progress=counts.append)
    assert (next(stream)[0], counts) == (4, [])
    assert [image_id for image_id, _ in stream] == [2, 9]
    assert counts == [2, 1]


def objects(panoptic: Panoptic | None = None) -> Instances:
    return Instances(
        (2, 3), torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([1]), scores=torch.tensor([0.75]), panoptic=panoptic
    )


def test_every_segment_is_a_record():
    ids = torch.tensor([[1, 1, 0], [1, 2, 2]], dtype=torch.int32)
    segments = [Segment(1, 1, is_thing=True, area=3, score=0.75, instance=0), Segment(2, 0, is_thing=False, area=2)]
    dog, sky = to_segment_results(objects(Panoptic(ids, segments)), 5, THINGS_AND_STUFF)
    assert (dog["image_id"], dog["category_id"], dog["score"]) == (5, 18, 0.75)
    assert (sky["category_id"], sky["score"]) == (187, 1.0)
    assert dog["segmentation"]["size"] == [2, 3]
    assert "bbox" not in dog  # a box would take the place of the mask where sizes are compared


def test_objects_stand_in_where_a_model_finds_no_segments():
    batch = Batch(torch.zeros(1, 3, 2, 3), [(2, 3)], [(2, 3)], image_ids=[5])
    truth = Annotations("val.json", {5: (2, 3)}, {17: "cat", 18: "dog"}, [])
    (record,) = collect_results(
        lambda batch: [objects()], [batch], THINGS_AND_STUFF, truth, describe=to_segment_results
    )
    assert record == {"image_id": 5, "category_id": 18, "score": 0.75, "bbox": [0, 0, 1, 1]}


def test_an_image_without_segments_has_no_records():
    assert to_segment_results(objects(Panoptic(torch.zeros(2, 3, dtype=torch.int32), [])), 5, THINGS_AND_STUFF) == []


def test_segments_are_kept_beside_the_objects():
    kept = []
    describe = keep_segments(kept)
    panoptic = Panoptic(torch.ones(2, 3, dtype=torch.int32), [Segment(1, 0, is_thing=False, area=6)])
    assert [record["category_id"] for record in describe(objects(panoptic), 5, THINGS_AND_STUFF)] == [18]
    assert [record["category_id"] for record in describe(objects(), 6, THINGS_AND_STUFF)] == [18]
    assert [(record["image_id"], record["category_id"]) for record in kept] == [(5, 187)]


def arrays(masks):
    return {"boxes": np.array([[2.0, 1, 5, 3]]), "labels": np.array([17]), "scores": np.array([0.5]), "masks": masks}


@pytest.mark.parametrize(
    "masks", [BITMAP, BITMAP[:, None] * 0.7, torch.from_numpy(BITMAP)], ids=["bool", "soft", "torch"]
)
def test_arrays_become_records(masks):
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0), "scores": torch.zeros(0)}
    (record,) = records_of([arrays(masks), none], CATS_AND_DOGS)
    assert (record["image_id"], record["category_id"], record["bbox"]) == (5, 17, [2, 1, 3, 2])
    assert record["segmentation"]["size"] == [4, 6]
    assert records_of({3: arrays(masks)}, CATS_AND_DOGS)[0]["segmentation"] == record["segmentation"]


def test_labels_of_instances_count_the_categories_by_their_ids():
    found = Instances((4, 6), torch.tensor([[2.0, 1, 5, 3]]), torch.tensor([1]), scores=torch.tensor([0.5]))
    assert [record["category_id"] for record in records_of({3: found}, CATS_AND_DOGS)] == [17]
    assert [is_by_image(one) for one in ([found], {3: found}, [arrays(None)], [{"image_id": 3}], [])] == [
        *(True, True, True),
        *(False, False),
    ]


def test_what_does_not_fit_is_named():
    with pytest.raises(DataError, match="1 .*val.json .*2"):
        records_of([arrays(None)], CATS_AND_DOGS)
    with pytest.raises(DataError, match="image 3: .*scores"):
        records_of({3: {"boxes": [], "labels": []}}, CATS_AND_DOGS)
