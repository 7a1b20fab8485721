import numpy as np
import pytest
import torch

from maskrcnn.errors import DataError
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.collect import is_by_image, records_of
from maskrcnn.structures.instances import Instances

TRUTH = Annotations("val.json", {5: (4, 6), 3: (4, 6)}, {17: "cat", 4: "dog"}, [])
BITMAP = np.zeros((1, 4, 6), dtype=bool)
BITMAP[0, 1:3, 2:5] = True


def arrays(masks):
    return {"boxes": np.array([[2.0, 1, 5, 3]]), "labels": np.array([17]), "scores": np.array([0.5]), "masks": masks}


@pytest.mark.parametrize(
    "masks", [BITMAP, BITMAP[:, None] * 0.7, torch.from_numpy(BITMAP)], ids=["bool", "soft", "torch"]
)
def test_arrays_become_records(masks):
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0), "scores": torch.zeros(0)}
    (record,) = records_of([arrays(masks), none], TRUTH)
    assert (record["image_id"], record["category_id"], record["bbox"]) == (5, 17, [2, 1, 3, 2])
    assert record["segmentation"]["size"] == [4, 6]
    assert records_of({3: arrays(masks)}, TRUTH)[0]["segmentation"] == record["segmentation"]


def test_labels_of_instances_count_the_categories_by_their_ids():
    found = Instances((4, 6), torch.tensor([[2.0, 1, 5, 3]]), torch.tensor([1]), scores=torch.tensor([0.5]))
    assert [record["category_id"] for record in records_of({3: found}, TRUTH)] == [17]
    assert [is_by_image(one) for one in ([found], {3: found}, [arrays(None)], [{"image_id": 3}], [])] == [
        *(True, True, True),
        *(False, False),
    ]


def test_what_does_not_fit_is_told():
    with pytest.raises(DataError, match="predictions of 1 images, but val.json has 2"):
        records_of([arrays(None)], TRUTH)
    with pytest.raises(DataError, match="image 3: .*scores"):
        records_of({3: {"boxes": [], "labels": []}}, TRUTH)
