import pytest
import torch

from maskrcnn.errors import DataError
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.collect import collect_proposals, collect_results
from maskrcnn.structures.batch import Batch
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.instances import Instances

CLASSES = Classes(("cell",), (7,))
TRUTH = Annotations("val.json", {4: (8, 8), 2: (8, 8), 9: (8, 8)}, {7: "cell"}, [])


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

    with pytest.raises(DataError, match="predictions: record 0: bbox .*finite"):
        collect_results(broken, [batch(4)], CLASSES, TRUTH)


def test_proposals_come_with_the_id_of_their_image_one_after_the_other():
    counts = []
    stream = collect_proposals(one_object_each, iter([batch(4, 2), batch(9)]), on_progress=counts.append)
    assert (next(stream)[0], counts) == (4, [])
    assert [image_id for image_id, _ in stream] == [2, 9]
    assert counts == [2, 1]
